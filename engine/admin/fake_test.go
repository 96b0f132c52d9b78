package admin

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

// A fakeGuard behaves as the engine does: it has a real ledger, a wall that holds
// what stands in the kernel, and can be broken.
type fakeGuard struct {
	ledger *ban.Ledger
	start  time.Time

	mu      sync.Mutex // guards what follows
	files   []ban.Trusted
	runTime []engine.Trusted
	wall    map[netip.Prefix]status.Entry
	stuck   string              // why the wall takes nothing; "": it does
	warning string              // of the source
	unheard string              // why the messenger's last attempt failed
	dry     bool                // no action runs
	unread  string              // why part of the wall cannot be seen; "": all of it can
	blind   error               // why nothing of it can
	unsaved error               // why nothing is durable
	broken  []engine.Diagnostic // what is wrong with the rule files
	slow    time.Duration       // how long a change takes

	looks, snapshots int // how often the kernel and the status were asked for
	most             int // orders in one call
}

func newFakeGuard() *fakeGuard {
	g := &fakeGuard{
		start: time.Now(), wall: map[netip.Prefix]status.Entry{},
		files: []ban.Trusted{
			{Network: prefix("198.51.100.0/24"), Name: "carriers", Comment: "SIP trunks", Where: "rules.d/00-site.hcl:4"},
			{Network: prefix("10.0.0.0/8"), Name: "security.trusted_networks", Where: "rules.d/00-site.hcl:9"},
			{Network: prefix("192.0.2.200/32"), Name: "this host"},
		},
	}
	g.ledger = ban.NewLedger(g.trust())
	return g
}

func prefix(s string) netip.Prefix {
	p, err := ban.ParseTarget(s)
	if err != nil {
		panic(err)
	}
	return p.Prefix()
}

// trust is everybody who is trusted; the mutex is held, but at the start.
func (g *fakeGuard) trust() *ban.Trust {
	all := slices.Clone(g.files)
	for _, t := range g.runTime {
		all = append(all, t.Trusted)
	}
	return ban.NewTrust(all)
}

func (g *fakeGuard) Block(ctx context.Context, orders []ban.Order) ([]engine.Outcome, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.most = max(g.most, len(orders))
	outcomes := make([]engine.Outcome, len(orders))
	for i, o := range orders {
		if o.Terms == nil {
			o.Terms = []ban.Term{ban.Term(time.Hour)}
		}
		g.ledger.Advance(o.At)
		outcomes[i].Change = g.ledger.Enter(o, o.At)
	}
	if err := g.settle(ctx); err != nil {
		return nil, err
	}
	for i := range outcomes {
		b := outcomes[i]
		outcomes[i].Applied, outcomes[i].Why = g.stuck == "", g.stuck
		if b.Change.InForce() && g.stuck == "" {
			g.wall[b.Change.Ban.Target.Prefix()] = status.Entry{Target: b.Change.Ban.Target, Packets: 3, Bytes: 180, Remaining: 3600}
		}
	}
	return outcomes, nil
}

// settle is the disk: the mutex is held.
func (g *fakeGuard) settle(ctx context.Context) error {
	if g.slow > 0 {
		select {
		case <-time.After(g.slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	_, err := g.ledger.Commit()
	return errors.Join(err, g.unsaved)
}

func (g *fakeGuard) Unblock(ctx context.Context, r engine.Release) (engine.Released, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	var lifted []ban.Change
	for {
		b, ok := g.ledger.Covering(r.Target)
		if !ok {
			break
		}
		lifted = append(lifted, *g.ledger.Unban(b.Target, r.Reason, now, 0))
		delete(g.wall, b.Target.Prefix())
	}
	g.ledger.Unban(r.Target, r.Reason, now, r.Grace)
	return engine.Released{Lifted: lifted, Applied: g.stuck == "", Why: g.stuck}, g.settle(ctx)
}

func (g *fakeGuard) Covering(target ban.Target) (ban.Ban, bool) { return g.ledger.Covering(target) }

func (g *fakeGuard) BansAfter(target ban.Target, limit int) []ban.Ban {
	var out []ban.Ban
	for _, b := range g.ledger.Bans() {
		if len(out) < limit && (!target.IsValid() || b.Target.Compare(target) > 0) {
			out = append(out, b)
		}
	}
	return out
}

func (g *fakeGuard) Trust(ctx context.Context, entries []engine.Trusted) ([]engine.TrustOutcome, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var outcomes []engine.TrustOutcome
	for _, e := range entries {
		g.runTime = slices.DeleteFunc(g.runTime, func(t engine.Trusted) bool { return t.Network == e.Network })
		g.runTime = append(g.runTime, e)
		lifted := g.ledger.SetTrust(g.trust(), time.Now())
		for _, c := range lifted {
			delete(g.wall, c.Ban.Target.Prefix())
		}
		outcomes = append(outcomes, engine.TrustOutcome{Lifted: lifted, Applied: g.stuck == "", Why: g.stuck})
	}
	return outcomes, g.settle(ctx)
}

func (g *fakeGuard) Untrust(ctx context.Context, network netip.Prefix) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := len(g.runTime)
	g.runTime = slices.DeleteFunc(g.runTime, func(t engine.Trusted) bool { return t.Network == network })
	g.ledger.SetTrust(g.trust(), time.Now())
	return len(g.runTime) < before, g.settle(ctx)
}

func (g *fakeGuard) Trusted() []engine.Trusted {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := slices.Clone(g.runTime)
	for _, f := range g.files {
		all = append(all, engine.Trusted{Trusted: f})
	}
	all = append(all, engine.Trusted{Trusted: ban.Trusted{Network: prefix("127.0.0.0/8"), Name: "loopback"}})
	return all
}

func (g *fakeGuard) Status(ctx context.Context) (status.Status, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.snapshots++
	latency := status.NewHistogram(0.001, 0.01)
	latency.Add(0.001)
	latency.Add(0.002)
	st := status.Status{
		Started: g.start, AutoBlock: true, DryRun: g.dry, QueueDepth: 2, Reload: status.Reload{At: g.start},
		Stats: status.Stats{
			Events: 40, ActiveBans: g.ledger.Size(), TrustedNetworks: len(g.files),
			Known: status.Known{Registrations: 14, Evicted: 2}, Corroborated: status.Corroborated{Confirmed: 8, Forged: 5, Unheard: 6},
			Tallies: []status.Tally{
				{Rule: "password guessing", Source: "log.freeswitch", Bans: 3, Unbans: 1, Refusals: 2, LastBan: g.start},
				{Bans: 1},
			},
		},
		Rules: []status.Rule{{Name: "password guessing", Where: "rules.d/20-registration.hcl:3", On: []string{"log.freeswitch"}, Matches: 30, Firings: 3, Tracked: 4}},
		Sources: []status.Source{
			{Name: "log.freeswitch", Running: true, Connects: 2, Restarts: 1, Events: 40, Lines: 1000, Bytes: 100_000, Doubted: 1, Lag: 1.5, LastEvent: g.start, Warning: g.warning},
		},
		Actions: []status.Action{{
			Name: "iptables.drop", Synced: true, LastApply: status.Apply{At: g.start, Took: 0.001, Changes: 1},
			Drift: status.Drift{Count: 1, Missing: 2, Notes: []string{"jump from INPUT was gone"}}, Latency: latency, Error: g.stuck,
		}, {
			Name: "webhook.noc", Synced: true,
			Report: status.Report{Delivery: &status.Delivery{Delivered: 12, Dropped: 1, Failed: 4, Waiting: 3, Since: g.start, Error: g.unheard}},
		}},
	}
	if g.unheard != "" {
		st.Actions[1].Add(status.Warning, "notification not delivered: %s", g.unheard)
	}
	if g.unsaved != nil {
		st.State.Error = g.unsaved.Error()
	}
	st.Sum()
	return st, nil
}

func (g *fakeGuard) Kernel(context.Context) ([]status.Kernel, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.looks++
	if g.blind != nil {
		return nil, g.blind
	}
	if g.dry {
		return nil, nil
	}
	k := status.Kernel{
		Action: "iptables.drop", Chain: "FREESWITCH", Backend: "rules", Versions: []string{"iptables v1.8.9 (nf_tables)"},
		Jumps: []status.Jump{{Family: "IPv4", Hook: "INPUT", Position: 1}},
	}
	k.Entries = slices.SortedFunc(maps.Values(g.wall), func(a, b status.Entry) int { return a.Target.Compare(b.Target) })
	if n := len(k.Entries); g.unread == "" {
		k.Count = &n
	} else {
		k.Unreadable(errors.New(g.unread))
		k.Problems[0].Subject = "action iptables.drop"
	}
	return []status.Kernel{k}, nil
}

func (g *fakeGuard) Trackers(_ context.Context, top int) ([]status.Tracker, error) {
	all := []status.Tracker{
		{Rule: "password guessing", Source: "log.freeswitch", Key: "203.0.113.9", Count: 4, Limit: 5, Within: 600, Last: g.start},
		{Rule: "password guessing", Source: "log.freeswitch", Key: "203.0.113.8", Count: 2, Limit: 5, Within: 600, Last: g.start},
	}
	return all[:min(top, len(all))], nil
}

func (g *fakeGuard) Reload(context.Context) ([]engine.Diagnostic, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.broken) > 0 {
		return g.broken, errors.New("1 mistake in rules.d")
	}
	return []engine.Diagnostic{{Severity: "warning", Summary: "Rule never fires", Where: "rules.d/20-registration.hcl:3,1"}}, nil
}

func (g *fakeGuard) Test(_ context.Context, p engine.Probe) (engine.Findings, error) {
	if p.Source != "" && p.Source != "log.freeswitch" {
		return engine.Findings{}, engine.Mistake("there is no source " + cut(p.Source))
	}
	fields := p.Event
	if fields == nil {
		if !strings.Contains(p.Line, "SIP auth failure") {
			return engine.Findings{Explain: "No event."}, nil
		}
		fields = map[string]string{"event": "auth_failure", "message": p.Line}
	}
	return engine.Findings{Events: []engine.Sighting{{Source: "log.freeswitch", Fields: fields, Rules: []string{"password guessing"}}}}, nil
}

func (g *fakeGuard) set(change func(*fakeGuard)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(g)
}
