package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
)

// spellings returns a function that mixes the case of a name's letters, differently each time.
func spellings() func(string) string {
	random := rand.New(rand.NewPCG(1, 2))
	return func(name string) string {
		return strings.Map(func(r rune) rune {
			if 'a' <= r && r <= 'z' && random.IntN(2) == 0 {
				return r - 'a' + 'A'
			}
			return r
		}, name)
	}
}

// reported is an event of the event socket, at a time.
func reported(at time.Time, fields map[string]string) string {
	fields["Core-UUID"], fields["network-port"], fields["profile-name"] = "5fe41761", "5060", "internal"
	fields["Event-Date-Timestamp"] = fmt.Sprint(at.UnixMicro())
	body, _ := json.Marshal(fields) // cannot fail
	return fmt.Sprintf("Content-Length: %d\nContent-Type: text/event-json\n\n%s", len(body), body)
}

// TestSpellings demands the same verdicts of the shipped rules, however a caller mixes the case of
// an account: FreeSWITCH finds the account in any case.
func TestSpellings(t *testing.T) {
	start := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	attacks := map[string]struct {
		source string
		alerts int // at least
		record func(spelt func(string) string) string
	}{
		"an account guessed from 400 addresses": {"log.freeswitch", 2, func(spelt func(string) string) string {
			var b strings.Builder
			for i := range 400 {
				stamp := start.Add(time.Duration(i) * 2 * time.Second).Format("2006-01-02 15:04:05.000000")
				fmt.Fprintf(&b, "%s 97.10%% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@%s] from ip 203.0.%d.%d\n",
					stamp, spelt("pbx.example.com"), 112+i%16, i/16+1)
			}
			return b.String()
		}},
		"a password found after 19 failures": {"esl.pbx", 1, func(spelt func(string) string) string {
			var b strings.Builder
			for i := range 20 {
				at, host := start.Add(time.Duration(i)*151*time.Second), spelt("pbx.example.com")
				attempt := func(subclass, result string) {
					b.WriteString(reported(at, map[string]string{
						"Event-Name": "CUSTOM", "Event-Subclass": subclass, "network-ip": "203.0.113.9", "registration-type": "REGISTER",
						"auth-result": result, "username": "1000", "realm": host, "to-user": "1000", "to-host": host, "from-user": "1000", "from-host": host,
					}))
				}
				if i < 19 {
					attempt("sofia::register_attempt", "FORBIDDEN")
					attempt("sofia::register_failure", "FORBIDDEN")
				} else {
					attempt("sofia::register_attempt", "SUCCESS")
				}
			}
			return b.String()
		}},
		"calls abroad of a stolen account": {"esl.pbx", 4, func(spelt func(string) string) string {
			var b strings.Builder
			for i := range 200 {
				b.WriteString(reported(start.Add(time.Duration(i)*2*time.Second), map[string]string{
					"Event-Name": "CHANNEL_CREATE", "Call-Direction": "inbound", "Unique-ID": fmt.Sprint("u", i), "Caller-Network-Addr": "203.0.113.9",
					"Caller-Destination-Number": fmt.Sprintf("0088213%05d", i), "variable_sip_authorized": "true",
					"variable_sip_auth_username": spelt("sales"), "variable_sip_auth_realm": spelt("pbx.example.com"),
				}))
			}
			return b.String()
		}},
	}
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			verdicts := func(spelt func(string) string) (all []string) {
				for _, c := range play(t, shipped(t), map[string][]byte{attack.source: []byte(attack.record(spelt))}) {
					all = append(all, fmt.Sprint(c.At.Format(time.TimeOnly), " ", c.Kind, " ", c.Rule, " ", c.Target, " ", event.Fold(c.Key)))
				}
				return all
			}
			plain, mixed := verdicts(func(name string) string { return name }), verdicts(spellings())
			if len(plain) < attack.alerts {
				t.Fatalf("%d verdicts on the plain spelling: %q", len(plain), plain)
			}
			if strings.Join(plain, "\n") != strings.Join(mixed, "\n") {
				t.Errorf("plain:\n%s\nmixed:\n%s", strings.Join(plain, "\n"), strings.Join(mixed, "\n"))
			}
		})
	}
}

// TestSpellingsOfTests runs the tests of the shipped rules with accounts in mixed case, each event
// in a spelling of its own.
func TestSpellingsOfTests(t *testing.T) {
	cfg, mixed := shipped(t), spellings()
	spelt := func(name string) string {
		before, after, numbered := strings.Cut(name, config.Repetition)
		if !numbered {
			return mixed(name)
		}
		return mixed(before) + config.Repetition + mixed(after)
	}
	for _, test := range cfg.Tests {
		given := test.Given
		test.Given = nil
		for _, g := range given {
			if g.Event != nil {
				ev := *g.Event
				ev.User, ev.Domain, ev.ToUser = spelt(ev.User), spelt(ev.Domain), spelt(ev.ToUser)
				g.Event = &ev
			}
			test.Given = append(test.Given, g)
		}
		differences, err := engine.RunTest(cfg, test)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range differences {
			t.Errorf("%s: %s: %s", test.Where, test.Name, d)
		}
	}
}
