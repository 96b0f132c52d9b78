package engine

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// A wall is an action that enforces bans, and records their targets.
type wall struct{ stands map[netip.Prefix]bool }

func (w *wall) Apply(_ context.Context, b ban.Batch) error {
	for _, c := range b.Changes {
		w.stands[c.Ban.Target.Prefix()] = c.InForce()
	}
	return nil
}

func (w *wall) Resync(_ context.Context, want iter.Seq[ban.Ban]) (plugin.Drift, error) {
	w.stands = map[netip.Prefix]bool{}
	for b := range want {
		w.stands[b.Target.Prefix()] = true
	}
	return plugin.Drift{}, nil
}

func (*wall) Repair(context.Context) (plugin.Drift, error) { return plugin.Drift{}, nil }

func (*wall) Withdraw(context.Context) error { return nil }

func (*wall) Inspect(context.Context) (status.Kernel, error) { return status.Kernel{}, nil }

// runQuietly runs an engine with a source that reports nothing until the test ends.
func runQuietly(t *testing.T, cfg *config.Config) *Engine {
	t.Helper()
	cfg.Sources = append(cfg.Sources, config.Source{Ref: "log.quiet", Source: &listener{asked: make(chan map[string]bool, 10)}})
	e := New(cfg, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	synctest.Wait()
	return e
}

func orderOf(ip, author, term string, t *testing.T) ban.Order {
	a := netip.MustParseAddr(ip)
	return ban.Order{Target: ban.Address(a), Address: a, Author: author, At: time.Now(), Terms: []ban.Term{mustTerm(t, term)}}
}

// A feed's bans are not passed to OnChange, but actions receive their ends.
func TestEndOfListedBanReachesActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		action := &teller{}
		cfg := guessing(t)
		cfg.Actions = []config.Action{{Ref: "teller.x", Action: action}}
		e := runQuietly(t, cfg)
		author := plugin.FeedAuthor + "x"
		if _, err := e.list(t.Context(), plugin.Listing{Author: author, Orders: []ban.Order{orderOf("203.0.113.7", author, "1h", t)}}); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		synctest.Wait()
		if len(action.told) != 2 || action.told[1] != ban.KindExpire {
			t.Fatalf("told of %v", action.told)
		}
	})
}

// While bans of rules are not enforced, they are not in force. The same order of an operator
// is, unless the ban of the rule covers a whole network.
func TestOrderTakesOverBanOfRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wall{}
		cfg := guessing(t)
		cfg.Security.AutoBlock = false
		cfg.Actions = []config.Action{{Ref: "wall.x", Action: w, Blocks: true}}
		g := runQuietly(t, cfg)
		host, network := orderOf("203.0.113.7", ban.ByRule, "1h", t), orderOf("198.51.100.1", ban.ByRule, "1h", t)
		host.Rule, network.Rule = "guessing", "guessing"
		host.Evidence = []ban.Evidence{{Event: "auth_failure"}}
		network.Target = ban.Network(netip.MustParsePrefix("198.51.100.0/24"))
		err := g.Do(t.Context(), func() {
			g.ledger.Enter(host, g.now)
			g.ledger.Enter(network, g.now)
		})
		if err != nil {
			t.Fatal(err)
		}
		for ip, stands := range map[string]bool{"203.0.113.7": true, "203.0.113.8": true, "198.51.100.1": false} {
			out, err := g.Ban(t.Context(), []ban.Order{orderOf(ip, "api alice", "30m", t)})
			if err != nil || out[0].Applied != stands || (out[0].Why == "") != stands || w.stands[single(netip.MustParseAddr(ip))] != stands {
				t.Errorf("%s: %+v, %v; there stand %v", ip, out, err, w.stands)
			}
		}
		b, _ := g.ledger.Covering(host.Target)
		if b.Author != "api alice" || len(g.ledger.Evidence(&b)) != 1 || b.Until.Sub(b.Start) != time.Hour || !strings.Contains(b.Reason, "banned by rule guessing before") {
			t.Errorf("taken over: %+v", b)
		}
	})
}

// listForAWhile has a feed list 203.0.113.7, and then no longer.
func listForAWhile(t *testing.T, e *Engine) {
	t.Helper()
	author := plugin.FeedAuthor + "x"
	order := orderOf("203.0.113.7", author, "24h", t)
	for _, l := range []plugin.Listing{{Author: author, Orders: []ban.Order{order}}, {Author: author, Gone: []netip.Prefix{order.Target.Prefix()}}} {
		if _, err := e.list(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
}

// A ban that a feed took over from a rule is the rule's again once the feed no longer
// lists its target.
func TestUnlistedBanIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := runQuietly(t, guessing(t))
		byRule := orderOf("203.0.113.7", ban.ByRule, "2h", t)
		byRule.Rule = "guessing"
		if err := e.Do(t.Context(), func() { e.ledger.Enter(byRule, e.now) }); err != nil {
			t.Fatal(err)
		}
		listForAWhile(t, e)
		if b, ok := e.ledger.Covering(byRule.Target); !ok || b.Author != ban.ByRule || b.Until.Sub(byRule.At) != 2*time.Hour {
			t.Fatalf("%+v", b)
		}
		<-time.After(2*time.Hour + time.Second)
		synctest.Wait()
		if n := e.ledger.Size(); n != 0 {
			t.Fatalf("%d bans stand after the rule's term", n)
		}
	})
}

// TestDelistingKeepsOffences takes an address off a feed: the next ban by a rule counts the
// offences before it.
func TestDelistingKeepsOffences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := runQuietly(t, guessing(t))
		byRule := orderOf("203.0.113.7", ban.ByRule, "40s", t)
		byRule.Rule = "guessing"
		if err := e.Do(t.Context(), func() { e.ledger.Enter(byRule, e.now) }); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		listForAWhile(t, e)
		byRule.At = time.Now()
		err := e.Do(t.Context(), func() {
			if c := e.ledger.Enter(byRule, e.now); !c.InForce() || c.Ban.Offence != 2 {
				t.Errorf("%+v", c)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestBusyIsNotStopped asks an engine that does not answer in time: the error is not that it
// has stopped.
func TestBusyIsNotStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(guessing(t), Options{}) // it does not run, so it takes no requests
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.Trackers(ctx, 1); !errors.Is(err, errBusy) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v", err)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := g.Trackers(cancelled, 1); !errors.Is(err, errStopped) {
			t.Errorf("%v", err)
		}
	})
}

// TestStoppedIsSaidAtOnce asks an engine while it stops, and after it: the error comes at once.
func TestStoppedIsSaidAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := guessing(t)
		cfg.Sources = []config.Source{{Ref: "log.quiet", Source: &listener{asked: make(chan map[string]bool, 10)}}}
		g := New(cfg, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.Run(ctx) }()
		synctest.Wait()
		if _, err := g.Trackers(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		asking, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := g.Trackers(asking, 1); !errors.Is(err, errStopped) {
			t.Errorf("trackers: %v", err)
		}
		if _, err := g.Ban(asking, []ban.Order{orderOf("203.0.113.7", "api alice", "1h", t)}); !errors.Is(err, errStopped) {
			t.Errorf("block: %v", err)
		}
		if err := g.Do(asking, func() {}); !errors.Is(err, errStopped) {
			t.Errorf("do: %v", err)
		}
		if waited := time.Since(start); waited > 0 {
			t.Errorf("waited %s", waited)
		}
	})
}

// TestRefusedEntriesAreNotKept enters entries of a feed that are refused: they must not
// take memory until the next commit.
func TestRefusedEntriesAreNotKept(t *testing.T) {
	e := New(guessing(t), Options{})
	e.now = morning
	var out plugin.Outcome
	for range maxTold + 1 {
		e.enterListed(orderOf("127.0.0.1", "feed x", "1h", t), &out)
	}
	e.enterListed(orderOf("203.0.113.7", "feed x", "1h", t), &out)
	if out.Banned != 1 || out.Refusals != maxTold+1 || len(out.Refused) != maxTold || out.Refused[0].Why != "trusted: loopback" {
		t.Errorf("%d bans, %d refusals, %d of them returned", out.Banned, out.Refusals, len(out.Refused))
	}
	changes, err := e.ledger.Commit()
	if err != nil || len(changes) != 1 {
		t.Errorf("%d changes, %v", len(changes), err)
	}
	tally := e.tallies[tallied{}]
	if tally == nil || tally.Refusals != maxTold+1 || tally.Bans != 1 {
		t.Errorf("counted: %+v", tally)
	}
}
