package rule

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"freeswitch-security/engine/event"
)

// guess is a failed registration.
func guess() *event.Event {
	return &event.Event{
		Time: time.Date(2026, 3, 1, 23, 15, 0, 0, time.UTC), Name: event.AuthFailure, Source: "log.freeswitch",
		IP: netip.MustParseAddr("203.0.113.7"), Port: 5071,
		User: "1000", Domain: "pbx.example", Profile: "internal", Method: "REGISTER", UserAgent: "friendly-scanner",
		Fields: map[string]string{"variable_sip_user_agent": "x"},
	}
}

func compiled(t testing.TB, expression string) *Matcher {
	t.Helper()
	m, problems := Compile(expression, Vocabulary{})
	if len(problems) > 0 {
		t.Fatalf("Compile(%s): %+v", expression, problems)
	}
	return m
}

func TestMatch(t *testing.T) {
	for expression, want := range map[string]bool{
		"event == 'auth_failure' and method == 'REGISTER'":  true,
		"event == 'auth_failure' && method != \"REGISTER\"": false,
		"event in ['auth_failure', 'unknown_user']":         true,
		"user_agent contains 'scanner'":                     true,
		"user_agent matches '(?i)^FRIENDLY-'":               true,
		"user_agent not matches `^\\d+$`":                   true,
		"lower(user_agent) startsWith \"friend\"":           true,
		"user | upper() == '1000'":                          true,
		"len(user) < 5 and port > 5060":                     true,
		"5060 < port < 5080":                                true,
		"int(user) >= 1000":                                 true,
		"user >= '1000' and user <= '1999'":                 true,
		"time.Hour() >= 22 or time.Hour() < 6":              true,
		"int(time.Weekday()) == 0":                          true,
		"time.Day() == 1 and time.Unix() > 0":               true,
		"in_network(ip, '203.0.113.0/24')":                  true,
		"in_network(ip, '203.0.113.9/24')":                  true,
		"in_network(ip, '::ffff:203.0.113.0/120')":          true,
		"in_network(ip, '203.0.113.7')":                     true,
		"in_network(ip, '2001:db8::/32')":                   false,
		"in_network(user, '10.0.0.0/8')":                    false,
		"not in_network(ip, '10.0.0.0/8')":                  true,
		"fields['variable_sip_user_agent'] == 'x'":          true,
		"fields.missing == ''":                              true,
		"'missing' in fields":                               false,
		"repeat":                                            false,
		"!repeat and ip == '203.0.113.7'":                   true,
		"to_user + destination == ''":                       true,
		"true":                                              true,
	} {
		m := compiled(t, expression)
		got, err := m.Match(guess())
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v; want %v", expression, got, err, want)
		}
	}
}

func TestMatchRuntimeError(t *testing.T) {
	ev := guess()
	ev.User = "bob\nmallory"
	_, err := compiled(t, "int(user) == 5").Match(ev)
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Fatalf("want an error of one line, got %v", err)
	}
}

func TestEvents(t *testing.T) {
	for expression, want := range map[string][]string{
		"event == 'call'":                                                {"call"},
		"'call' == event":                                                {"call"},
		"event == 'call' and user == '1'":                                {"call"},
		"event == 'call' and event in ['call', 'challenge']":             {"call"},
		"(event == 'call' or event == 'challenge') and repeat":           {"call", "challenge"},
		"event == 'call' || event in ['registered', 'auth_stale']":       {"auth_stale", "call", "registered"},
		"event == 'call' or user == '1'":                                 nil,
		"event != 'call'":                                                nil,
		"not (event == 'call')":                                          nil,
		"event in ['call', user]":                                        nil,
		"event startsWith 'auth' and event == 'auth_failure'":            {"auth_failure"},
		"user == '1' and (event == 'call' and not (method == 'INVITE'))": {"call"},
	} {
		got := compiled(t, expression).Events()
		if (got == nil) != (want == nil) {
			t.Errorf("%s: got %v, want %v", expression, got, want)
			continue
		}
		var names []string
		for name := range got {
			names = append(names, name)
		}
		slices.Sort(names)
		if !slices.Equal(names, want) {
			t.Errorf("%s: got %v, want %v", expression, names, want)
		}
	}
}

func TestUses(t *testing.T) {
	if !compiled(t, "event == 'call' and repeat").Uses("repeat") || compiled(t, "event == 'call'").Uses("repeat") {
		t.Fatal("only the first expression uses repeat")
	}
}

// TestEnvironment checks that expr has each field.
func TestEnvironment(t *testing.T) {
	for _, field := range event.Fields {
		if field.Kind != event.Text && field.Kind != event.Address {
			continue
		}
		ev := &event.Event{}
		name, value := field.Name, "192.0.2.1"
		if name == "source" {
			ev.Source = value
		} else if !field.Settable {
			*field.At(ev) = value
		} else if err := ev.Set(name, value); err != nil {
			t.Fatal(err)
		}
		matched, err := compiled(t, name+" == lower('192.0.2.1')").Match(ev)
		if !matched || err != nil || field.Get(ev) != value {
			t.Errorf("%s does not reach the expression: %v", name, err)
		}
	}
}

func TestWhy(t *testing.T) {
	m := compiled(t, `(event == "auth_failure" or lower(trim(user)) == 'x') and not (method in ['INVITE', 'BYE']) and
		(user + domain) == ("a" + ("b")) and (port > 5000) and 1 < port < 9000 and fields["q"] == '' and int(profile) == 1 and user not in ["ü"]`)
	got := m.Why(guess())
	want := []Clause{
		{Text: `event == "auth_failure"`, True: true},
		{Text: `lower(trim(user)) == 'x'`},
		{Text: `not (method in ['INVITE', 'BYE'])`, True: true},
		{Text: `(user + domain) == ("a" + ("b"))`},
		{Text: `port > 5000`, True: true},
		{Text: `1 < port`, True: true},
		{Text: `port < 9000`, True: true},
		{Text: `fields["q"] == ''`, True: true},
		{Text: `int(profile) == 1`},
		{Text: `user not in ["ü"]`, True: true},
	}
	for i := range got {
		if (got[i].Err != nil) != (got[i].Text == `int(profile) == 1`) {
			t.Errorf("%s: %v", got[i].Text, got[i].Err)
		}
		got[i].Err = nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		"event == 'auth_failure' and method == 'REGISTER'", "ip in_network '1'", "user matches '('", "a.b.c()", "let x = 1; x",
		"if a { b } else { c }", "all(1..300, # > 0)", "fields?.x", "[1,2][0]", "{a: 1}.a == 1", "1 < port < 2", "a ?? b", "'\\u00e9' == user",
		"event in ['call'] or event | lower() == \"x\"", "user[1:2] == 'x'", "::len(user)", "((((", "not not repeat", "1 / 0 > 1 % 0", "b'x' == user",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		m, problems := Compile(expression, Vocabulary{Fields: []string{"x"}})
		if (m == nil) == (len(problems) == 0) {
			t.Fatalf("both a matcher and problems, or neither: %v, %v", m, problems)
		}
		n := utf8.RuneCountInString(expression)
		for _, p := range problems {
			if p.From < 0 || p.To > n || (p.From >= p.To && n > 0) || strings.Contains(p.Summary+p.Detail, "goroutine") {
				t.Fatalf("%q (%d runes): %+v", expression, n, p)
			}
		}
		if m == nil {
			return
		}
		matched, _ := m.Match(guess())
		if m.direct != nil && matched != byExpr(t, m, guess()) {
			t.Fatalf("%q is %v, and not to expr", expression, matched)
		}
		for i := range uint64(4) {
			if ev := anEvent(rand.New(rand.NewPCG(i, uint64(n)))); m.direct != nil && m.direct(ev) != byExpr(t, m, ev) {
				t.Fatalf("%q of %+v is %v, and not to expr", expression, ev, m.direct(ev))
			}
		}
		for _, clause := range m.Why(guess()) {
			if clause.Text == "" || !strings.Contains(expression, clause.Text) {
				t.Fatalf("%q has a clause %q", expression, clause.Text)
			}
		}
	})
}

// TestLocals compares with values of the configuration, also in an explanation.
func TestLocals(t *testing.T) {
	const expression = "destination in local.dear and user != local.owner and user_agent matches local.tools and not (domain in local.none)"
	m, problems := Compile(expression, Vocabulary{Locals: Locals{
		"dear": []string{"0088", "0053"}, "owner": "1000", "tools": "^sip", "none": []string{},
	}})
	if problems != nil {
		t.Fatal(problems)
	}
	for _, c := range []struct {
		destination, user, agent string
		want                     bool
	}{
		{"0053", "1001", "sipcli", true}, {"0053", "1000", "sipcli", false}, {"0054", "1001", "sipcli", false}, {"0053", "1001", "asipcli", false},
	} {
		ev := &event.Event{Destination: c.destination, User: c.user, UserAgent: c.agent}
		got, err := m.Match(ev)
		if err != nil || got != c.want {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
		all := true
		for _, clause := range m.Why(ev) {
			if all = all && clause.True; clause.Err != nil {
				t.Errorf("%s: %v", clause.Text, clause.Err)
			}
		}
		if all != c.want {
			t.Errorf("%+v: explained as %v", c, m.Why(ev))
		}
	}
}
