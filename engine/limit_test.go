package engine

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

// An accountHolder has an account, registered at its own address, and guesses at others. The switch answers
// what is not dropped.
type accountHolder struct {
	*story
	sources  []string // that report its failures
	proven   bool     // on the wire
	answered []time.Time
}

// tellHolder begins with a registration, for a time before the first guess.
func tellHolder(t *testing.T, before time.Duration, sources ...string) *accountHolder {
	t.Helper()
	spec := banning(t)
	spec.Threshold = &rule.Threshold{Count: 5, Within: 10 * time.Minute, Per: spec.Threshold.Per}
	slow := *spec
	slow.Name, slow.Threshold = "slow", &rule.Threshold{Count: 20, Within: 12 * time.Hour, Per: spec.Threshold.Per}
	g := &accountHolder{story: tellWire(t, spec, &slow), sources: sources, proven: true}
	g.ledger.SetKinds([]ban.TargetKind{ban.TargetEndpoint})
	for _, source := range sources {
		g.registers(source, "1001", 5060)
	}
	g.now = g.now.Add(before)
	return g
}

func (g *accountHolder) registers(source, user string, port uint16) {
	g.observe(&event.Event{Time: g.now, Name: event.Registered, Source: source, User: user, Domain: "pbx", IP: netip.MustParseAddr(victim), Port: port,
		CallID: user, Proven: true, Fields: map[string]string{"expires": "604800", "authenticated": "true"}}, g.now)
}

// guess tries an account, and reports whether the switch answered.
func (g *accountHolder) guess(user string, port uint16) bool {
	g.t.Helper()
	g.advance(g.now)
	at := netip.AddrPortFrom(netip.MustParseAddr(victim), port)
	for _, target := range []ban.Target{ban.Address(at.Addr()), ban.Endpoint(at, ban.UDP)} {
		if _, banned := g.ledger.Covering(target); banned {
			return false
		}
	}
	for _, source := range g.sources {
		name, domain, _ := strings.Cut(user, "@")
		ev := &event.Event{Time: g.now, Name: event.AuthFailure, Source: source, User: name, Domain: cmp.Or(domain, "pbx"), IP: at.Addr(), Port: port}
		if g.known.proves[source] && g.proven {
			ev.Proven = true
		}
		g.observe(ev, g.now)
	}
	if err := g.settle(); err != nil {
		g.t.Fatal(err)
	}
	g.answered = append(g.answered, g.now)
	return true
}

// most returns the largest number of answered guesses within a time.
func (g *accountHolder) most(within time.Duration) (most int) {
	first := 0
	for i, at := range g.answered {
		for at.Sub(g.answered[first]) >= within {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func (g *accountHolder) said() string {
	var lines []string
	for _, c := range g.got {
		if c.Kind == ban.KindBan || c.Kind == ban.KindSpare {
			lines = append(lines, fmt.Sprintf("%s %s %s: %s", c.Kind, c.Target, c.Term, c.Text()))
		}
	}
	return strings.Join(lines, "\n")
}

// TestGuessesOfAPhonesAddress guesses for a day and more, at every pace, from a new port each time.
func TestGuessesOfAPhonesAddress(t *testing.T) {
	both, wire, log := []string{"sip.wire", "log.x"}, []string{"sip.wire"}, []string{"log.x"}
	for _, before := range []time.Duration{time.Minute, 24 * time.Hour} {
		for name, c := range map[string]struct {
			sources   []string
			accounts  int
			limit     int // security.protected_failures
			hour, day int // guesses answered, at most
		}{
			"on the wire":                 {wire, 300, 0, 20, 60},
			"on both":                     {both, 300, 0, 20, 60},
			"two accounts":                {both, 2, 0, 20, 60},
			"without the wire":            {log, 300, 0, 120, 24 * 120},
			"one account":                 {log, 1, 0, 120, 24 * 120},
			"strict":                      {log, 300, 20, 20, 60},
			"strict, one account":         {log, 1, 20, 20, 60},
			"one account, on both":        {both, 1, 0, 120, 24 * 120},
			"one account, strict, proven": {both, 1, 20, 20, 60},
		} {
			for _, every := range []time.Duration{time.Second, 31 * time.Second, 181 * time.Second} {
				g := tellHolder(t, before, c.sources...)
				g.cfg.Security.ProtectedFailures = c.limit
				for n, end := 0, g.now.Add(26*time.Hour); g.now.Before(end); n++ {
					g.guess(fmt.Sprint(2000+n%c.accounts), uint16(10_000+n%50_000))
					if b, banned := g.ledger.Covering(ban.Address(netip.MustParseAddr(victim))); banned {
						g.now = b.Until
					}
					g.now = g.now.Add(every)
				}
				if hour, day := g.most(time.Hour), g.most(24*time.Hour); hour > c.hour || day > c.day {
					t.Errorf("%s, registered %s before, every %s: %d in an hour, want at most %d; %d in a day, want at most %d\n%.2000s", name, before, every, hour, c.hour, day, c.day, g.said())
				}
			}
		}
	}
}

// TestOfficeWorksAllDay has one phone of five with an old password, at a phone's pace, over
// connections with a new port each time, and the failures of forged senders beside it.
func TestOfficeWorksAllDay(t *testing.T) {
	for name, sources := range map[string][]string{"the wire": {"sip.wire"}, "the stream": {"log.x"}, "both": {"sip.wire", "log.x"}} {
		g := tellHolder(t, 2*time.Hour, sources...)
		for i := range 4 {
			for _, source := range sources {
				g.registers(source, fmt.Sprint(1002+i), uint16(5061+i))
			}
		}
		for n := range 24 * 60 {
			if n%60 == 0 { // as it starts, it tries five times at once
				for i := range 5 {
					g.guess("1000", uint16(30_000+5*n+i)%60_000+1024)
				}
			}
			g.guess("1000", uint16(10_000+n))
			if len(sources) == 2 {
				g.proven = false
				g.guess(fmt.Sprint(3000+n), uint16(1000+n))
				g.proven = true
			}
			g.now = g.now.Add(time.Minute)
		}
		for _, c := range g.got {
			if c.InForce() && c.Target.Kind() != ban.TargetEndpoint {
				t.Errorf("%s: %s %s: %s", name, c.Kind, c.Target, c.Text())
				break
			}
		}
	}
}

// TestAddressOfAThiefIsBannedForLonger: each ban beyond the limits is longer, and names the accounts.
func TestAddressOfAThiefIsBannedForLonger(t *testing.T) {
	g := tellHolder(t, 2*time.Hour, "log.x")
	for n := range 24 * 60 * 60 {
		g.guess("1002", uint16(10_000+n%50_000))
		g.now = g.now.Add(time.Second)
	}
	var terms []string
	for _, c := range g.got {
		if c.Kind == ban.KindBan && c.Target.Kind() == ban.TargetAddress {
			terms = append(terms, c.Term.String())
			if !strings.HasPrefix(c.Ban.Reason, "office or thief: ") || !strings.Contains(c.Ban.Reason, "such as 1002@pbx; registered there: 1001@pbx") || len(c.Evidence) != 1 || c.Rule != "guessing" {
				t.Errorf("%+v", c)
			}
		}
	}
	if got := strings.Join(terms, " "); got != "10m 20m 40m 1h20m 2h40m 5h20m 10h40m 21h20m" {
		t.Errorf("bans of %s", got)
	}
	if first := g.got[0]; first.Kind != ban.KindSpare || !strings.Contains(first.Why, "failed: 1002@pbx") {
		t.Errorf("%s %s", first.Kind, first.Why)
	}
}

// TestForgersBeyondTheLimits has the failures of forged senders reported by the wire and the stream, in
// either order, through a reload and a step of the clock.
func TestForgersBeyondTheLimits(t *testing.T) {
	for _, registered := range []bool{true, false} {
		g := tellHolder(t, 2*time.Hour)
		if registered {
			g.registers("log.x", "1001", 5060)
		}
		g.talks()
		for n := range 2000 {
			g.now = g.now.Add(time.Second)
			at := netip.MustParseAddr(victim)
			stream := &event.Event{Time: g.now, Name: event.AuthFailure, Source: "log.x", User: fmt.Sprint(n), IP: at}
			wire := &event.Event{Time: g.now, Name: event.AuthFailure, Source: "sip.wire", User: fmt.Sprint(n), IP: netip.MustParseAddr("192.0.2.1"), Proven: true,
				Fields: map[string]string{"sender": victim}}
			if n%3 == 0 { // an unknown nonce
				wire.IP, wire.Proven, wire.Fields = at, false, nil
			}
			events := []*event.Event{wire, stream}
			for i := range events {
				g.observe(events[(i+n)%2], g.now)
			}
			switch n {
			case 500:
				g.Reload(g.cfg)
			case 1000:
				g.stepBack()
				g.known.step(-2 * time.Hour)
			}
		}
		if err := g.settle(); err != nil {
			t.Fatal(err)
		}
		banned := map[string]bool{}
		for _, c := range g.got {
			banned[c.Target.String()] = banned[c.Target.String()] || c.InForce()
		}
		if banned[victim] || !banned["192.0.2.1"] {
			t.Errorf("registered is %t: banned are %v", registered, banned)
		}
	}
}

// TestLimitsSurviveAStep fails before and after a step of the clock and a reload.
func TestLimitsSurviveAStep(t *testing.T) {
	g := tellHolder(t, 2*time.Hour, "log.x")
	for n := range 200 {
		g.guess("1002", uint16(10_000+n))
		if n == 60 {
			g.stepBack()
			g.known.step(-2 * time.Hour)
			g.Reload(g.cfg)
		}
		g.now = g.now.Add(time.Second)
	}
	if n := len(g.answered); n != 117 {
		t.Errorf("%d guesses are answered", n)
	}
}

// TestEndpointOfAFailureIsBanned: the port of the failure, where no phone registered.
func TestEndpointOfAFailureIsBanned(t *testing.T) {
	const udp, tcp = "198.51.100.7:40000/udp", "198.51.100.7:40000/tcp"
	for name, test := range map[string]struct {
		change func(*accountHolder, *event.Event)
		want   string // endpoints
	}{
		"of unknown transport":   {func(*accountHolder, *event.Event) {}, udp + " " + tcp},
		"UDP":                    {func(_ *accountHolder, ev *event.Event) { ev.Transport = "udp" }, udp},
		"TLS":                    {func(_ *accountHolder, ev *event.Event) { ev.Transport = "tls" }, tcp},
		"of a phone":             {func(_ *accountHolder, ev *event.Event) { ev.Port = 5060 }, ""},
		"without a port":         {func(_ *accountHolder, ev *event.Event) { ev.Port = 0 }, ""},
		"a phone's is not known": {func(g *accountHolder, _ *event.Event) { g.registers("log.x", "1009", 0) }, ""},
		"no action enforces it":  {func(g *accountHolder, _ *event.Event) { g.ledger.SetKinds(nil) }, ""},
		"a trusted address": {func(g *accountHolder, _ *event.Event) {
			g.ledger.Grant(ban.Trusted{Target: ban.Network(netip.MustParsePrefix(victim + "/32")), Author: "api"}, g.now)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := tellHolder(t, 2*time.Hour, "log.x")
			ev := event.Event{Name: event.AuthFailure, Source: "log.x", User: "1002", Domain: "pbx", IP: netip.MustParseAddr(victim), Port: 40_000}
			test.change(g, &ev)
			for range 10 {
				g.now = g.now.Add(time.Second)
				one := ev
				one.Time = g.now
				g.observe(&one, g.now)
			}
			if err := g.settle(); err != nil {
				t.Fatal(err)
			}
			var banned []string
			for _, c := range g.got {
				if c.InForce() {
					banned = append(banned, c.Target.String())
					if c.Term.String() != "40s" || c.Rule != "guessing" || c.Ban.Reason != "5 in 10m, per ip 198.51.100.7" {
						t.Errorf("%+v", c)
					}
				}
			}
			if got := strings.Join(banned, " "); got != test.want {
				t.Errorf("banned %s, want %s", got, test.want)
			}
		})
	}
}

// TestSameNumberOfAnotherTenant guesses the password of an account that has the attacker's own number
// in another domain.
func TestSameNumberOfAnotherTenant(t *testing.T) {
	g := tellHolder(t, 2*time.Hour, "sip.wire", "log.x")
	for n := range 500 {
		g.guess("1001@other", uint16(10_000+n))
		g.now = g.now.Add(time.Second)
	}
	if n := len(g.answered); n > 20 {
		t.Errorf("%d guesses are answered", n)
	}
}

// TestForgersBanFewPorts fails in the name of an office at its own account, from a new port each time.
func TestForgersBanFewPorts(t *testing.T) {
	g := tellHolder(t, 2*time.Hour, "log.x")
	spec := *g.cfg.Rules[0]
	b := *spec.Ban
	b.Terms, spec.Ban = []ban.Term{ban.Term(time.Hour)}, &b
	cfg := *g.cfg
	cfg.Rules = []*rule.Spec{&spec}
	g.Reload(&cfg)
	g.ledger.SetKinds([]ban.TargetKind{ban.TargetEndpoint})
	for n := range 2000 {
		g.guess("1001", uint16(10_000+n))
		g.now = g.now.Add(time.Second)
	}
	if n := len(g.ledger.Endpoints(ban.Address(netip.MustParseAddr(victim)))); n != maxEndpoints {
		t.Errorf("%d endpoints are banned, want %d", n, maxEndpoints)
	}
	if b, banned := g.ledger.Covering(ban.Address(netip.MustParseAddr(victim))); banned {
		t.Errorf("%s is banned", b.Target)
	}
}

// TestRuleTestsKnowNoEndpoints: the ban of an endpoint is none of the address.
func TestRuleTestsKnowNoEndpoints(t *testing.T) {
	cfg := guessing(t, config.Source{Ref: "log.x", Source: &script{}})
	cfg.Actions = []config.Action{{Ref: "iptables.drop", Blocks: true, Targets: []ban.TargetKind{ban.TargetEndpoint}}}
	address := netip.MustParsePrefix("203.0.113.7/32")
	given := func(name, user string, port uint16, times int) config.Given {
		return config.Given{Source: "log.x", Times: times, Every: time.Second, Event: &event.Event{Name: name, User: user, IP: address.Addr(), Port: port}}
	}
	test := config.Test{Rule: "guessing", Given: []config.Given{given(event.Registered, "1001", 5060, 1), given(event.AuthFailure, "1000", 40_000, 3)},
		Alerts: map[ban.Target]int{ban.Network(address): 1}}
	if differences, err := RunTest(cfg, test); err != nil || len(differences) != 0 {
		t.Errorf("%q, %v", differences, err)
	}
}
