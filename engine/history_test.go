package engine

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

const elsewhere = "203.0.113.5"

// abroad is a rule that alerts about calls from new networks and of guessed accounts.
func abroad(t *testing.T) *rule.Spec {
	t.Helper()
	match, problems := rule.Compile("event == 'call' and (new_network or guessed)", rule.Vocabulary{Events: event.Names})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return &rule.Spec{Name: "abroad", On: []string{"log.x"}, Match: match, Alert: &rule.Alert{}}
}

// account makes a login or call of which the switch verified the password.
func account(name, ip string, at time.Time) event.Event {
	return event.Event{Time: at, Name: name, Source: "log.x", User: "1000", Domain: "pbx", IP: netip.MustParseAddr(ip),
		Fields: map[string]string{"variable_sip_authorized": "true"}}
}

func (s *story) account(name, ip string, later time.Duration) {
	s.t.Helper()
	s.now = s.now.Add(later)
	ev := account(name, ip, s.now)
	s.observe(&ev, s.now)
	if err := s.settle(); err != nil {
		s.t.Fatal(err)
	}
}

// TestHistoryOfAccounts reaches the rules, whatever a reload or a step of the clock does, and costs
// nothing if no rule reads it.
func TestHistoryOfAccounts(t *testing.T) {
	s := tellStory(t, abroad(t))
	if want := s.wants("log.x"); !want[event.AuthSuccess] || !want[event.AuthFailure] || !want[event.Registered] {
		t.Errorf("the source is asked for %v", want)
	}
	s.account(event.AuthSuccess, victim, 0)
	s.account(event.Call, victim, 47*time.Hour)
	cfg := *s.cfg
	cfg.Rules = []*rule.Spec{banning(t)}
	s.Reload(&cfg)
	if s.wants("log.x")[event.AuthSuccess] {
		t.Error("the source is asked for logins that no rule uses")
	}
	s.account(event.Call, other, time.Hour)
	cfg.Rules = []*rule.Spec{abroad(t)}
	s.Reload(&cfg)
	s.known.step(time.Hour)
	s.now = s.now.Add(time.Hour)
	s.account(event.Call, elsewhere, time.Hour)
	s.account(event.Call, elsewhere, 59*time.Minute)
	s.account(event.Call, elsewhere, time.Minute)
	s.account(event.Call, victim, time.Minute)
	s.want("alert 203.0.113.5: call from 203.0.113.5", "alert 203.0.113.5: call from 203.0.113.5")
	if n := s.known.history.Size(); n != 1 {
		t.Errorf("%d accounts", n)
	}
}

// TestForgersMakeNoAccountGuessed has a forger fail at an account, on the wire, which tells, and on
// another source, which does not.
func TestForgersMakeNoAccountGuessed(t *testing.T) {
	for name, c := range map[string]struct {
		tell func(*story)
		want []string
	}{
		"forged on the wire":   {func(s *story) { s.forged(9) }, nil},
		"proven on the wire":   {func(s *story) { s.proven(5) }, []string{"alert 203.0.113.5: call from 203.0.113.5"}},
		"of another source":    {func(s *story) { s.reports(9, "log.x", event.AuthFailure, victim, false) }, []string{"alert 203.0.113.5: call from 203.0.113.5"}},
		"both, the wire hears": {func(s *story) { s.forged(1); s.reports(9, "log.x", event.AuthFailure, victim, false) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := tellWire(t, abroad(t))
			s.t = t
			c.tell(s)
			source := "log.x"
			if name == "proven on the wire" {
				source = "sip.wire"
			}
			ev := account(event.Call, elsewhere, s.now)
			ev.Source, ev.Domain = source, ""
			s.observe(&ev, s.now)
			if err := s.settle(); err != nil {
				t.Fatal(err)
			}
			s.want(c.want...)
		})
	}
}

// TestHistorySurvivesARestart ends and starts an engine, and asks the second one about a call.
func TestHistorySurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		run := func(events ...event.Event) *Engine {
			cfg := guessing(t, config.Source{Ref: "log.x", Source: timed{&script{events: events}}})
			cfg.Rules = []*rule.Spec{abroad(t)}
			e := New(cfg, Options{})
			if err := e.Restore(store, time.Now()); err != nil {
				t.Fatal(err)
			}
			return e
		}
		if err := run(account(event.AuthSuccess, victim, time.Now())).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Hour)
		for ip, want := range map[string]bool{victim: false, elsewhere: true} {
			ev := account(event.Call, ip, time.Now())
			e := run()
			if e.known.fill(&ev, time.Now()); ev.NewNetwork != want || ev.HistoryDays != 1 {
				t.Errorf("%s: new %v, want %v; history of %d days", ip, ev.NewNetwork, want, ev.HistoryDays)
			}
		}
	})
}

// TestProbeComparesWithTheHistory asks a running engine about a call, which changes nothing.
func TestProbeComparesWithTheHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := guessing(t)
		cfg.Rules = []*rule.Spec{abroad(t)}
		cfg.Rules[0].On = []string{"log.quiet"}
		e := runQuietly(t, cfg)
		login := account(event.AuthSuccess, victim, time.Now())
		if err := e.Do(t.Context(), func() { e.observe(&login, e.now) }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Hour)
		for range 2 {
			found, err := e.Probe(t.Context(), Probe{Source: "log.quiet",
				Event: map[string]string{"event": event.Call, "user": "1000", "domain": "pbx", "ip": elsewhere, "variable_sip_authorized": "true"}})
			if err != nil {
				t.Fatal(err)
			}
			if got := found.Events[0]; got.Fields["new_network"] != "true" || len(got.Rules) != 1 {
				t.Errorf("%+v", got)
			}
			time.Sleep(2 * time.Hour)
		}
	})
}
