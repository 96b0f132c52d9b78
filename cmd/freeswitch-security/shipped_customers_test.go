package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// TestShippedCustomers shows what the shipped rules do to innocent customers, with the event socket
// and with the log alone, which has no registrations. The comment of a rule that bans one says so,
// and what to do.
func TestShippedCustomers(t *testing.T) {
	const guessing, slow = "password guessing: ban 10m", "slow password guessing: ban 1h"
	for _, test := range []struct {
		name     string
		tell     func(s *story)
		esl, log string
	}{
		{"alone, a phone with an old password, every thirty seconds", func(s *story) {
			s.during(3*time.Hour, 30*time.Second, func() { s.fails("1000") })
		}, guessing, guessing}, // the ban drops the rest
		{"alone, a phone with an old password, every ten minutes", func(s *story) {
			s.during(24*time.Hour, 10*time.Minute, func() { s.fails("1000") })
		}, slow, slow},
		{"a phone with an old password beside one that is registered", func(s *story) {
			s.during(3*time.Hour, 30*time.Second, func() {
				s.registers("1001")
				s.fails("1000")
			})
		}, "password guessing: spared, slow password guessing: spared", guessing},
		{"a phone whose account was deleted, every ten minutes", func(s *story) {
			s.during(24*time.Hour, 10*time.Minute, func() { s.says(event.UnknownUser, "1000") })
		}, slow, slow},
		{"five phones with a misspelt domain", func(s *story) {
			s.phones(5, time.Second, func(user string) { s.says(event.UnknownUser, user) })
		}, guessing + ", extension enumeration: ban 1h", guessing + ", extension enumeration: ban 1h"},
		{"thirty phones that were given a wrong password while they are registered", func(s *story) {
			s.phones(30, time.Second, s.registers)
			s.during(10*time.Minute, time.Minute, func() { s.phones(30, time.Second, s.fails) })
		}, "password guessing: spared, password spraying: spared, slow password guessing: spared, many accounts from one network: alert",
			guessing + ", password spraying: ban 1h"},
		{"thirty phones of forty that never had the right one, where ten have been registered for two hours", func(s *story) {
			s.during(2*time.Hour, 30*time.Minute, func() { s.phones(10, time.Second, s.registers) })
			s.phones(30, time.Second, s.fails)
		}, "password guessing: spared, password spraying: spared, slow password guessing: spared, many accounts from one network: alert",
			guessing + ", password spraying: ban 1h"},
		{"thirty phones of forty that never had the right one, where ten have just registered", func(s *story) {
			s.phones(10, time.Second, s.registers)
			s.phones(30, time.Second, s.fails)
		}, "password guessing: spared, password spraying: spared, " + guessing + ", password spraying: ban 1h",
			guessing + ", password spraying: ban 1h"},
		{"two hundred phones in twenty seconds, after a power cut", func(s *story) {
			s.phones(200, 100*time.Millisecond, s.registers)
		}, "extension scan: spared", ""},
		{"two hundred phones in five seconds, after a power cut", func(s *story) {
			s.phones(200, 25*time.Millisecond, s.registers)
		}, "extension scan: spared, unauthenticated flood: spared", "fast extension scan: ban 10m"},
		{"thirty phones with thirty keys each, in fifteen seconds", func(s *story) {
			s.phones(30, 500*time.Millisecond, func(user string) {
				s.registers(user)
				s.phones(30, 10*time.Millisecond, func(key string) { s.dials(event.Challenge, key) })
			})
		}, "unauthenticated flood: spared", "unauthenticated flood: ban 10m"},
		{"a trunk that registers every minute", func(s *story) {
			s.during(24*time.Hour, time.Minute, func() { s.registers("trunk") })
		}, "", ""},
		{"a mobile phone that is never challenged where it was before", func(s *story) {
			s.during(24*time.Hour, 5*time.Minute, func() {
				s.ip = s.ip.Next()
				s.says(event.AuthStale, "1000")
				s.registers("1000")
			})
		}, "", ""},
		{"a phone that dials a wrong prefix again and again", func(s *story) {
			s.during(10*time.Minute, 5*time.Second, func() {
				s.dials(event.Challenge, "00041441234567")
				s.dials(event.Call, "00041441234567")["variable_sip_authorized"] = "true"
			})
		}, "", ""},
		{"a health check that asks for a challenge", func(s *story) {
			s.agent = "sipsak 0.9.8.1"
			s.during(24*time.Hour, 10*time.Second, func() { s.says(event.Challenge, "monitor") })
		}, "", ""},
		{"a health check that calls and does not answer the challenge", func(s *story) {
			s.during(time.Hour, time.Minute, func() {
				s.dials(event.Challenge, "9196")
				s.says(event.WrongCallState, "monitor")
			})
		}, "abandoned calls: ban 10m", ""},
		{"a carrier with four calls a second", func(s *story) {
			s.during(10*time.Minute, 250*time.Millisecond, func() { s.dials(event.Call, "4930123456") })
		}, "", ""},
		{"an untrusted carrier with fifty calls a second", func(s *story) {
			s.during(time.Minute, 20*time.Millisecond, func() { s.dials(event.Call, "4930123456") })
		}, "call flood: ban 10m", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			told := newStory()
			test.tell(told)
			if got := told.verdicts(t, "esl.pbx", event.Names); got != test.esl {
				t.Errorf("with the event socket: %s, want %s", got, test.esl)
			}
			logged := []string{event.Challenge, event.AuthFailure, event.UnknownUser, event.ACLReject}
			if got := told.verdicts(t, "log.freeswitch", logged); got != test.log {
				t.Errorf("with the log alone: %s, want %s", got, test.log)
			}
		})
	}
}

// A story is what a switch reports about a customer. It is a source that all rules read.
type story struct {
	now    time.Time
	ip     netip.Addr
	agent  string
	events []*event.Event
}

func newStory() *story {
	return &story{
		now: time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC), ip: netip.MustParseAddr("203.0.113.30"), agent: "Yealink SIP-T46U 108.86.0.45",
	}
}

// during repeats a report.
func (s *story) during(whole, interval time.Duration, f func()) {
	for end := s.now.Add(whole); s.now.Before(end); {
		next := s.now.Add(interval)
		f()
		s.now = next
	}
}

// phones reports one account after another.
func (s *story) phones(n int, interval time.Duration, f func(user string)) {
	user := 1000
	s.during(time.Duration(n)*interval, interval, func() {
		f(fmt.Sprint(user))
		user++
	})
}

func (s *story) says(name, user string) *event.Event {
	e := &event.Event{
		Name: name, Time: s.now, IP: s.ip, Port: 5060, User: user, Domain: "pbx.example.org", Method: "REGISTER", UserAgent: s.agent,
		Fields: map[string]string{},
	}
	s.events = append(s.events, e)
	return e
}

// dials reports a request that is not a REGISTER, and returns the fields of the event.
func (s *story) dials(name, number string) map[string]string {
	e := s.says(name, "1000")
	e.Method, e.Destination = "INVITE", number
	return e.Fields
}

// registers reports a phone that answers the challenge.
func (s *story) registers(user string) {
	s.says(event.Challenge, user)
	s.says(event.AuthSuccess, user)
	s.says(event.Registered, user).Fields = map[string]string{"expires": "3600", "authenticated": "true"}
}

// fails reports a phone with a wrong password.
func (s *story) fails(user string) {
	s.says(event.Challenge, user)
	s.says(event.AuthFailure, user)
}

func (s *story) Describe() plugin.Description { return plugin.Description{ReplayOnly: true} }

func (s *story) Follow(context.Context, plugin.Stream) error { return nil }

func (s *story) Replay(_ context.Context, _ plugin.Recording, _ map[string]bool, emit func(*event.Event) error) (plugin.Stats, error) {
	for _, e := range s.events {
		if err := emit(e); err != nil {
			return plugin.Stats{}, err
		}
	}
	return plugin.Stats{}, nil
}

// verdicts returns the outcome of the story on a source that reports such events.
func (s *story) verdicts(t *testing.T, source string, heard []string) string {
	t.Helper()
	told := *s
	told.events = nil
	for _, e := range s.events {
		if slices.Contains(heard, e.Name) {
			e.Source = source
			told.events = append(told.events, e)
		}
	}
	return outcome(t, shipped(t), engine.Input{Ref: source, Source: &told})
}

// outcome replays an input with the shipped rules, and returns each kind of verdict of a rule once,
// with its first term.
func outcome(t *testing.T, cfg *config.Config, in engine.Input) string {
	t.Helper()
	var all []string
	note := func(who, what string) {
		if !slices.ContainsFunc(all, func(one string) bool { return strings.HasPrefix(one, who) }) {
			all = append(all, who+what)
		}
	}
	e := engine.New(cfg, engine.Options{OnChange: func(v *ban.Change) {
		switch {
		case v.Target.Kind() == ban.TargetEndpoint: // beside a sparing
		case v.Kind == ban.KindSpare:
			note(v.Rule+": spared", "")
		case v.InForce():
			note(v.Rule+": ban ", v.Term.String())
		case v.Kind == ban.KindAlert:
			note(v.Rule+": alert", "")
		}
	}})
	if _, err := e.Replay(t.Context(), []engine.Input{in}, nil); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, ", ")
}
