package engine

import (
	"context"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/plugin"
)

// Bans, unbans and trust of one address at the same time leave the ledger and the kernel
// in agreement.
func TestConcurrentOrdersOnOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wall{}
		cfg := guessing(t)
		cfg.Actions = []config.Action{{Ref: "wall.x", Action: w, Blocks: true}}
		g := runQuietly(t, cfg)
		target := netip.MustParsePrefix("203.0.113.7/32")
		around := netip.MustParsePrefix("203.0.113.0/24")
		hands := []func() error{
			func() error {
				_, err := g.Ban(t.Context(), []ban.Order{orderOf("203.0.113.7", "api alice", "1h", t), orderOf("203.0.113.7", "api alice", "permanent", t)})
				return err
			},
			func() error {
				wide := orderOf("203.0.113.7", "api bob", "2h", t)
				wide.Target, wide.Address = ban.Network(around), netip.Addr{}
				_, err := g.Ban(t.Context(), []ban.Order{wide})
				return err
			},
			func() error {
				_, err := g.Unban(t.Context(), Release{Target: ban.Network(target), Author: "api carol"})
				return err
			},
			func() error {
				_, err := g.Trust(t.Context(), []ban.Trusted{{Target: ban.Network(target), Name: "whitelist", Author: "api dave", Since: time.Now()}})
				return err
			},
			func() error {
				_, err := g.Untrust(t.Context(), ban.Network(target), false)
				return err
			},
			func() error {
				_, err := g.list(t.Context(), plugin.Listing{Author: "feed x", Orders: []ban.Order{orderOf("203.0.113.7", "feed x", "1h", t)}})
				return err
			},
		}
		var all sync.WaitGroup
		for range 20 {
			for _, do := range hands {
				all.Go(func() {
					if err := do(); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		synctest.Wait()
		banned := map[netip.Prefix]bool{}
		for _, b := range g.ledger.Bans() {
			banned[b.Target.Prefix()] = true
		}
		for _, p := range []netip.Prefix{target, around} {
			if w.stands[p] != banned[p] {
				t.Errorf("%s: %t in the kernel, %t in the ledger", p, w.stands[p], banned[p])
			}
			if by := g.ledger.Trusted(ban.Network(p)); by != nil && banned[p] {
				t.Errorf("%s is banned, and trusted by %s", p, by)
			}
		}
	})
}

// A permanent ban by hand is not changed by a grace, a restart or a rule.
func TestPermanentStaysPermanent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	target := netip.MustParsePrefix("203.0.113.7/32")
	run := func(do func(*Engine)) {
		file, err := ban.OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		cfg := guessing(t)
		cfg.Sources = []config.Source{{Ref: "log.quiet", Source: &listener{asked: make(chan map[string]bool, 10)}}}
		g := New(cfg, Options{})
		if err := g.Restore(file, time.Now()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.Run(ctx) }()
		do(g)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	run(func(g *Engine) {
		if _, err := g.Ban(t.Context(), []ban.Order{orderOf("203.0.113.7", "api alice", "permanent", t)}); err != nil {
			t.Error(err)
		}
	})
	run(func(g *Engine) {
		if b, ok := g.ledger.Covering(ban.Network(target)); !ok || !b.Until.IsZero() || b.Author != "api alice" {
			t.Errorf("after a restart: %+v", b)
		}
		out, err := g.Ban(t.Context(), []ban.Order{orderOf("203.0.113.7", "api alice", "1h", t)})
		if b, _ := g.ledger.Covering(ban.Network(target)); err != nil || out[0].Changes[0].Kind != ban.KindRefuse || !b.Until.IsZero() {
			t.Errorf("shortened: %+v, %v", out, err)
		}
		if _, err := g.Unban(t.Context(), Release{Target: ban.Network(target), Grace: time.Hour, Author: "api bob"}); err != nil {
			t.Error(err)
		}
	})
	run(func(g *Engine) {
		if b, ok := g.ledger.Covering(ban.Network(target)); ok {
			t.Errorf("back after a restart: %+v", b)
		}
		byRule := orderOf("203.0.113.7", ban.ByRule, "1h", t)
		byRule.Rule = "guessing"
		err := g.Do(t.Context(), func() {
			if c := g.ledger.Enter(byRule, g.now); c.InForce() {
				t.Errorf("banned in its grace: %+v", c)
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
}
