package engine

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
)

const victim, other = "198.51.100.7", "198.51.100.8"

// tellWire starts a story in which sip.wire tells what is proven, and log.x does not.
func tellWire(t *testing.T, rules ...*rule.Spec) *story {
	t.Helper()
	s := tellStory(t)
	cfg := *s.cfg
	cfg.Security.Protect.Dialogues = true
	cfg.Sources = append(cfg.Sources, config.Source{Ref: "sip.wire", Source: &script{}, Description: plugin.Description{Proves: true}})
	if len(rules) == 0 {
		rules = append(rules, banning(t))
	}
	cfg.Rules = nil
	for _, r := range rules {
		spec := *r
		spec.On = []string{"log.x", "sip.wire"}
		cfg.Rules = append(cfg.Rules, &spec)
	}
	s.Reload(&cfg)
	return s
}

// reports passes events of a source, one second apart.
func (s *story) reports(times int, source, name, ip string, proven bool) {
	s.t.Helper()
	for range times {
		s.now = s.now.Add(time.Second)
		s.observe(&event.Event{Time: s.now, Name: name, Source: source, User: "1000", IP: netip.MustParseAddr(ip), Proven: proven}, s.now)
	}
	if err := s.settle(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) forged(times int) { s.reports(times, "sip.wire", event.AuthFailure, victim, false) }
func (s *story) proven(times int) { s.reports(times, "sip.wire", event.AuthFailure, victim, true) }
func (s *story) talks()           { s.reports(1, "sip.wire", event.Dialogue, victim, true) }

const (
	three      = "3 in 1m, per ip 198.51.100.7"
	sparedTalk = "spare 198.51.100.7: protected: a call or login "
	forgeable  = " ago, and the sender may be forged; " + three
)

func TestForgedSendersBanNoAddressWithADialogue(t *testing.T) {
	for name, c := range map[string]struct {
		tell func(*story)
		want []string
	}{
		"a forger":           {func(s *story) { s.talks(); s.forged(9) }, []string{sparedTalk + "3s" + forgeable}},
		"without a dialogue": {func(s *story) { s.forged(3) }, []string{"ban 198.51.100.7: " + three}},
		"what is proven":     {func(s *story) { s.talks(); s.proven(3) }, []string{"ban 198.51.100.7: " + three}},
		"a forger does not complete what is begun": {func(s *story) { s.talks(); s.proven(2); s.forged(2) }, nil},
		"nor does the address what a forger began": {func(s *story) { s.talks(); s.forged(2); s.proven(1) }, nil},
		"an attacker does not hide": {func(s *story) { s.talks(); s.proven(2); s.forged(3); s.proven(1) },
			[]string{sparedTalk + "5s" + forgeable, "ban 198.51.100.7: " + three}},
		"a dialogue does not prove what was before it": {func(s *story) { s.forged(2); s.talks(); s.proven(1); s.proven(3) },
			[]string{sparedTalk + "1s" + forgeable, "ban 198.51.100.7: " + three}},
		"a day later": {func(s *story) { s.talks(); s.now = s.now.Add(24 * time.Hour); s.forged(3) }, []string{"ban 198.51.100.7: " + three}},
		"hours later, after a reload and a step of the clock": {func(s *story) {
			s.talks()
			s.now = s.now.Add(3*time.Hour + 20*time.Minute)
			s.Reload(s.cfg)
			s.known.dialogues.Step(-time.Minute)
			s.forged(3)
		}, []string{sparedTalk + "3h21m" + forgeable}},
		"another source's failures": {func(s *story) { s.talks(); s.reports(9, "log.x", event.AuthFailure, victim, false) },
			[]string{sparedTalk + "3s" + forgeable}},
		"another source's failures, which the wire has proven": {func(s *story) {
			s.talks()
			s.proven(2)
			s.reports(3, "log.x", event.AuthFailure, victim, false)
		}, []string{"ban 198.51.100.7: " + three}},
		"what another source alone can tell": {func(s *story) { s.talks(); s.reports(3, "log.x", event.ESLDenied, victim, false) }, nil},
		"another source's dialogues protect nothing": {func(s *story) { s.reports(1, "log.x", event.Dialogue, victim, true); s.forged(3) },
			[]string{"ban 198.51.100.7: " + three}},
	} {
		t.Run(name, func(t *testing.T) {
			s := tellWire(t)
			s.t = t
			c.tell(s)
			s.want(c.want...)
		})
	}
}

// TestOneForgedPacketBansNoAddressWithADialogue has a rule without a threshold.
func TestOneForgedPacketBansNoAddressWithADialogue(t *testing.T) {
	spec := *banning(t)
	spec.Threshold = nil
	s := tellWire(t, &spec)
	s.talks()
	s.forged(2)
	s.proven(1)
	s.want(
		"spare 198.51.100.7: protected: a call or login 1s ago, and the sender may be forged; auth_failure from 198.51.100.7",
		"ban 198.51.100.7: auth_failure from 198.51.100.7",
	)
}

// TestNetworksAreNarrowedBesideADialogue has a rule that bans the network around an attacker.
func TestNetworksAreNarrowedBesideADialogue(t *testing.T) {
	spec := *banning(t)
	ban := *spec.Ban
	ban.Network = rule.Network{V4: 24, V6: 64}
	spec.Ban = &ban
	s := tellWire(t, &spec)
	s.now = s.options.Clock.Now() // actions ask at any time
	s.talks()
	s.reports(3, "sip.wire", event.AuthFailure, other, false)
	s.reports(3, "sip.wire", event.AuthFailure, "203.0.113.9", false)
	s.forged(3)
	s.want(
		"ban 198.51.100.8: 3 in 1m, per ip 198.51.100.8",
		"ban 203.0.113.0/24: 3 in 1m, per ip 203.0.113.9",
		"spare 198.51.100.0/24: protected: a call or login 9s ago, and the sender may be forged; "+three,
	)
	if !s.spares(netip.MustParsePrefix("198.51.100.0/24")) || s.spares(netip.MustParsePrefix("203.0.113.0/24")) {
		t.Error("an action may drop the address with a dialogue, or may not drop others")
	}
}

// TestOrdersForAllSpareDialogues has a rule that bans every address that tried an account.
func TestOrdersForAllSpareDialogues(t *testing.T) {
	spec := *banning(t)
	th, ban := *spec.Threshold, *spec.Ban
	th.Per, ban.All = rule.Key{{Field: "user"}}, true
	spec.Threshold, spec.Ban = &th, &ban
	s := tellWire(t, &spec)
	s.forged(1)
	s.talks()
	s.reports(1, "sip.wire", event.AuthFailure, "203.0.113.9", false)
	s.reports(1, "sip.wire", event.AuthFailure, other, false)
	s.want(
		"spare 198.51.100.7: protected: a call or login 2s ago, and the sender may be forged; 3 in 1m, per user 1000",
		"ban 203.0.113.9: 3 in 1m, per user 1000",
		"ban 198.51.100.8: 3 in 1m, per user 1000",
	)
}

// TestOfficeOnTheWire is an office with two phones and a wrong password, as the wire and another
// source report it, and an attacker that adds failures of further accounts in its name.
func TestOfficeOnTheWire(t *testing.T) {
	both := []string{"sip.wire", "log.x"}
	for name, c := range map[string]struct {
		sources []string
		failed  []string // accounts
		forged  []string // likewise
		bans    bool
	}{
		"on the wire alone":             {both[:1], []string{"1003", "1004", "1005"}, nil, false},
		"on both":                       {both, []string{"1003", "1004", "1005"}, nil, false},
		"two accounts more than it has": {both, []string{"1003", "1004", "1005", "1006"}, nil, true},
		"forged on the wire":            {both[:1], []string{"1003", "1003", "1003"}, []string{"1", "2", "3", "4"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := tellWire(t)
			s.t = t
			cfg := *s.cfg
			cfg.Security.Protect = config.Protect{Registered: true}
			s.Reload(&cfg)
			tell := func(name, user string, proven bool) {
				s.now = s.now.Add(time.Second)
				for _, source := range c.sources {
					s.observe(&event.Event{Time: s.now, Name: name, Source: source, User: user, Domain: "of " + source, IP: netip.MustParseAddr(victim), Port: 5060, Proven: proven,
						Fields: map[string]string{"authenticated": "true", "expires": "3600"}}, s.now)
				}
			}
			tell(event.Registered, "1001", true)
			tell(event.Registered, "1002", true)
			for _, user := range c.forged {
				tell(event.AuthFailure, user, false)
				s.now = s.now.Add(time.Minute)
			}
			for _, user := range append(c.failed, c.failed...) {
				tell(event.AuthFailure, user, true)
			}
			if err := s.settle(); err != nil {
				t.Fatal(err)
			}
			if banned := s.ledger.Size() > 0; banned != c.bans {
				t.Errorf("banned: %v, want %v:\n%s", banned, c.bans, s.said())
			}
		})
	}
}

// TestDialoguesSurviveARestart ends and starts an engine, also with a clock that is an hour earlier.
func TestDialoguesSurviveARestart(t *testing.T) {
	for _, back := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(30 * 365 * 24 * time.Hour) // since 2000: a clock that is set
			store, h := newMemory(), hostOff(0)
			events := []event.Event{{Time: time.Now(), Name: event.Dialogue, Source: "sip.wire", IP: netip.MustParseAddr(victim)}}
			restored := func(events []event.Event) *Engine {
				cfg := guessing(t, config.Source{Ref: "sip.wire", Source: timed{&script{events: events}}})
				cfg.Sources[0].Description.Proves = true
				cfg.Security.Protect.Dialogues = true
				e := New(cfg, Options{Clock: h.clock()})
				if err := e.Restore(store, time.Now().Add(h.off())); err != nil {
					t.Fatal(err)
				}
				return e
			}
			if err := restored(events).Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			h.step(-back)
			e := restored(nil)
			ago := e.now.Sub(e.lastDialogue(netip.MustParsePrefix(victim+"/32"), netip.Addr{}))
			if want := map[time.Duration]time.Duration{0: time.Minute, time.Hour: 0}[back]; ago != want {
				t.Errorf("the clock is %s earlier: the dialogue was %s ago, want %s", back, ago, want)
			}
		})
	}
}
