package engine

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/status"
)

// TestOfficeWithOneBadPhone is five registered phones behind one address and a
// sixth with an old password, for as long as they stay registered.
func TestOfficeWithOneBadPhone(t *testing.T) {
	spec := banning(t)
	spec.Ban.Terms = []ban.Term{mustTerm(t, "2h")}
	s := tellStory(t, spec)
	s.expires = "86400"
	for i := range 5 {
		s.hears(event.Registered, fmt.Sprint(1001+i), "203.0.113.7")
	}
	for range 50 { // 90 in an hour
		s.fails(3, "1000", "203.0.113.7")
		s.now = s.now.Add(2 * time.Minute)
		s.Reload(s.cfg)
	}
	s.want("spare 203.0.113.7: protected: registered (1001@pbx, 1002@pbx, 1003@pbx, …); failed: 1000@pbx; 3 in 1m, per ip 203.0.113.7")
	v := s.got[0]
	if v.Kind != ban.KindSpare || v.Standing || v.Offence != 1 || v.Term != mustTerm(t, "2h") || len(v.Evidence) != 3 {
		t.Errorf("verdict %+v", v)
	}
	if len(s.changes) != 1 || s.ledger.Size() != 0 {
		t.Fatalf("changes %+v, bans %v", s.changes, s.ledger.Bans())
	}
	c := s.changes[0]
	if c.Kind != ban.KindSpare || c.Why != v.Why || c.InForce() || !c.At.Equal(v.At) ||
		c.Ban.Rule != "guessing" || c.Ban.Author != ban.ByRule || c.Ban.Key != "203.0.113.7" || c.Ban.Offence != 1 ||
		!c.Ban.Until.Equal(v.At.Add(2*time.Hour)) || c.Ban.Actions != nil {
		t.Errorf("change %+v", c)
	}
}

// device passes an event of one port of an address.
func (s *story) device(name, user string, port uint16) {
	s.t.Helper()
	s.now = s.now.Add(time.Second)
	s.observe(&event.Event{Time: s.now, Name: name, Source: "log.x", User: user, Domain: "pbx", IP: netip.MustParseAddr("203.0.113.7"), Port: port, CallID: user}, s.now)
	if err := s.settle(); err != nil {
		s.t.Fatal(err)
	}
}

// TestDeviceOfSeveralAccounts is an attacker that holds accounts and guesses others with the same
// device, also with so much else in between that no window holds two failures, and a forger that
// does not know the port.
func TestDeviceOfSeveralAccounts(t *testing.T) {
	const spared, banned = "spare 203.0.113.7: protected: registered (1001@pbx, 1002@pbx); failed: 1000@pbx, 1003@pbx; 3 in 1m, per ip 203.0.113.7", "ban 203.0.113.7: 3 in 1m, per ip 203.0.113.7"
	for name, test := range map[string]struct {
		port  uint16 // of the failures; the accounts have 5060
		after time.Duration
		want  []string
	}{
		"the same device": {5060, 0, []string{spared, banned}},
		"another port":    {5061, 0, []string{spared}},
		"no port":         {0, 0, []string{spared}},
		"settled":         {5060, time.Hour, []string{spared}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := banning(t)
			spec.Ban.Terms = []ban.Term{mustTerm(t, "1d")}
			s := tellStory(t, spec)
			s.t = t
			for _, user := range []string{"1001", "1002"} {
				s.device(event.Registered, user, 5060)
			}
			s.now = s.now.Add(test.after)
			for _, user := range []string{"1001", "1002"} {
				s.device(event.Registered, user, 5060)
			}
			for _, user := range []string{"1000", "1003", "1000", "1004", "1005", "1006"} {
				s.device(event.AuthFailure, user, test.port)
			}
			s.want(test.want...)
		})
	}
	s := tellStory(t, banning(t))
	for _, user := range []string{"1001", "1002"} {
		s.device(event.Registered, user, 5060)
	}
	for user := range 4 {
		s.device(event.AuthFailure, fmt.Sprint(1003+user), 5060)
		s.now = s.now.Add(2 * time.Minute)
	}
	for range 3 {
		s.device(event.AuthFailure, "1000", 5060)
	}
	s.want(banned)
}

// TestForgersCannotHaveAnOfficeBanned has phones of an office registered for longer
// than an hour, and failures of any number of accounts reported in their name.
func TestForgersCannotHaveAnOfficeBanned(t *testing.T) {
	spec := banning(t)
	spec.Ban.Terms = []ban.Term{mustTerm(t, "1d")}
	s := tellStory(t, spec)
	for range 3 {
		s.hears(event.Registered, "1001", "203.0.113.7")
		s.hears(event.Registered, "1002", "203.0.113.7")
		s.now = s.now.Add(30 * time.Minute)
	}
	for user := range 100 {
		s.fails(1, fmt.Sprint(2000+user), "203.0.113.7")
	}
	s.want("spare 203.0.113.7: protected: registered (1001@pbx, 1002@pbx); failed: 2000@pbx, 2001@pbx, 2002@pbx; 3 in 1m, per ip 203.0.113.7")
	if s.ledger.Size() != 0 {
		t.Errorf("bans %+v", s.ledger.Bans())
	}
}

// TestSparingIsRepeated continues past the time that the ban would have taken, and
// past the registration.
func TestSparingIsRepeated(t *testing.T) {
	spec := banning(t) // bans for 40s
	s := tellStory(t, spec)
	s.hears(event.Registered, "1001", "203.0.113.7")
	s.fails(9, "1000", "203.0.113.7")
	s.now = s.now.Add(time.Minute)
	s.fails(3, "", "203.0.113.7")
	s.hears(event.Unregistered, "1001", "203.0.113.7")
	s.fails(3, "1000", "203.0.113.7")
	const spared = "spare 203.0.113.7: protected: registered (1001@pbx)"
	s.want(
		spared+"; failed: 1000@pbx; 3 in 1m, per ip 203.0.113.7",
		spared+"; 3 in 1m, per ip 203.0.113.7, and 2 more since the last one that was told",
		"ban 203.0.113.7: 3 in 1m, per ip 203.0.113.7",
	)
	if got := s.got[2]; got.Offence != 1 {
		t.Errorf("a ban that there was not counts as an offence: %+v", got)
	}
}

// TestAttackerBesideAPhone fails from the network of a registered phone.
func TestAttackerBesideAPhone(t *testing.T) {
	for _, test := range []struct {
		network     rule.Network
		phone, next string
		alone       string
	}{
		{rule.Host, "2001:db8::1", "2001:db8::2", "2001:db8::2"},
		{rule.Network{V4: 24, V6: 64}, "203.0.113.1", "203.0.113.2", "203.0.113.2"},
		{rule.Network{V4: 24, V6: 64}, "203.0.114.1", "203.0.113.2", "203.0.113.0/24"},
	} {
		spec := banning(t)
		spec.Ban.Network = test.network
		s := tellStory(t, spec)
		s.hears(event.Registered, "1001", test.phone)
		s.fails(3, "1000", test.next)
		if len(s.got) != 1 || !s.got[0].InForce() || s.got[0].Target.String() != test.alone {
			t.Errorf("beside %s: %s", test.phone, s.said())
		}
		s.fails(3, "1000", test.phone)
		if wide := test.alone == "203.0.113.0/24"; !wide && (len(s.got) != 2 || s.got[1].Kind != ban.KindSpare) {
			t.Errorf("the phone itself: %s", s.said())
		}
	}
}

// TestRegistrationKeepsBan registers a banned address: its ban neither ends nor is
// extended.
func TestRegistrationKeepsBan(t *testing.T) {
	short, long := banning(t), banning(t)
	long.Name, long.Ban = "stricter", &rule.Ban{Terms: []ban.Term{mustTerm(t, "1d")}, Network: rule.Host}
	long.Threshold = &rule.Threshold{Count: 6, Within: time.Minute, Per: short.Threshold.Per}
	s := tellStory(t, short, long)
	s.fails(3, "1000", "203.0.113.7")
	s.hears(event.Registered, "1001", "203.0.113.7")
	s.fails(3, "1000", "203.0.113.7")
	if len(s.got) != 3 || !s.got[0].InForce() || !s.got[1].Standing || s.got[2].Kind != ban.KindSpare {
		t.Fatalf("verdicts:\n%s", s.said())
	}
	if bans := s.ledger.Bans(); len(bans) != 1 || bans[0].Rule != "guessing" {
		t.Errorf("bans %+v", bans)
	}
}

// TestProtectionYields has an operator ban a registered address, and a rule ban it while
// protection is off.
func TestProtectionYields(t *testing.T) {
	s := tellStory(t, banning(t))
	s.hears(event.Registered, "1001", "203.0.113.7")
	order := ban.Order{Target: ban.Network(netip.MustParsePrefix("203.0.113.7/32")), Author: "api alice", At: s.now, Terms: []ban.Term{mustTerm(t, "1h")}}
	if c := s.ledger.Enter(order, s.now); !c.InForce() {
		t.Errorf("refuse to the operator: %+v", c)
	}

	without := *s.cfg
	without.Security.Protect = config.Protect{}
	s = tellStory(t, banning(t))
	s.hears(event.Registered, "1001", "203.0.113.7")
	s.Reload(&without)
	s.fails(3, "1000", "203.0.113.7")
	s.want("ban 203.0.113.7: 3 in 1m, per ip 203.0.113.7")
}

// TestSparedInsteadOfAlerted has a rule that bans and alerts: there is one change.
func TestSparedInsteadOfAlerted(t *testing.T) {
	spec := banning(t)
	spec.Ban.Actions = []string{"iptables.drop", "webhook.noc"}
	spec.Alert = &rule.Alert{Actions: []string{"esl.pbx", "webhook.noc"}}
	s := tellStory(t, spec)
	s.hears(event.Registered, "1001", "203.0.113.7")
	s.fails(3, "1000", "203.0.113.7")
	s.fails(3, "1000", "203.0.113.8")
	var told []string
	for _, c := range s.changes {
		told = append(told, fmt.Sprint(c.Kind, " ", c.Ban.Target.String(), " ", c.Ban.Actions))
	}
	if got, want := strings.Join(told, "\n"), "spare 203.0.113.7 [esl.pbx iptables.drop webhook.noc]\n"+
		"alert 203.0.113.8 [esl.pbx webhook.noc]\nban 203.0.113.8 [iptables.drop webhook.noc]"; got != want {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}
	spec.Alert.Actions = nil
	if all := actionsOfSparing(spec); all != nil {
		t.Errorf("an alert to all reaches %q", all)
	}
}

// TestRegisteredIsNotBanned plays random events, and compares each ban of a rule with
// a plain list of the registered addresses.
func TestRegisteredIsNotBanned(t *testing.T) {
	bans, spared := 0, 0
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 3))
		s := tellStory(t)
		s.cfg.Rules[0].Ban.Network = rule.Network{V4: 32 - rng.IntN(9), V6: 64}
		s.cfg.Rules[1].Ban.All = rng.IntN(2) == 0
		s.Reload(s.cfg)
		type place struct {
			ip    netip.Addr
			until time.Time
		}
		live := map[string]place{}
		now := morning
		for _, ev := range attack(rng, morning, "log.x") {
			if ev.Time.After(now) {
				now = ev.Time
			}
			switch {
			case ev.Name == event.Unregistered:
				// A phone without Call-ID and contact is the only one of its account at
				// its address.
				delete(live, ev.User+" "+ev.IP.String())
			case ev.Name == event.Registered:
				seconds, _ := time.ParseDuration(ev.Fields["expires"] + "s")
				maps.DeleteFunc(live, func(who string, _ place) bool { // an account has one place
					return strings.HasPrefix(who, ev.User+" ") && who != ev.User+" "+ev.IP.String()
				})
				one := live[ev.User+" "+ev.IP.String()]
				one.ip, one.until = ev.IP, later(one.until, ev.Time.Add(seconds+time.Minute))
				live[ev.User+" "+ev.IP.String()] = one
			}
			before := len(s.got)
			s.observe(&ev, now)
			if err := s.settle(); err != nil {
				t.Fatal(err)
			}
			for _, v := range s.got[before:] {
				if v.Kind == ban.KindSpare {
					spared++
				}
				if !v.InForce() {
					continue
				}
				bans++
				for who, one := range live {
					if v.Target.Prefix().Contains(one.ip) && one.until.After(now) {
						t.Fatalf("seed %d: %s is banned, where %s is registered", seed, v.Target, who)
					}
				}
			}
		}
	}
	if bans < 300 || spared < 100 {
		t.Errorf("%d bans and %d sparings: the stories test too little", bans, spared)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// TestASourceIsAskedForWhatProtectNeeds turns protection on by a reload, and off, and on
// again: a source goes on reporting the events that it was once asked for.
func TestASourceIsAskedForWhatProtectNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &listener{asked: make(chan map[string]bool, 10)}
		with := guessing(t, config.Source{Ref: "log.x", Source: src})
		with.Security.Protect = config.Protect{Registered: true}
		without := guessing(t, config.Source{Ref: "log.x", Source: src})
		without.Security.Protect = config.Protect{}
		e := New(without, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		if want := <-src.asked; len(want) != 1 {
			t.Errorf("asked for %v without protection", want)
		}
		for _, cfg := range []*config.Config{with, with, without, with} {
			if err := e.Do(ctx, func() { e.Reload(cfg) }); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := len(src.asked); n != 1 {
			t.Fatalf("asked %d times more, want once", n)
		}
		if want := <-src.asked; len(want) != 3 || !want[event.Registered] || !want[event.Unregistered] || !want[event.AuthFailure] {
			t.Errorf("asked for %v", want)
		}
		if own := e.rules.Wants("log.x"); len(own) != 1 {
			t.Errorf("the rules want %v now", own)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// A teller is an action that records its changes.
type teller struct{ told []ban.Kind }

func (a *teller) Apply(_ context.Context, batch ban.Batch) error {
	for _, c := range batch.Changes {
		a.told = append(a.told, c.Kind)
	}
	return nil
}

// TestActionReceivesSparing runs an engine live with an action that records.
func TestActionReceivesSparing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &script{}
		at := time.Now()
		add := func(name, user, ip string) {
			at = at.Add(time.Second)
			src.events = append(src.events, event.Event{Time: at, Name: name, Source: "log.x", User: user, IP: netip.MustParseAddr(ip)})
		}
		add(event.Registered, "1001", "203.0.113.7")
		for i := range 3 {
			add(event.AuthFailure, "1000", "203.0.113.7")
			add(event.AuthFailure, "1002", fmt.Sprint("198.51.100.", i))
		}
		noc, other := &teller{}, &teller{}
		cfg := guessing(t, config.Source{Ref: "log.x", Source: src})
		cfg.Actions = []config.Action{{Ref: "webhook.noc", Action: noc}, {Ref: "webhook.other", Action: other}}
		cfg.Rules = slices.Delete(cfg.Rules, 1, 2)
		cfg.Rules[1].Alert.Actions = []string{"webhook.noc"}
		src.after = func() { time.Sleep(time.Second) } // of the bubble: the runner has its turn
		e := New(cfg, Options{})
		if err := e.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(noc.told, other.told); got != "[spare alert] [spare]" {
			t.Errorf("told %s", got)
		}
	})
}

// TestRuleTestsKnowRegistrations plays the test of a rule file.
func TestRuleTestsKnowRegistrations(t *testing.T) {
	cfg := guessing(t, config.Source{Ref: "log.x", Source: &script{}})
	office := netip.MustParsePrefix("203.0.113.7/32")
	given := func(name, user string, times int) config.Given {
		return config.Given{Source: "log.x", Times: times, Every: time.Second, Event: &event.Event{Name: name, User: user, IP: office.Addr()}}
	}
	test := config.Test{Rule: "guessing", Given: []config.Given{given(event.Registered, "100<n>", 5), given(event.AuthFailure, "1000", 30)},
		Alerts: map[ban.Target]int{ban.Network(office): 1}}
	differences, err := RunTest(cfg, test)
	if err != nil || len(differences) != 0 {
		t.Errorf("%q, %v", differences, err)
	}
	test.Alerts, test.Bans = nil, map[ban.Target]ban.Term{ban.Network(office): mustTerm(t, "40s")}
	differences, err = RunTest(cfg, test)
	if err != nil || len(differences) != 2 ||
		!strings.Contains(differences[0], "got a refusal: protected: registered (1001, 1002, 1003, …)") ||
		differences[1] != "expected alerts about 203.0.113.7: 0, got 1" {
		t.Errorf("%q, %v", differences, err)
	}
}

// TestHostSparesTheSame calls Host.Spared as an action does that aggregates bans.
func TestHostSparesTheSame(t *testing.T) {
	s := tellStory(t, banning(t))
	if !s.spares(netip.MustParsePrefix("64:ff9b::c633:6400/120")) {
		t.Error("several IPv4 hosts are there, behind a translator")
	}
	network := netip.MustParsePrefix("203.0.113.0/24")
	if s.spares(network) {
		t.Error("no registration is there")
	}
	s.ledger.Grant(ban.Trusted{Target: ban.Network(netip.MustParsePrefix("203.0.113.9/32")), Author: "api"}, s.now)
	if !s.spares(network) {
		t.Error("a trusted address is there")
	}
	s.ledger.Revoke(ban.Network(netip.MustParsePrefix("203.0.113.9/32")))
	s.observe(&event.Event{Time: time.Now(), Name: event.Registered, Source: "log.x", User: "1001", IP: netip.MustParseAddr("203.0.113.7")}, time.Now())
	if !s.spares(network) {
		t.Error("a registered address is there")
	}
}

// outage is an office with one bad phone, of which the log alone tells while the stream is
// not heard. It returns the story after the ban.
func outage(t *testing.T, failed ...string) *story {
	t.Helper()
	spec := banning(t)
	spec.Ban.Terms = []ban.Term{mustTerm(t, "1d")}
	s := tellStory(t, spec)
	s.live.sources.progress["esl.pbx"] = &plugin.Progress{}
	s.disconnect()
	for _, user := range failed {
		s.fails(1, user, "203.0.113.7")
	}
	return s
}

func (s *story) disconnect() {
	s.live.sources.progress["esl.pbx"].Update(func(p *status.Source) { p.Disconnected = s.now })
}

// stepBack steps the host's clock.
func (s *story) stepBack() {
	const by = -2 * time.Hour
	s.ledger.Step(by)
	s.options.Clock.Follow(by)
	s.now = s.now.Add(by)
}

// lists passes a listed registration.
func (s *story) lists(user, ip string) {
	s.t.Helper()
	s.now = s.now.Add(time.Second)
	s.observe(&event.Event{
		Name: event.Registered, Source: "esl.pbx", Repeat: true, Time: s.now, IP: netip.MustParseAddr(ip), User: user, Domain: "pbx",
	}, s.now)
	if err := s.settle(); err != nil {
		s.t.Fatal(err)
	}
}

// TestBanOfAnOutageIsLifted has the log alone report a phone with an old password, and
// the stream list the others of its office afterwards.
func TestBanOfAnOutageIsLifted(t *testing.T) {
	const (
		banned = "ban 203.0.113.7: 3 in 1m, per ip 203.0.113.7"
		lifted = "unban 203.0.113.7: protected: registered (1001@pbx); failed: 1000@pbx; banned while source.esl.pbx did not hear the switch"
	)
	for name, test := range map[string]struct {
		failed []string
		before func(*story) // the list
		listed string
		want   []string
	}{
		"lifted":            {[]string{"1000", "1000", "1000"}, nil, "203.0.113.7", []string{banned, lifted}},
		"after a step back": {[]string{"1000", "1000", "1000"}, (*story).stepBack, "203.0.113.7", []string{banned, lifted}},
		"another address":   {[]string{"1000", "1000", "1000"}, nil, "203.0.113.8", []string{banned}},
		"an account holder": {[]string{"1000", "1002", "1003"}, nil, "203.0.113.7", []string{banned}},
		"begun before":      {[]string{"1000", "1000"}, func(s *story) { s.disconnect(); s.fails(1, "1000", "203.0.113.7") }, "203.0.113.7", []string{banned}},
		"banned before":     {[]string{"1000", "1000", "1000"}, (*story).disconnect, "203.0.113.7", []string{banned}},
		"by an operator": {nil, func(s *story) {
			s.now = s.now.Add(time.Second)
			s.ban(ban.Order{Target: ban.Address(netip.MustParseAddr("203.0.113.7")), Author: "api alice", Reason: "x", At: s.now, ByHand: true, Terms: []ban.Term{ban.Permanent}})
		}, "203.0.113.7", []string{"ban 203.0.113.7: x"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := outage(t, test.failed...)
			if test.before != nil {
				s.now = s.now.Add(time.Second)
				test.before(s)
			}
			s.lists("1001", test.listed)
			s.want(test.want...)
		})
	}
}

// TestLiftedBanIsAnOffence: the next ban is longer.
func TestLiftedBanIsAnOffence(t *testing.T) {
	s := outage(t, "1000", "1000", "1000")
	s.lists("1001", "203.0.113.7")
	s.hears(event.Unregistered, "1001", "203.0.113.7")
	s.observe(&event.Event{Time: s.now, Name: event.Unregistered, Source: "esl.pbx", User: "1001", Domain: "pbx"}, s.now)
	s.fails(3, "1000", "203.0.113.7")
	if last := s.got[len(s.got)-1]; last.Kind != ban.KindBan || last.Offence != 2 {
		t.Errorf("%s of offence %d", last.Kind, last.Offence)
	}
}

// TestOfficeOfManyBadPhonesIsLifted: each listed account allows one more that fails.
func TestOfficeOfManyBadPhonesIsLifted(t *testing.T) {
	s := outage(t, "1000", "1002", "1003")
	s.lists("1001", "203.0.113.7")
	s.lists("1004", "203.0.113.7")
	s.want("ban 203.0.113.7: 3 in 1m, per ip 203.0.113.7",
		"unban 203.0.113.7: protected: registered (1001@pbx, 1004@pbx); failed: 1000@pbx, 1002@pbx, 1003@pbx; banned while source.esl.pbx did not hear the switch")
}
