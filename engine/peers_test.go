package engine

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/fleet"
	"freeswitch-security/engine/fleet/fleettest"
	"freeswitch-security/engine/status"
)

// runInFleet runs an engine as a node until the test ends.
func runInFleet(t *testing.T, s *fleettest.Server, name string, change func(*config.Config)) *Engine {
	t.Helper()
	cfg := guessing(t, config.Source{Ref: "log.quiet", Source: &listener{asked: make(chan map[string]bool, 10)}})
	cfg.Fleet = &config.Fleet{
		Servers: []string{fmt.Sprintf("nats://127.0.0.1:%d", s.Options.Port)}, Node: name, Bucket: "test",
		Share: []string{config.ShareBans}, MaxFromPeers: 100,
	}
	if change != nil {
		change(cfg)
	}
	e := New(cfg, Options{Dir: t.TempDir() + "/actions"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	awaitStatus(t, e, "it joins", func(s *status.Status) bool { return s.Fleet.Joined })
	return e
}

func awaitStatus(t *testing.T, e *Engine, what string, holds func(*status.Status) bool) {
	t.Helper()
	for tries := 0; ; tries++ {
		s, err := e.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if holds(&s) {
			return
		}
		if time.Sleep(2 * time.Millisecond); tries == 10_000 {
			t.Fatalf("not: %s: %+v", what, s.Fleet)
		}
	}
}

func awaitLedger(t *testing.T, e *Engine, target string, banned bool) ban.Ban {
	t.Helper()
	for range 10_000 {
		if b, ok := e.Ledger().Get(ban.Address(netip.MustParseAddr(target))); ok == banned {
			return b
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatalf("%s is not banned, or not unbanned: want %t", target, banned)
	return ban.Ban{}
}

// TestPeersBan: a ban, an unban and a trust of an operator reach the peers' ledgers, with the words of
// the node that decided.
func TestPeersBan(t *testing.T) {
	s := fleettest.Serve(t, nil)
	a, b := runInFleet(t, s, "a", nil), runInFleet(t, s, "b", nil)
	order := func(ip string) {
		t.Helper()
		o := orderOf(ip, "api alice", "1h", t)
		o.ByHand, o.Reason = true, "scans"
		o.Evidence = []ban.Evidence{{Time: time.Now(), Event: event.AuthFailure, Source: "log.quiet", User: "1000"}}
		if _, err := a.Ban(t.Context(), []ban.Order{o}); err != nil {
			t.Fatal(err)
		}
	}
	order("203.0.113.7")
	got := awaitLedger(t, b, "203.0.113.7", true)
	if evidence := b.Ledger().Evidence(&got); got.Author != "peer a" || got.Reason != "scans" || len(evidence) != 1 || evidence[0].User != "1000" {
		t.Errorf("%+v %+v", got, evidence)
	}
	if _, err := b.Unban(t.Context(), Release{Target: got.Target, Grace: time.Hour, Author: "api bob"}); err != nil {
		t.Fatal(err)
	}
	awaitLedger(t, a, "203.0.113.7", false)
	if _, ok := a.Ledger().Grace(got.Target); !ok {
		t.Error("the grace did not travel along")
	}
	order("203.0.113.8")
	awaitLedger(t, b, "203.0.113.8", true)
	network := ban.Network(netip.MustParsePrefix("203.0.113.0/28"))
	if _, err := b.Trust(t.Context(), []ban.Trusted{{Target: network, Author: "api bob", Since: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	awaitLedger(t, a, "203.0.113.8", false)
	if trust := a.Ledger().Trusted(network); trust == nil || trust.Author != "peer b" {
		t.Errorf("trust: %+v", trust)
	}
	if _, err := b.Untrust(t.Context(), network, false); err != nil {
		t.Fatal(err)
	}
	for range 10_000 {
		if a.Ledger().Trusted(network) == nil {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Error("still trusted")
}

// TestRecordInThisName: what a peer writes in the name of this node is a peer's decision, whatever its author: an unban
// for all ends it.
func TestRecordInThisName(t *testing.T) {
	b := runInFleet(t, fleettest.Serve(t, nil), "b", nil)
	target, now := ban.Address(netip.MustParseAddr("203.0.113.7")), time.Now()
	err := b.Do(t.Context(), func() {
		b.takeFromPeer(&fleet.Record{Kind: fleet.KindBan, Target: target, Node: "b", Start: now, Until: now.Add(time.Hour), Author: "api alice" + ban.OnlyHere})
		if got, ok := b.ledger.Get(target); !ok || got.Author != "peer b" {
			t.Errorf("%t %+v", ok, got)
		}
		b.takeFromPeer(&fleet.Record{Kind: fleet.KindUnban, Target: target, Node: "a", Start: now, Author: "api bob"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := b.Ledger().Get(target); ok {
		t.Errorf("still banned: %+v", got)
	}
}

// TestPeersAreAsked: a node takes no ban of what it trusts itself, or where a phone is registered, and
// says so; the ban stays in force at the others.
func TestPeersAreAsked(t *testing.T) {
	s := fleettest.Serve(t, nil)
	a := runInFleet(t, s, "a", nil)
	b := runInFleet(t, s, "b", func(cfg *config.Config) {
		cfg.Security.Protect.Registered = true
		cfg.Trusted = []ban.Trusted{{Target: ban.Network(netip.MustParsePrefix("192.0.2.0/24")), Name: "carriers"}}
	})
	err := b.Do(t.Context(), func() {
		b.known.learn(&event.Event{
			Name: event.Registered, Source: "log.quiet", IP: netip.MustParseAddr("203.0.113.7"), Port: 5060, User: "1000", Domain: "pbx", Time: b.now,
			Fields: map[string]string{"expires": "3600"},
		}, b.now)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, ip := range []string{"192.0.2.1", "203.0.113.7", "203.0.113.9"} {
		if _, err := a.Ban(t.Context(), []ban.Order{orderOf(ip, "api alice", "1h", t)}); err != nil {
			t.Fatal(err)
		}
	}
	awaitLedger(t, b, "203.0.113.9", true)
	awaitStatus(t, b, "it refuses two", func(s *status.Status) bool {
		return s.Fleet.Refused == 2 && len(s.Fleet.Peers) == 1 && s.Fleet.Peers[0].Refused == 2 && strings.Contains(s.Fleet.Peers[0].Why, "protected: registered")
	})
	if a.Ledger().Size() != 3 || b.Ledger().Size() != 1 {
		t.Errorf("%d and %d bans", a.Ledger().Size(), b.Ledger().Size())
	}
}

// TestOnlyHere: what a person bans, unbans, trusts and no longer trusts at one node alone is not told, and
// what peers decide leaves it alone.
func TestOnlyHere(t *testing.T) {
	s := fleettest.Serve(t, nil)
	a, b := runInFleet(t, s, "a", nil), runInFleet(t, s, "b", nil)
	order := func(e *Engine, ip, author string) {
		t.Helper()
		o := orderOf(ip, author, "1h", t)
		o.ByHand = true
		if _, err := e.Ban(t.Context(), []ban.Order{o}); err != nil {
			t.Fatal(err)
		}
	}
	order(a, "203.0.113.1", "api alice"+ban.OnlyHere)
	order(a, "203.0.113.2", "api alice")
	one, two := ban.Address(netip.MustParseAddr("203.0.113.1")), ban.Address(netip.MustParseAddr("203.0.113.2"))
	awaitLedger(t, b, "203.0.113.2", true)
	if _, err := b.Unban(t.Context(), Release{Target: two, Author: "api bob", Here: true}); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, b, "it refuses it", func(s *status.Status) bool { return s.Fleet.Refused == 1 })
	if _, err := b.Unban(t.Context(), Release{Target: one, Author: "api bob"}); err != nil {
		t.Fatal(err)
	}
	trust := ban.Trusted{Target: two, Author: "api bob" + ban.OnlyHere, Since: time.Now()}
	if _, err := b.Trust(t.Context(), []ban.Trusted{trust}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Trust(t.Context(), []ban.Trusted{{Target: ban.Address(netip.MustParseAddr("203.0.113.3")), Author: "api alice", Since: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	for b.Ledger().Trusted(ban.Address(netip.MustParseAddr("203.0.113.3"))) == nil { // all before is heard
		time.Sleep(2 * time.Millisecond)
	}
	awaitStatus(t, a, "it has heard the unban", func(s *status.Status) bool { return s.Fleet.Records == 3 })
	awaitLedger(t, a, "203.0.113.1", true)
	awaitLedger(t, a, "203.0.113.2", true)
	if a.Ledger().Trusted(two) != nil {
		t.Error("trust of one node reached another one")
	}
	for _, untrusted := range []ban.Trusted{trust, {Target: ban.Address(netip.MustParseAddr("203.0.113.3"))}} {
		if known, err := b.Untrust(t.Context(), untrusted.Target, true); err != nil || !known {
			t.Fatal(known, err)
		}
	}
	order(a, "203.0.113.4", "api alice")
	awaitLedger(t, b, "203.0.113.4", true)
	if a.Ledger().Trusted(ban.Address(netip.MustParseAddr("203.0.113.3"))) == nil {
		t.Error("what one node no longer trusts alone, another one does not trust either")
	}
	if _, err := b.Unban(t.Context(), Release{Target: two, Author: "api bob"}); err != nil {
		t.Fatal(err)
	}
	awaitLedger(t, a, "203.0.113.2", false)
}

// TestFleetIsReloaded: a reload takes a node to another server, to another bucket, out of its fleet and into it
// again. Its own bans go along, and those that are in force stay.
func TestFleetIsReloaded(t *testing.T) {
	first, second := fleettest.Serve(t, nil), fleettest.Serve(t, nil)
	a, b := runInFleet(t, first, "a", nil), runInFleet(t, first, "b", nil)
	order := func(e *Engine, ip string) {
		t.Helper()
		if _, err := e.Ban(t.Context(), []ban.Order{orderOf(ip, "api alice", "1h", t)}); err != nil {
			t.Fatal(err)
		}
	}
	reloads := byte(0)
	reload := func(change func(*config.Config)) {
		t.Helper()
		err := a.Do(t.Context(), func() {
			cfg := *a.cfg
			if cfg.Fleet != nil {
				one := *cfg.Fleet
				cfg.Fleet = &one
			}
			change(&cfg)
			if reloads++; cfg.Fleet != nil {
				cfg.Fleet.Fingerprint[0] = reloads
			}
			a.Reload(&cfg)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	url := fmt.Sprintf("nats://127.0.0.1:%d", second.Options.Port)
	joins := func(bucket string) {
		t.Helper()
		awaitStatus(t, a, "it joins", func(s *status.Status) bool {
			return s.Fleet.Joined && s.Fleet.Bucket == bucket && s.Fleet.Server == url && s.Fleet.Unsent == 0
		})
	}
	order(a, "203.0.113.1")
	awaitLedger(t, b, "203.0.113.1", true)
	order(b, "203.0.113.2")
	awaitLedger(t, a, "203.0.113.2", true)
	reload(func(cfg *config.Config) { cfg.Fleet.Servers = []string{url} })
	joins("test")
	c := runInFleet(t, second, "c", nil)
	awaitLedger(t, c, "203.0.113.1", true)
	awaitLedger(t, c, "203.0.113.2", true) // what the lost bucket had
	reload(func(cfg *config.Config) { cfg.Fleet.Bucket = "other" })
	joins("other")
	d := runInFleet(t, second, "d", func(cfg *config.Config) { cfg.Fleet.Bucket = "other" })
	awaitLedger(t, d, "203.0.113.1", true)
	before := *a.cfg.Fleet
	reload(func(cfg *config.Config) { cfg.Fleet = nil })
	order(a, "203.0.113.3")
	if s, err := a.Status(t.Context()); err != nil || s.Fleet != nil || a.Ledger().Size() != 3 {
		t.Errorf("out of its fleet: %+v, %d bans, %v", s.Fleet, a.Ledger().Size(), err)
	}
	reload(func(cfg *config.Config) { cfg.Fleet = &before })
	joins("other")
	awaitLedger(t, d, "203.0.113.3", true)
}
