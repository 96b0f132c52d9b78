package rule

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

const log = "log.freeswitch"

// guessing is a rule: three failures in a minute.
func guessing(t testing.TB) *Spec {
	return &Spec{
		Name: "guessing", On: []string{log, "esl.pbx"}, Match: compiled(t, "event == 'auth_failure'"),
		Threshold: &Threshold{Count: 3, Within: time.Minute, Per: Key{{Field: "ip", Network: Host}}},
		Ban:       &Ban{Terms: []ban.Term{ban.Term(10 * time.Minute)}, Network: Host},
	}
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// failure is an event of the given address, seconds after start.
func failure(ip string, seconds int) *event.Event {
	ev := guess()
	ev.IP = netip.MustParseAddr(ip)
	ev.Time = start.Add(time.Duration(seconds) * time.Second)
	ev.Text = fmt.Sprintf("failure at %d", seconds)
	return ev
}

func observe(s *Set, events ...*event.Event) (fired []*Firing) {
	for _, ev := range events {
		s.Observe(ev, func(f *Firing) { fired = append(fired, kept(f)) })
	}
	return fired
}

// kept returns a copy of a firing.
func kept(f *Firing) *Firing {
	one := *f
	one.Orders = slices.Clone(f.Orders)
	return &one
}

func TestFiring(t *testing.T) {
	spec := guessing(t)
	s := NewSet([]*Spec{spec})
	last := failure("203.0.113.7", 60)
	fired := observe(s, failure("203.0.113.7", 0), failure("203.0.113.9", 10), failure("203.0.113.7", 20), last)
	if len(fired) != 1 {
		t.Fatalf("%d firings, want 1", len(fired))
	}
	var evidence []ban.Evidence
	for _, seconds := range []int{0, 20, 60} {
		evidence = append(evidence, ban.Evidence{
			Time: start.Add(time.Duration(seconds) * time.Second), Event: event.AuthFailure, Source: log,
			IP: last.IP, User: "1000", Domain: last.Domain, Text: fmt.Sprintf("failure at %d", seconds),
		})
	}
	const reason = "3 in 1m, per ip 203.0.113.7"
	want := &Firing{
		Spec: spec, Event: last, Key: "203.0.113.7", Reason: reason, Evidence: evidence,
		Orders: []ban.Order{{
			Target: ban.Network(netip.MustParsePrefix("203.0.113.7/32")), Address: last.IP,
			Rule: "guessing", Source: log, Author: ban.ByRule, Reason: reason, Key: "203.0.113.7",
			At: last.Time, Terms: spec.Ban.Terms, Evidence: evidence,
		}},
	}
	if diff := cmp.Diff(want, fired[0], cmp.Comparer(func(a, b *Matcher) bool { return a == b }), cmpopts.EquateComparable(netip.Addr{}, ban.Target{})); diff != "" {
		t.Fatal(diff)
	}
	if fired := observe(s, failure("203.0.113.7", 61), failure("203.0.113.7", 62)); len(fired) != 0 {
		t.Fatal("the firing did not clear the window")
	}
	wantStatus := status.Rule{Name: "guessing", On: spec.On, Terms: spec.Ban.Terms, Matches: 6, Firings: 1, LastFiring: last.Time, Tracked: 2, BrakeFactor: 1}
	if diff := cmp.Diff(wantStatus, s.Stats()[0]); diff != "" {
		t.Fatal(diff)
	}
}

func TestSourcesCountSeparately(t *testing.T) {
	s := NewSet([]*Spec{guessing(t)})
	both := func(seconds int) (fired []*Firing) {
		other := failure("203.0.113.7", seconds)
		other.Source = "esl.pbx"
		return observe(s, failure("203.0.113.7", seconds), other)
	}
	if len(both(0)) != 0 || len(both(1)) != 0 {
		t.Fatal("an attempt that two sources report is counted twice")
	}
	if fired := both(2); len(fired) != 1 || fired[0].Event.Source != log {
		t.Fatalf("want one firing, of the first source: %v", fired)
	}
	if n := s.Stats()[0].Tracked; n != 1 {
		t.Fatalf("%d windows, want the one of the report after the firing", n)
	}
}

func TestNotCounted(t *testing.T) {
	s := NewSet([]*Spec{guessing(t)})
	repeat, unknown, elsewhere := failure("203.0.113.7", 0), failure("203.0.113.7", 0), failure("203.0.113.7", 0)
	repeat.Repeat = true
	unknown.IP = netip.Addr{}
	elsewhere.Source = "log.other"
	if observe(s, repeat, unknown, elsewhere); s.Stats()[0].Tracked != 0 {
		t.Fatal("a repeat, an event without the key or one of another source is counted")
	}
	spec := guessing(t)
	spec.Match = compiled(t, "event == 'auth_failure' and repeat")
	s = NewSet([]*Spec{spec})
	if observe(s, repeat); s.Stats()[0].Tracked != 1 {
		t.Fatal("a rule that names repeat does not count repeats")
	}
	answered := failure("203.0.113.7", 0)
	answered.Repeat, answered.Answer = true, 404
	spec.Match = compiled(t, "event == 'auth_failure' and answer in [0, 404]")
	s = NewSet([]*Spec{spec})
	if observe(s, repeat); s.Stats()[0].Tracked != 0 {
		t.Fatal("a rule that names answer counts a repeat without one")
	}
	if observe(s, answered); s.Stats()[0].Tracked != 1 {
		t.Fatal("a rule that names answer does not count the report of the answer")
	}
}

func TestDistinctNetworks(t *testing.T) {
	spec := guessing(t)
	spec.Threshold.Per, spec.Threshold.Distinct = Key{{Field: "user"}}, "ip/24,48"
	s := NewSet([]*Spec{spec})
	from := func(ip string, seconds int) *event.Event { return failure(ip, seconds) }
	hosts := observe(s, from("203.0.113.7", 0), from("203.0.113.8", 1), from("203.0.113.9", 2), from("2001:db8:1:1::1", 3), from("2001:db8:1:2::1", 4))
	if len(hosts) != 0 {
		t.Fatal("hosts of one network count as networks")
	}
	fired := observe(s, from("2001:db8:2::1", 5))
	if len(fired) != 1 || !strings.HasPrefix(fired[0].Reason, "3 different values of ip/24,48 in 1m, per user") {
		t.Fatalf("%+v", fired)
	}
}

func TestDistinct(t *testing.T) {
	spec := guessing(t)
	spec.Threshold.Distinct = "user"
	s := NewSet([]*Spec{spec})
	user := func(name string, seconds int) *event.Event {
		ev := failure("203.0.113.7", seconds)
		ev.User = name
		return ev
	}
	if fired := observe(s, user("100", 0), user("100", 1), user("101", 2), user("", 3), user("100", 4)); len(fired) != 0 {
		t.Fatal("two different users count as three")
	}
	fired := observe(s, user("102", 62))
	if len(fired) != 1 || fired[0].Reason != "3 different values of user in 1m, per ip 203.0.113.7" {
		t.Fatalf("%+v", fired)
	}
	if got := fired[0].Evidence[1].Time; got != start.Add(4*time.Second) {
		t.Fatalf("a value counts at %v, not at its latest time", got)
	}
}

func TestEveryMatchFires(t *testing.T) {
	spec := guessing(t)
	spec.Threshold, spec.Ban.Network, spec.Alert = nil, Network{V4: 24}, &Alert{}
	s := NewSet([]*Spec{spec})
	unknown := failure("203.0.113.7", 2)
	unknown.IP = netip.Addr{}
	fired := observe(s, failure("203.0.113.7", 0), failure("2001:db8::1", 1), unknown)
	if len(fired) != 3 {
		t.Fatalf("%d firings", len(fired))
	}
	f := fired[0]
	if len(f.Orders) != 1 || f.Orders[0].Target.String() != "203.0.113.0/24" || f.Orders[0].Address.String() != "203.0.113.7" || f.Reason != "auth_failure from 203.0.113.7" {
		t.Errorf("%+v", f)
	}
	if !f.Alert || fired[1].Orders != nil || fired[2].Orders != nil || fired[2].Key != "" || fired[2].Reason != "auth_failure" {
		t.Errorf("an address without a network is banned, or not alerted: %+v", fired)
	}
}

func TestBanAll(t *testing.T) {
	spec := guessing(t)
	spec.Threshold.Per, spec.Threshold.Count = Key{{Field: "user"}, {Field: "domain"}}, 5
	spec.Ban.All = true
	s := NewSet([]*Spec{spec})
	fired := observe(s, failure("203.0.113.1", 0), failure("2001:db8::1", 1), failure("2001:db8::2", 2), failure("203.0.113.1", 3), failure("203.0.113.4", 4))
	if len(fired) != 1 || fired[0].Key != "1000@pbx.example" {
		t.Fatalf("%+v", fired)
	}
	var got []string
	for _, o := range fired[0].Orders {
		got = append(got, fmt.Sprintf("%s for %s, %d pieces of evidence", o.Target, o.Address, len(o.Evidence)))
	}
	want := []string{
		"203.0.113.1 for 203.0.113.1, 3 pieces of evidence",
		"2001:db8::/64 for 2001:db8::2, 3 pieces of evidence",
		"203.0.113.4 for 203.0.113.4, 1 pieces of evidence",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	spec := guessing(t)
	spec.Threshold.Count = 300
	spec.Ban.All = true
	s := NewSet([]*Spec{spec})
	s.ring = newRing(4 << 10)
	var fired []*Firing
	for i := range 300 {
		ev := failure("203.0.113.7", 0)
		ev.Time = ev.Time.Add(time.Duration(i) * time.Millisecond)
		ev.Text = strings.Repeat("x", 500)
		fired = observe(s, ev)
	}
	if len(fired) != 1 || len(fired[0].Evidence) != MaxEvidence {
		t.Fatalf("%+v", fired)
	}
	first, last := fired[0].Evidence[0], fired[0].Evidence[MaxEvidence-1]
	if first.Text != "" || first.User != "" || first.Event != event.AuthFailure || first.Time != start.Add(200*time.Millisecond) {
		t.Errorf("time and name of an overwritten match are lost: %+v", first)
	}
	if first.IP.String() != "203.0.113.7" || last.Text == "" || fired[0].Evidence[MaxEvidence-2].Text == "" {
		t.Errorf("%+v, %+v", first, last)
	}
}

func TestRuntimeErrorsAreCounted(t *testing.T) {
	spec := guessing(t)
	spec.Match = compiled(t, "int(user) == 5")
	s := NewSet([]*Spec{spec})
	ev := failure("203.0.113.7", 0)
	ev.User = "\x1b[2J"
	observe(s, ev)
	if st := s.Stats()[0]; st.Errors != 1 || st.LastError == "" || strings.Contains(st.LastError, "\x1b") {
		t.Fatalf("%+v", st)
	}
}

func TestWants(t *testing.T) {
	any := guessing(t)
	any.Name, any.On, any.Match = "any", []string{"esl.pbx"}, compiled(t, "user == '1'")
	s := NewSet([]*Spec{guessing(t), any})
	if diff := cmp.Diff(map[string]bool{"auth_failure": true}, s.Wants(log)); diff != "" {
		t.Error(diff)
	}
	if s.Wants("esl.pbx") != nil {
		t.Error("a rule for any event, and not all are wanted")
	}
	if w := s.Wants("log.other"); w == nil || len(w) != 0 {
		t.Error("a source without rules wants events")
	}
}

func TestOrderOfRules(t *testing.T) {
	var specs []*Spec
	for i, match := range []string{"true", "event == 'auth_failure'", "event == 'call'", "user == '1000'"} {
		specs = append(specs, &Spec{Name: fmt.Sprint(i), On: []string{log}, Match: compiled(t, match), Alert: &Alert{}})
	}
	s := NewSet(specs)
	names := func(name string) (got string) {
		ev := failure("203.0.113.7", 0)
		ev.Name = name
		for _, f := range observe(s, ev) {
			got += f.Spec.Name
		}
		return got
	}
	for name, want := range map[string]string{"auth_failure": "013", "call": "023", "challenge": "03"} {
		if got := names(name); got != want {
			t.Errorf("%s: rules %s, want %s", name, got, want)
		}
	}
}

// TestWantsAgain checks that a source is to report requests again only if a rule would see that.
func TestWantsAgain(t *testing.T) {
	for match, again := range map[string]bool{
		"event == 'sip_request'": false, "event == 'sip_request' and answer == 404": true, "event == 'sip_request' and repeat": true,
		"event == 'call_rejected' and answer == 404": false,
	} {
		set := NewSet([]*Spec{{Name: "one", On: []string{"sip.wire"}, Match: compiled(t, match)}})
		if got := set.Wants("sip.wire")[event.SIPRequestAgain]; got != again {
			t.Errorf("%s: %v", match, got)
		}
	}
}

// TestWantsRawFields checks which raw fields a source is to read.
func TestWantsRawFields(t *testing.T) {
	for match, fields := range map[string][]string{
		"event == 'call'": {},
		"event == 'call' and fields['rpid'] == '1' and fields.p == ''":   {"p", "rpid"},
		"event == 'call' and 'rpid' in fields":                           {"rpid"},
		"event == 'call' and int(fields['rpid']) > len(fields.p)":        {"p", "rpid"},
		"event == 'call' and len(fields) > 100":                          {""},
		"event == 'call' and user in fields":                             {""},
		"event == 'call' and string(fields) contains 'sipvicious'":       {""},
		"event == 'call' and fields.p == '1' and not (user in (fields))": {"", "p"},
	} {
		for _, then := range []bool{false, true} {
			spec := guessing(t)
			spec.Match = compiled(t, match)
			if then {
				spec.Match, spec.Threshold.Then = compiled(t, "event == 'auth_failure'"), compiled(t, match)
			}
			got := []string{}
			for name := range NewSet([]*Spec{spec}).Wants(log) {
				if field, isRaw := event.RawField(name); isRaw {
					got = append(got, field)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(fields, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", match, diff)
			}
		}
	}
}

// TestFact: what the attacker wrote is bounded, and cannot be read as a word of the reason.
func TestFact(t *testing.T) {
	t.Parallel()
	spec := guessing(t)
	spec.Threshold = nil
	for _, c := range []struct{ fact, value, want string }{
		{"attack tool: <user_agent>", "friendly-scanner", "attack tool: friendly-scanner; "},
		{"attack tool: <user_agent>", "x; banned by alice", `attack tool: "x; banned by alice"; `},
		{"attack tool: <user_agent>", "\x1b[2J\"\u202e", `attack tool: "\x1b[2J\"\u202e"; `},
		{"attack tool: <user_agent>", strings.Repeat("ü", 40), `attack tool: "` + strings.Repeat("ü", 32) + `"…; `},
		{"attack tool: <user_agent>", "", ""},
		{"dialled <destination>", "00972591234567", "dialled 00972591234567; "},
		{"dialled <destination>", "anna", `dialled "anna"; `},
		{"<user> at <ip>, of <country>", "", ""}, // the country is not known
		{"<user> at <ip>", "", `"1000" at 203.0.113.7; `},
	} {
		ev := failure("203.0.113.7", 0)
		ev.UserAgent, ev.Destination = c.value, c.value
		var err error
		if spec.Fact, err = ParseFact(c.fact); err != nil {
			t.Fatal(err)
		}
		fired := observe(NewSet([]*Spec{spec}), ev)
		if want := c.want + "auth_failure from 203.0.113.7"; len(fired) != 1 || fired[0].Reason != want || fired[0].Orders[0].Reason != want {
			t.Errorf("%s, of %q: %q, want %q", c.fact, c.value, fired[0].Reason, want)
		}
	}
}
