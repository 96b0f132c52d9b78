package fleet

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/fleet/fleettest"
)

// A guard is a node with a ledger, and no engine around them: nothing is protected but what is
// trusted.
type guard struct {
	*Node
	t      testing.TB
	ledger *ban.Ledger
	dir    string
	cfg    config.Fleet
	skew   time.Duration // of its clock
	log    *logged

	mu   sync.Mutex // the goroutine of the core
	stop func()
}

type logged struct {
	sync.Mutex
	bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.Buffer.Write(p)
}

func (l *logged) String() string {
	l.Lock()
	defer l.Unlock()
	return l.Buffer.String()
}

// newGuard makes a guard that does not run yet.
func newGuard(t testing.TB, s *fleettest.Server, name string, trusted ...ban.Trusted) *guard {
	t.Helper()
	return &guard{
		t: t, ledger: ban.NewLedger(ban.NewTrust(trusted)), dir: t.TempDir(), log: &logged{},
		cfg: config.Fleet{
			Servers: []string{fmt.Sprintf("nats://127.0.0.1:%d", s.Options.Port)}, Node: name, Bucket: "test",
			Share: []string{config.ShareBans, config.ShareCounts}, MaxFromPeers: config.DefaultFromPeers,
		},
	}
}

// start runs the guard until the end of the test, or until stop.
func (g *guard) start() *guard {
	g.t.Helper()
	g.Node = New(&g.cfg, Options{
		Ledger: g.ledger, Take: g.take, Durable: func(context.Context) error { return nil }, Enforced: func(b *ban.Ban) bool { return !strings.HasPrefix(b.Author, "feed ") },
		Now: g.now, Dir: g.dir, Version: "1.0", Log: slog.New(slog.NewTextHandler(g.log, nil)),
	})
	g.run()
	return g
}

func (g *guard) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func(n *Node) {
		defer close(done)
		n.Run(ctx)
	}(g.Node)
	g.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	g.t.Cleanup(g.stop)
}

// join starts the guard and waits until it has joined.
func (g *guard) join() *guard {
	g.t.Helper()
	g.start()
	g.await("it joins", func() bool { return g.Status().Joined })
	return g
}

func (g *guard) now() time.Time { return time.Now().Add(g.skew) }

func (g *guard) take(_ context.Context, records []*Record, busy func() map[ban.Target]bool) ([]Verdict, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	changed := busy()
	var verdicts []Verdict
	for _, r := range records {
		if changed[r.Target] {
			verdicts = append(verdicts, Verdict{Again: true})
			continue
		}
		verdicts = append(verdicts, Verdict{Refused: g.takeOne(r)})
	}
	g.ledger.Publish()
	return verdicts, nil
}

func (g *guard) takeOne(r *Record) string {
	now, author := g.now(), AuthorPrefix+r.Node
	switch r.Kind {
	case KindBan:
		term := ban.Permanent
		if !r.Until.IsZero() {
			term = ban.Term(r.Until.Sub(r.Start))
		}
		if b, ok := g.ledger.Get(r.Target); ok && outlasts(b.Until, r.Until) && !strings.HasPrefix(b.Author, "feed ") {
			g.ledger.Unban(r.Target, "by "+author, now, 0)
		}
		c := g.ledger.Enter(ban.Order{
			Target: r.Target, Rule: r.Rule, Author: author, Reason: r.Reason, At: r.Start, Terms: []ban.Term{term},
			Offence: r.Offence, ByHand: true, Evidence: r.Evidence,
		}, now)
		if !c.Banned() {
			return c.Why
		}
	case KindUnban:
		g.ledger.Unban(r.Target, "by "+author, now, max(0, r.Until.Sub(now)))
	case KindTrust:
		g.ledger.Grant(ban.Trusted{Target: r.Target, Author: author, Since: r.Start, Until: r.Until}, now)
	case KindUntrust:
		g.ledger.Revoke(r.Target)
	}
	return ""
}

// ban has a rule ban an address.
func (g *guard) ban(address string, term time.Duration) *ban.Change {
	return g.order(ban.Order{Rule: "guessing", Author: ban.ByRule, Reason: "5 failures"}, address, term)
}

func (g *guard) order(o ban.Order, target string, term time.Duration) *ban.Change {
	g.t.Helper()
	var err error
	if o.Target, err = ban.ParseTarget(target); err != nil {
		g.t.Fatal(err)
	}
	o.At, o.Terms = g.now(), []ban.Term{ban.Term(term)}
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.ledger.Enter(o, g.now())
	g.ledger.Publish()
	return c
}

// unban has a person unban an address.
func (g *guard) unban(address string, grace time.Duration) {
	target := ban.Address(netip.MustParseAddr(address))
	g.mu.Lock()
	defer g.mu.Unlock()
	now, until := g.now(), time.Time{}
	if grace > 0 {
		until = now.Add(grace)
	}
	g.ledger.Unban(target, "by api alice", now, grace)
	g.Unbanned(target, until, "api alice", "", now)
	g.ledger.Publish()
}

func (g *guard) get(target string) (ban.Ban, bool) {
	g.t.Helper()
	t, err := ban.ParseTarget(target)
	if err != nil {
		g.t.Fatal(err)
	}
	return g.ledger.Get(t)
}

func (g *guard) has(target string) bool {
	_, ok := g.get(target)
	return ok
}

// await waits until something holds.
func (g *guard) await(what string, holds func() bool) {
	g.t.Helper()
	for tries := 0; !holds(); tries++ { // counted: a machine that stands still is no reason to fail
		if time.Sleep(2 * time.Millisecond); tries == 10_000 {
			g.t.Fatalf("%s: not: %s\n%+v\n%s", g.cfg.Node, what, g.Status(), g.log)
		}
	}
}

func (g *guard) awaitBan(target string) {
	g.t.Helper()
	g.await(target+" is banned", func() bool { return g.has(target) })
}

func (g *guard) awaitUnban(target string) {
	g.t.Helper()
	g.await(target+" is unbanned", func() bool { return !g.has(target) })
}

func fleetOf(t testing.TB, s *fleettest.Server, names ...string) (all []*guard) {
	for _, name := range names {
		all = append(all, newGuard(t, s, name).join())
	}
	return all
}

// TestBansAreShared: a ban of one node is at the others with its end, its rule and its node, for each
// kind of target, and permanent ones; an unban ends it everywhere, and its grace holds everywhere.
func TestBansAreShared(t *testing.T) {
	s := fleettest.Serve(t, nil)
	all := fleetOf(t, s, "a", "b", "c")
	a, b, c := all[0], all[1], all[2]
	for _, target := range []string{"203.0.113.7", "198.51.100.0/24", "2001:db8::7", "2001:db8:1::/48", "::7", "203.0.113.9:5060/udp", "[2001:db8::9]:5060/tcp"} {
		a.ledger.SetKinds([]ban.TargetKind{ban.TargetEndpoint, ban.TargetAccount})
		b.ledger.SetKinds([]ban.TargetKind{ban.TargetEndpoint, ban.TargetAccount})
		want := a.ban(target, time.Hour)
		b.awaitBan(target)
		if got, _ := b.get(target); !got.Until.Equal(want.Until) || got.Rule != "guessing" || got.Author != "peer a" || got.Reason != "5 failures" {
			t.Errorf("%s: %+v, want %+v", target, got, want.Ban)
		}
	}
	b.order(ban.Order{Author: "api alice", ByHand: true}, "192.0.2.1", time.Duration(ban.Permanent))
	for _, g := range []*guard{a, c} {
		g.awaitBan("192.0.2.1")
		if got, _ := g.get("192.0.2.1"); !got.Until.IsZero() {
			t.Errorf("permanent ends at %s", got.Until)
		}
	}
	c.awaitBan("203.0.113.7")
	c.unban("203.0.113.7", time.Hour)
	a.awaitUnban("203.0.113.7")
	b.awaitUnban("203.0.113.7")
	if again := b.ban("203.0.113.7", time.Hour); again.Banned() || !strings.Contains(again.Why, "grace") {
		t.Errorf("banned in the grace of another node: %+v", again)
	}
}

// TestFeedsAreNotEchoed: what a feed bans stays here, and what a peer bans is not told again.
func TestFeedsAreNotEchoed(t *testing.T) {
	s := fleettest.Serve(t, nil)
	all := fleetOf(t, s, "a", "b")
	a, b := all[0], all[1]
	a.order(ban.Order{Author: "feed x"}, "203.0.113.1", time.Hour)
	a.ban("203.0.113.2", time.Hour)
	b.awaitBan("203.0.113.2")
	b.ban("203.0.113.3", time.Hour)
	a.awaitBan("203.0.113.3")
	if b.has("203.0.113.1") {
		t.Error("a feed's ban was told")
	}
	for _, g := range all {
		g.await("all is told", func() bool { return g.Status().Unsent == 0 && g.Status().Records == 2 })
	}
}

// TestOffline: a node without a server decides by itself. Back again, its decisions are told in order,
// also after a restart of the guard, and what it missed it hears.
func TestOffline(t *testing.T) {
	s := fleettest.Serve(t, nil)
	all := fleetOf(t, s, "a", "b")
	a, b := all[0], all[1]
	a.ban("203.0.113.1", time.Hour)
	b.awaitBan("203.0.113.1")
	s.Stop()
	a.await("it is alone", func() bool {
		p := a.Status().Problems
		return !a.Status().Joined && len(p) == 1 && strings.Contains(p[0].Text, "goes on by itself")
	})
	a.ban("203.0.113.2", time.Hour)
	a.unban("203.0.113.1", time.Hour)
	a.ban("203.0.113.3", time.Hour)
	a.unban("203.0.113.3", 0)
	a.await("it is noted", func() bool { return a.Status().Unsent == 3 })
	a.stop()
	b.ban("203.0.113.4", time.Hour)
	s.Start()
	a.join()
	a.awaitBan("203.0.113.4")
	b.awaitBan("203.0.113.2")
	b.awaitUnban("203.0.113.1")
	if b.has("203.0.113.3") {
		t.Error("a ban that was ended before it was told")
	}
}

// TestShorterBanAfterRestart: a ban that replaced a longer one while the node had no server is told after a restart.
func TestShorterBanAfterRestart(t *testing.T) {
	s := fleettest.Serve(t, nil)
	all := fleetOf(t, s, "a", "b")
	a, b := all[0], all[1]
	a.ban("203.0.113.1", 5*time.Hour)
	b.awaitBan("203.0.113.1")
	a.await("all is told", func() bool { return a.Status().Unsent == 0 })
	s.Stop()
	a.unban("203.0.113.1", 0)
	want := a.ban("203.0.113.1", time.Hour).Until
	a.await("it is noted", func() bool { return a.Status().Unsent == 1 })
	a.stop()
	s.Start()
	a.join()
	for _, g := range all {
		g.await("the shorter ban is in force", func() bool {
			got, banned := g.get("203.0.113.1")
			return banned && got.Until.Equal(want)
		})
	}
}

// TestLateCopy: a ban that was decided without the server, before another node unbanned its target,
// does not come back, whatever the clocks say; one that was decided after it does.
func TestLateCopy(t *testing.T) {
	s := fleettest.Serve(t, nil)
	a, b := newGuard(t, s, "a"), newGuard(t, s, "b")
	a.skew, b.skew = 2*time.Second, -2*time.Second
	a.join()
	b.join()
	a.ban("203.0.113.1", time.Hour)
	b.awaitBan("203.0.113.1")
	a.stop()
	b.unban("203.0.113.1", time.Minute)
	b.await("all is told", func() bool { return b.Status().Unsent == 0 })
	a.ban("203.0.113.1", 2*time.Hour) // an extension that it tells at its start
	a.join()
	a.awaitUnban("203.0.113.1")
	if b.has("203.0.113.1") {
		t.Error("the late copy came back")
	}
}

// TestNameIsUnique: a second guard of a name is refused in words, and takes the name when the first
// one has ended. A restart keeps it.
func TestNameIsUnique(t *testing.T) {
	s := fleettest.Serve(t, nil)
	a := newGuard(t, s, "a").join()
	second := newGuard(t, s, "a").start()
	second.await("it is refused", func() bool {
		p := second.Status().Problems
		return len(p) == 1 && strings.Contains(p[0].Text, `another guard has the name "a"`)
	})
	a.stop()
	second.await("it joins", func() bool { return second.Status().Joined })
	second.stop()
	second.join()
	if _, err := filepath.Glob(second.dir); err != nil {
		t.Fatal(err)
	}
}

// TestMessages: what a node publishes reaches its peers in order, and no more than the bound.
func TestMessages(t *testing.T) {
	s := fleettest.Serve(t, nil)
	a, b := newGuard(t, s, "a").join(), newGuard(t, s, "b")
	got := make(chan string, 4*MaxMessages)
	b.Node = New(&b.cfg, Options{Ledger: b.ledger, Take: b.take, Durable: func(context.Context) error { return nil }, Enforced: func(*ban.Ban) bool { return true },
		Now: b.now, Log: slog.New(slog.DiscardHandler)})
	b.Subscribe(config.ShareCounts, func(peer string, data []byte) { got <- peer + " " + string(data) })
	b.run()
	b.await("it joins", func() bool { return b.Status().Joined })
	if a.Publish(config.ShareRegistrations, nil) {
		t.Error("sent what is not shared")
	}
	sent := 0
	for range 3 * MaxMessages {
		if a.Publish(config.ShareCounts, fmt.Appendf(nil, "%d", sent)) {
			sent++
		}
	}
	if sent < messageBurst || sent >= 3*MaxMessages {
		t.Errorf("%d messages were sent", sent)
	}
	for i := range sent {
		if one := <-got; one != fmt.Sprintf("a %d", i) {
			t.Fatalf("message %d: %q", i, one)
		}
	}
}
