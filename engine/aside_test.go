package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
)

// A kernel drops the packets of banned addresses in front of a source.
type kernel struct {
	wall

	mu    sync.Mutex                 // guards since
	since map[netip.Prefix]time.Time // of bans in force
}

func (k *kernel) Apply(_ context.Context, b ban.Batch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range b.Changes {
		if target := c.Target.Prefix(); !c.InForce() {
			delete(k.since, target)
		} else if k.since[target].IsZero() {
			k.since[target] = time.Now()
		}
	}
	return nil
}

// drops reports whether a packet of an address is dropped. One that came with the packet that led
// to the ban is not.
func (k *kernel) drops(ip netip.Addr) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for target, since := range k.since {
		if target.Contains(ip) && time.Since(since) >= underWay {
			return true
		}
	}
	return false
}

// A guardedScript is a switch behind a kernel.
type guardedScript struct {
	script
	kernel  *kernel
	dropped int
}

func (s *guardedScript) Follow(_ context.Context, stream plugin.Stream) error {
	stream.Ready()
	for _, ev := range s.events {
		if wait := time.Until(ev.Time); wait > 0 {
			<-time.After(wait)
		}
		synctest.Wait() // bans that expire now have
		if ofPacket := ev.Name == event.AuthFailure || ev.Name == event.Registered; ofPacket && s.kernel.drops(ev.IP) {
			s.dropped++
			continue
		}
		stream.Emit(&ev)
		synctest.Wait()
	}
	return nil
}

// persistent is an attack in which events follow one another also within the time under way.
func persistent(seed uint64, start time.Time) []event.Event {
	rng := rand.New(rand.NewPCG(seed, 2))
	events := slices.Concat(attack(rng, start, "log.x"), attack(rng, start, "log.x"), attack(rng, start, "log.x"))
	for i := range events {
		events[i].Time = events[i].Time.Add(time.Duration(rng.IntN(5)) * 30 * time.Millisecond)
		events[i].Live = true
	}
	slices.SortStableFunc(events, func(a, b event.Event) int { return a.Time.Compare(b.Time) })
	return events
}

// TestADryRunCountsAsAGuardThatBans: what a guard decides whose kernel drops packets is what a replay, a dry
// run and a run without auto_block decide on all that the switch would have reported without it.
func TestADryRunCountsAsAGuardThatBans(t *testing.T) {
	var changes, dropped, asRecorded int
	for seed := range uint64(40) {
		// Each run has a bubble, and so a clock, of its own.
		in := func(run func(t *testing.T, events []event.Event, cfg *config.Config, h *history, o Options)) (h history) {
			synctest.Test(t, func(t *testing.T) {
				cfg := guessing(t, config.Source{Ref: "log.x", Source: &script{}})
				cfg.Actions = []config.Action{{Ref: "wall.x", Blocks: true, Action: &kernel{since: map[netip.Prefix]time.Time{}}}}
				run(t, persistent(seed, time.Now().Add(time.Second)), cfg, &h, Options{OnChange: h.tell})
			})
			return h
		}
		follow := func(t *testing.T, cfg *config.Config, source plugin.Source, o Options) *Engine {
			cfg.Sources[0].Source = source
			e := New(cfg, o)
			if err := e.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			return e
		}
		replay := func(asRecorded bool, aside *uint64) history {
			return in(func(t *testing.T, events []event.Event, cfg *config.Config, _ *history, o Options) {
				o.AsRecorded = asRecorded
				e := New(cfg, o)
				if _, err := e.Replay(t.Context(), []Input{{Ref: "log.x", Source: &script{events: events}}}, nil); err != nil {
					t.Fatal(err)
				}
				*aside = e.SetAside()
			})
		}
		var aside, none uint64
		want := replay(false, &aside)
		guarded := in(func(t *testing.T, events []event.Event, cfg *config.Config, _ *history, o Options) {
			source := &guardedScript{script: script{events: events}, kernel: cfg.Actions[0].Action.(*kernel)}
			if e := follow(t, cfg, source, o); e.SetAside() != 0 || source.dropped != int(aside) {
				t.Errorf("seed %d: %d set aside by a guard that bans, %d dropped, %d set aside in the replay", seed, e.SetAside(), source.dropped, aside)
			}
		})
		want.diff(t, fmt.Sprintf("seed %d, guarded", seed), guarded)
		for name, adapt := range map[string]func(*config.Config, *Options){
			"dry run":              func(_ *config.Config, o *Options) { o.DryRun = true },
			"without auto_block":   func(cfg *config.Config, _ *Options) { cfg.Security.AutoBlock = false },
			"dry run without both": func(cfg *config.Config, o *Options) { o.DryRun, cfg.Security.AutoBlock = true, false },
		} {
			want.diff(t, fmt.Sprintf("seed %d, %s", seed, name), in(func(t *testing.T, events []event.Event, cfg *config.Config, _ *history, o Options) {
				adapt(cfg, &o)
				if e := follow(t, cfg, &script{events: events}, o); e.SetAside() != aside {
					t.Errorf("seed %d, %s: %d set aside, not %d", seed, name, e.SetAside(), aside)
				}
			}))
		}
		if all := replay(true, &none); none != 0 {
			t.Error("a replay as recorded set events aside")
		} else if !slices.Equal(all, want) {
			asRecorded++
		}
		changes, dropped = changes+len(want), dropped+int(aside)
	}
	if changes < 1000 || dropped < 1000 || asRecorded < 30 {
		t.Fatalf("%d changes, %d events set aside, %d replays as recorded differ: the stories test too little", changes, dropped, asRecorded)
	}
}

// TestAnHourOfGuesses: an address guesses once a second for an hour. Three guesses and those under way lead
// to a ban, and no more arrive until it ends.
func TestAnHourOfGuesses(t *testing.T) {
	spec := banning(t)
	spec.Ban.Terms = []ban.Term{mustTerm(t, "10m"), mustTerm(t, "1h"), mustTerm(t, "1d")}
	src := &script{}
	for i := range 3600 {
		src.events = append(src.events, event.Event{Time: morning.Add(time.Duration(i) * time.Second), Name: event.AuthFailure, Source: "log.x", IP: netip.MustParseAddr("203.0.113.7")})
	}
	cfg := guessing(t, config.Source{Ref: "log.x", Source: src})
	cfg.Rules, cfg.Actions = []*rule.Spec{spec}, []config.Action{{Ref: "wall.x", Blocks: true, Action: &wall{}}}
	var h history
	e := New(cfg, Options{OnChange: func(c *ban.Change) {
		h = append(h, fmt.Sprint(c.Kind, " ", c.Term, " after ", c.At.Sub(morning), " ", c.Offence))
	}})
	if _, err := e.Replay(t.Context(), []Input{{Ref: "log.x", Source: src}}, nil); err != nil {
		t.Fatal(err)
	}
	history{"ban 10m after 2s 1", "expire 10m after 10m2s 1", "ban 1h after 10m4s 2"}.diff(t, "an hour", h)
	if e.SetAside() != 3600-6 {
		t.Errorf("%d set aside", e.SetAside())
	}
}

// TestWhatIsSetAside bans an address, a /64 and an endpoint, and asks of events a second later.
func TestWhatIsSetAside(t *testing.T) {
	later := func(change func(*event.Event)) *event.Event {
		ev := &event.Event{Time: morning.Add(time.Second), Name: event.AuthFailure, Source: "log.x", IP: netip.MustParseAddr("203.0.113.7"), Port: 5060}
		change(ev)
		return ev
	}
	set := func(ip string, more ...func(*event.Event)) *event.Event {
		return later(func(ev *event.Event) {
			ev.IP, _ = netip.ParseAddr(ip)
			for _, change := range more {
				change(ev)
			}
		})
	}
	at := func(after time.Duration) func(*event.Event) {
		return func(ev *event.Event) { ev.Time = morning.Add(after) }
	}
	named := func(name string, repeat bool) func(*event.Event) {
		return func(ev *event.Event) { ev.Name, ev.Repeat = name, repeat }
	}
	sentBy := func(sender string) func(*event.Event) {
		return func(ev *event.Event) { ev.NonceIP, ev.Port, ev.Fields = ev.IP, 0, map[string]string{"sender": sender} }
	}
	over := func(transport string, port uint16) func(*event.Event) {
		return func(ev *event.Event) { ev.Transport, ev.Port = transport, port }
	}
	all := []ban.TargetKind{ban.TargetAddress, ban.TargetNetwork, ban.TargetEndpoint}
	drop := config.Action{Ref: "wall.x", Blocks: true, Action: &wall{}, Targets: all}
	for _, test := range []struct {
		name   string
		event  *event.Event
		action config.Action
		want   bool
	}{
		{"a failure", set("203.0.113.7"), drop, true},
		{"a success", set("203.0.113.7", named(event.AuthSuccess, false)), drop, true},
		{"a registration", set("203.0.113.7", named(event.Registered, false)), drop, true},
		{"a forged line by it", set("203.0.113.7", named(event.LogForgery, false)), drop, true},
		{"a forged line by an unknown writer", set("", named(event.LogForgery, false)), drop, false},
		{"a registration that the switch lists", set("203.0.113.7", named(event.Registered, true)), drop, false},
		{"a registration that ends", set("203.0.113.7", named(event.Unregistered, false)), drop, false},
		{"a gateway", set("203.0.113.7", named(event.Gateway, false)), drop, false},
		{"another address", set("203.0.113.8"), drop, false},
		{"no address", set(""), drop, false},
		{"before the ban", set("203.0.113.7", at(-time.Second)), drop, false},
		{"under way", set("203.0.113.7", at(underWay-1)), drop, false},
		{"no longer under way", set("203.0.113.7", at(underWay)), drop, true},
		{"in a banned network", set("2001:db8::7"), drop, true},
		{"beside it", set("2001:db8:0:1::7"), drop, false},
		{"with a nonce of the banned address, sent by another", set("203.0.113.7", sentBy("203.0.113.8")), drop, false},
		{"with a nonce of another address, sent by the banned one", set("203.0.113.8", sentBy("203.0.113.7")), drop, true},
		{"a banned endpoint", set("203.0.113.9", over("udp", 5060)), drop, true},
		{"a banned endpoint, of a source that knows no transport", set("203.0.113.9", over("", 5060)), drop, true},
		{"another port", set("203.0.113.9", over("udp", 5061)), drop, false},
		{"another protocol", set("203.0.113.9", over("tls", 5060)), drop, false},
		{"no port", set("203.0.113.9", over("udp", 0)), drop, false},
		{"an action that holds no state", set("203.0.113.7"), config.Action{Ref: "wall.x", Blocks: true, Action: &teller{}}, false},
		{"an action that does not block", set("203.0.113.7"), config.Action{Ref: "wall.x", Action: &wall{}}, false},
		{"an action for other targets", set("203.0.113.9", over("udp", 5060)), config.Action{Ref: "wall.x", Blocks: true, Action: &wall{}}, false},
		{"an action that the ban does not name", set("203.0.113.7"), config.Action{Ref: "wall.y", Blocks: true, Action: &wall{}, Targets: all}, false},
	} {
		cfg := guessing(t, config.Source{Ref: "log.x", Source: &script{}})
		cfg.Actions = []config.Action{test.action}
		e := New(cfg, Options{})
		e.ledger.SetKinds(all)
		e.dry = true
		for _, target := range []string{"203.0.113.7", "2001:db8::/64", "203.0.113.9:5060/udp"} {
			parsed, err := ban.ParseTarget(target)
			if err != nil {
				t.Fatal(err)
			}
			if c := e.ledger.Enter(ban.Order{Target: parsed, At: morning, Terms: []ban.Term{mustTerm(t, "1h")}, Author: ban.ByRule, Rule: "x", Actions: []string{"wall.x"}}, morning); !c.InForce() {
				t.Fatal(c.Why)
			}
		}
		if got := e.setsAside(test.event); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}
