package engine

import (
	"context"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/status"
)

// TestTrustedNames: a carrier is banned, and its name resolves to another address later. What it resolves to
// is unbanned and not banned again, until the name has moved on.
func TestTrustedNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, moved := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("203.0.113.10")
		var answer atomic.Pointer[netip.Addr]
		answer.Store(&old)
		cfg := guessing(t)
		cfg.Sources = []config.Source{{Ref: "log.x", Source: &listener{asked: make(chan map[string]bool, 1)}}}
		cfg.Names = []config.TrustedName{{Host: "sip.carrier.example", Trust: ban.Trusted{Name: "name sip.carrier.example of carrier"}}}
		ctx, cancel := context.WithCancel(t.Context())
		e := New(cfg, Options{Resolver: func(_ context.Context, network, _ string) ([]netip.Addr, error) {
			if network == "ip6" {
				return nil, nil
			}
			return []netip.Addr{*answer.Load()}, nil
		}})
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		order := func(addr netip.Addr) (c *ban.Change) {
			if err := e.Do(ctx, func() {
				c = e.ledger.Enter(ban.Order{Target: ban.Address(addr), Address: addr, Author: "operator", Terms: []ban.Term{ban.Permanent}}, e.now)
			}); err != nil {
				t.Fatal(err)
			}
			return c
		}
		after := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		if c := order(old); !c.InForce() {
			t.Fatalf("before the first lookup: %+v", c)
		}
		after(2 * time.Second)
		if _, banned := e.ledger.Covering(ban.Address(old)); banned {
			t.Error("the address is still banned")
		}
		if c := order(old); c.InForce() || !strings.Contains(c.Why, "trusted: name sip.carrier.example of carrier") {
			t.Errorf("an order: %+v", c)
		}
		answer.Store(&moved)
		after(6 * time.Minute)
		if c := order(moved); c.InForce() {
			t.Errorf("the new address: %+v", c)
		}
		if c := order(old); !c.InForce() {
			t.Errorf("the old address: %+v", c)
		}
		useless := netip.IPv4Unspecified()
		answer.Store(&useless)
		after(6 * time.Minute)
		s, err := e.Status(ctx)
		if problems := status.Problems(&s, nil); err != nil || len(s.Names) != 1 || !strings.Contains(problems[0].Text+problems[1].Text, "stay trusted") {
			t.Errorf("%v, problems %v", err, problems)
		}
		if c := order(moved); c.InForce() {
			t.Errorf("after a useless answer: %+v", c)
		}
		without := *cfg
		without.Names = nil
		if err := e.Do(ctx, func() { e.Reload(&without) }); err != nil {
			t.Fatal(err)
		}
		if c := order(moved); !c.InForce() {
			t.Errorf("without the name: %+v", c)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
