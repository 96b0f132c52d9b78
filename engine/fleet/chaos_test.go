package fleet

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/fleet/fleettest"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/time/rate"
)

// rounds is how often TestFleetAgreesWithModel lets the world fall apart; make soak sets it.
func rounds(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("FLEET_ROUNDS"))
	if err != nil {
		return 3
	}
	t.Logf("%d rounds", n)
	return n
}

// A decision is what a node decided about a target in one round.
type decision struct {
	banned bool
	until  time.Time
	grace  bool
}

// A world is a fleet with its server, whose connections come and go.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	server  *fleettest.Server
	nodes   []*guard
	proxies []*fleettest.Proxy
	down    bool
	made    map[string]map[int]decision // in this round, by target and node
}

// TestFleetAgreesWithModel has three nodes, whose clocks differ by two seconds, ban and unban while
// connections, the server and nodes come and go. Whenever all are connected again, all nodes agree,
// and on what the decisions allow: what one node alone decided, the longer of two bans, and an unban
// with grace against a rule.
func TestFleetAgreesWithModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("FLEET_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("FLEET_SEED=%d", seed)
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 0)), server: fleettest.Serve(t, nil)}
	for i, skew := range []time.Duration{-2 * time.Second, 0, 2 * time.Second} {
		g, p := newGuard(t, w.server, fmt.Sprintf("n%d", i)), w.server.NewProxy(t)
		g.skew, g.cfg.Servers = skew, []string{p.URL()}
		w.nodes, w.proxies = append(w.nodes, g.join()), append(w.proxies, p)
	}
	for round := range rounds(t) {
		before := w.agreed(round)
		w.made = map[string]map[int]decision{}
		for range 3 + w.rng.IntN(10) {
			w.disturb()
			w.decide()
		}
		w.heal()
		after := w.agreed(round)
		for target := range union(before, after, w.made) {
			w.check(round, target, before, after)
		}
		if t.Failed() {
			for _, g := range w.nodes {
				t.Logf("%s:\n%s", g.cfg.Node, g.log)
			}
			return
		}
	}
}

func union(before, after map[string]time.Time, made map[string]map[int]decision) map[string]bool {
	all := map[string]bool{}
	for target := range before {
		all[target] = true
	}
	for target := range after {
		all[target] = true
	}
	for target := range made {
		all[target] = true
	}
	return all
}

// disturb changes something about the world.
func (w *world) disturb() {
	i := w.rng.IntN(len(w.nodes))
	switch w.rng.IntN(8) {
	case 0, 1:
		w.proxies[i].Cut(true)
	case 2:
		w.proxies[i].Cut(false)
	case 3:
		if w.down = !w.down; w.down {
			w.server.Stop()
		} else {
			w.server.Start()
		}
	case 4:
		w.nodes[i].stop()
		w.nodes[i].start()
	}
}

// decide has a node ban or unban a target of which at most one other node decides in this round.
func (w *world) decide() {
	i := w.rng.IntN(len(w.nodes))
	g, target := w.nodes[i], fmt.Sprintf("203.0.113.%d", w.rng.IntN(12))
	if one := w.made[target]; one[i] != (decision{}) || len(one) > 1 {
		return
	}
	var d decision
	if w.rng.IntN(3) > 0 {
		c := g.ban(target, time.Duration(1+w.rng.IntN(5))*time.Hour)
		if !c.InForce() {
			return
		}
		d = decision{banned: true, until: c.Until}
	} else {
		banned := g.has(target)
		if d.grace = w.rng.IntN(2) == 0; d.grace {
			g.unban(target, time.Minute)
		} else if !banned {
			return
		} else {
			g.unban(target, 0)
		}
	}
	if w.made[target] == nil {
		w.made[target] = map[int]decision{}
	}
	w.made[target][i] = d
}

// heal connects all.
func (w *world) heal() {
	if w.down {
		w.down = false
		w.server.Start()
	}
	for _, p := range w.proxies {
		p.Cut(false)
	}
}

// agreed waits until all nodes agree, and returns the ends of the bans.
func (w *world) agreed(round int) map[string]time.Time {
	w.t.Helper()
	var all map[string]time.Time
	same := func() bool {
		all = bansOf(w.nodes[0])
		for _, g := range w.nodes {
			if s := g.Status(); !s.Joined || s.Unsent > 0 || fmt.Sprint(bansOf(g)) != fmt.Sprint(all) {
				return false
			}
		}
		return true
	}
	for tries := 0; !same(); tries++ {
		if time.Sleep(10 * time.Millisecond); tries == 2000 {
			for _, g := range w.nodes {
				w.t.Logf("%s: %v\n%+v\n%s", g.cfg.Node, bansOf(g), g.Status(), g.log)
			}
			stacks := make([]byte, 1<<20)
			w.t.Fatalf("round %d: the nodes do not agree\n%s", round, stacks[:runtime.Stack(stacks, true)])
		}
	}
	return all
}

func bansOf(g *guard) map[string]time.Time {
	all := map[string]time.Time{}
	for _, b := range g.ledger.Bans() {
		all[b.Target.String()] = b.Until
	}
	return all
}

// check checks what became of a target.
func (w *world) check(round int, target string, before, after map[string]time.Time) {
	w.t.Helper()
	var decisions []decision
	for _, d := range w.made[target] {
		decisions = append(decisions, d)
	}
	got, banned := after[target]
	state := decision{banned: banned, until: got}
	allowed := []decision{}
	switch len(decisions) {
	case 0:
		until, was := before[target]
		allowed = append(allowed, decision{banned: was, until: until})
	case 1:
		allowed = append(allowed, decisions[0])
	default:
		a, b := decisions[0], decisions[1]
		switch {
		case a.banned && b.banned && a.until.After(b.until):
			allowed = append(allowed, a)
		case a.banned && b.banned:
			allowed = append(allowed, b)
		case a.grace || b.grace:
			allowed = append(allowed, decision{})
		default:
			allowed = append(allowed, a, b)
		}
	}
	for _, one := range allowed {
		if one.grace = false; one == state {
			return
		}
	}
	w.t.Errorf("round %d: %s is %+v; before %v, decisions %+v", round, target, state, before[target], w.made[target])
}

// TestJoiner: a node that joins a fleet with many bans has them soon.
func TestJoiner(t *testing.T) {
	many := 3000
	if n, err := strconv.Atoi(os.Getenv("FLEET_BANS")); err == nil {
		many = n
	}
	s := fleettest.Serve(t, nil)
	a := newGuard(t, s, "a").join()
	start := time.Now()
	for i := range many {
		a.ban(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), time.Hour)
	}
	a.await("all is told", func() bool { return a.Status().Unsent == 0 && a.Status().Records == many })
	t.Logf("%d bans told in %s", many, time.Since(start))
	start = time.Now()
	b := newGuard(t, s, "b").join()
	t.Logf("a node with %d bans joined in %s", many, time.Since(start))
	if n := b.ledger.Size(); n != many {
		t.Errorf("%d bans, want %d", n, many)
	}
	b.stop()
	a.order(ban.Order{Author: "api alice", ByHand: true}, "192.0.2.1", time.Hour)
	start = time.Now()
	b.join()
	t.Logf("joined again in %s", time.Since(start))
	b.awaitBan("192.0.2.1")
}

// TestLatency logs how soon a ban of one node is in the ledger of another one.
func TestLatency(t *testing.T) {
	s := fleettest.Serve(t, nil)
	all := fleetOf(t, s, "a", "b")
	a, b := all[0], all[1]
	cursor := b.ledger.Cursor(true, ban.Levels)
	const times = 50
	var took []time.Duration
	for i := range times {
		start := time.Now()
		a.ban(fmt.Sprintf("203.0.113.%d", i), time.Hour)
		<-cursor.Ready()
		took = append(took, time.Since(start))
		cursor.Take()
	}
	slices.Sort(took)
	t.Logf("from the ledger of a node to that of another one: p50 %s, p99 %s", took[times/2], took[times-1])
	if b.ledger.Size() != times {
		t.Errorf("%d bans, want %d", b.ledger.Size(), times)
	}
}

// TestBeyondTheRate: what a peer decides beyond its rate is taken once the rate allows it.
func TestBeyondTheRate(t *testing.T) {
	g := newGuard(t, &fleettest.Server{Options: &server.Options{}}, "b")
	g.Node = New(&g.cfg, Options{Ledger: g.ledger, Take: g.take, Now: g.now, Log: slog.New(slog.DiscardHandler)})
	g.life, g.session = t.Context(), &session{current: true}
	target := ban.Address(netip.MustParseAddr("203.0.113.7"))
	r := &Record{
		Kind: KindBan, Target: target, Node: "a", Stamp: stampAt(g.now()), Start: g.now(), Until: g.now().Add(time.Hour),
		Author: ban.ByRule, Rule: "guessing", Offence: 1,
	}
	g.peers.of("a").changes = rate.NewLimiter(0, 0)
	g.hear(heard{g.session, message{key: r.id().key(), value: r.encode(), sequence: 1, number: 1}})
	g.takeLate()
	if why := g.table.entries[r.id()].refused; why != tooFast || g.has("203.0.113.7") {
		t.Fatalf("refused: %q, banned: %t", why, g.has("203.0.113.7"))
	}
	g.peers.of("a").changes = rate.NewLimiter(rate.Inf, 0)
	g.takeLate()
	if why := g.table.entries[r.id()].refused; why != "" || !g.has("203.0.113.7") {
		t.Errorf("refused: %q, banned: %t", why, g.has("203.0.113.7"))
	}
}

// TestManyBans logs how soon many bans of one node are in the ledgers of its peers.
func TestManyBans(t *testing.T) {
	many := 1000
	if n, err := strconv.Atoi(os.Getenv("FLEET_BANS")); err == nil {
		many = n
	}
	all := fleetOf(t, fleettest.Serve(t, nil), "a", "b", "c")
	var cursors []*ban.Cursor
	for _, peer := range all[1:] {
		cursors = append(cursors, peer.ledger.Cursor(true, ban.Levels))
	}
	start := time.Now()
	for i := range many {
		all[0].ban(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), time.Hour)
	}
	for i, peer := range all[1:] {
		for peer.ledger.Size() < many {
			<-cursors[i].Ready()
			cursors[i].Take()
		}
		t.Logf("%d bans are at %s after %s", many, peer.cfg.Node, time.Since(start))
	}
}
