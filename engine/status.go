package engine

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// status says how the engine is doing. It must be called on the goroutine that
// counts.
func (e *Engine) status() status.Status {
	s := status.Status{
		Started: e.started, Reload: e.reload,
		AutoBlock: e.cfg.Security.AutoBlock, DryRun: e.options.DryRun, QueueDepth: len(e.live.sources.reports), Rules: e.rules.Stats(),
		Stats: status.Stats{
			ActiveBans: e.ledger.Size(), TrustedNetworks: len(e.ledger.AllTrusted()),
			Events: e.events, SetAside: e.aside, Tallies: e.tallies.all(), Corroborated: e.verifier.Stats(),
		},
	}
	if err := e.live.saver.failed(); err != nil {
		s.State.Error = err.Error()
	}
	if e.live.damage != nil {
		s.State.Damage = e.live.damage.Error()
	}
	if d := e.known.dialogues; d != nil {
		s.Stats.Known.Dialogues = d.Size()
	}
	if e.known.usesHistory {
		s.Stats.Known.Accounts = e.known.history.Size()
	}
	if r := e.known.registrations; r != nil {
		s.Stats.Known.Registrations, s.Stats.Known.Evicted = r.Size()
	}
	if g := e.known.gateways; g != nil {
		s.Stats.Known.GatewaysRefused = g.Ignored()
	}
	for _, source := range e.cfg.Sources {
		s.Sources = append(s.Sources, e.sourceStatus(source.Ref))
	}
	for _, r := range e.runningActions() {
		one := r.runner.Status()
		_, level := r.Action.Action.(plugin.Level)
		one.Private = !level || slices.Contains(r.Targets, ban.TargetAccount)
		if r, ok := r.Action.Action.(plugin.Reporter); ok {
			one.Report = r.Report(context.Background())
		}
		s.Actions = append(s.Actions, one)
	}
	if node := e.live.fleet.node; node != nil {
		one := node.Status()
		e.live.notices.status(&one)
		s.Fleet = &one
	}
	if e.cfg.GeoIP != nil {
		for _, f := range e.cfg.GeoIP.Files() {
			s.GeoIP = append(s.GeoIP, f.Database)
		}
		s.Stats.Countries = slices.Clone(e.countries)
	}
	for _, n := range e.cfg.Names {
		if text := e.known.names.Problem(n.Host); text != "" && !slices.Contains(s.Names, text) {
			s.Names = append(s.Names, text)
		}
	}
	s.Sum()
	return s
}

// runningActions lists the running actions in the order of their names. It must be
// called on the goroutine that counts.
func (e *Engine) runningActions() []*action {
	var all []*action
	for _, ref := range slices.Sorted(maps.Keys(e.live.actions.running)) {
		all = append(all, e.live.actions.running[ref])
	}
	return all
}

func (e *Engine) sourceStatus(ref string) status.Source {
	progress := e.live.sources.progress[ref]
	if progress == nil {
		return status.Source{Name: ref}
	}
	s := progress.Status()
	s.Name, s.Running = ref, e.live.sources.running[ref] != nil
	behind := e.offset(ref).By
	s.Clock = status.InSeconds(behind)
	if now := time.Now(); !s.LastEvent.IsZero() {
		s.LastEvent = slices.MinFunc([]time.Time{s.LastEvent.Add(behind), now}, time.Time.Compare)
	}
	if s.Behind > 0 && !s.LastEvent.IsZero() {
		s.Lag = status.InSeconds(max(0, time.Since(s.LastEvent)))
	}
	return s
}

// Status returns how the engine is doing. It is safe for concurrent use.
func (e *Engine) Status(ctx context.Context) (s status.Status, err error) {
	err = e.between(ctx, func() { s = e.status() })
	return s, err
}

// Kernel reads what is enforced, for each action that holds a state. What drops packets comes first.
// What could not be read of one of them is among its problems; an error says that the
// engine did not answer. It is safe for concurrent use.
func (e *Engine) Kernel(ctx context.Context) (all []status.Kernel, err error) {
	var running []*action
	if err := e.between(ctx, func() { running = e.runningActions() }); err != nil {
		return nil, err
	}
	for _, r := range running {
		level, ok := r.Action.Action.(plugin.Level)
		if !ok {
			continue
		}
		k, err := level.Inspect(ctx)
		if err != nil {
			k.Unreadable(err)
		}
		if n := len(k.Entries); !k.Unread {
			k.Count = &n
		}
		k.Action, k.Targets = r.runner.Status().Name, r.Targets
		if k.Targets == nil {
			k.Targets = []ban.TargetKind{ban.TargetAddress, ban.TargetNetwork}
		}
		for i := range k.Problems {
			k.Problems[i].Subject = "action " + k.Action
		}
		all = append(all, k)
	}
	slices.SortStableFunc(all, func(x, y status.Kernel) int { return cmp.Compare(rank(&x), rank(&y)) })
	return all, nil
}

func rank(k *status.Kernel) int {
	if k.Drops() {
		return 0
	}
	return 1
}

// Trackers returns the keys that are closest to firing a rule, the closest first,
// and at most top of them. It is safe for concurrent use.
func (e *Engine) Trackers(ctx context.Context, top int) (closest []status.Tracker, err error) {
	err = e.between(ctx, func() { closest = e.rules.Closest(top, e.now) })
	return closest, err
}

// tallies counts the changes of each rule on each source.
type tallies map[tallied]*status.Tally

type tallied struct{ rule, source string }

func (t tallies) count(c *ban.Change) {
	key := tallied{c.Rule, c.Source}
	one := t[key]
	if one == nil {
		one = &status.Tally{Rule: c.Rule, Source: c.Source}
		t[key] = one
	}
	switch c.Kind {
	case ban.KindBan, ban.KindExtend:
		one.Bans++
		one.LastBan = c.At
	case ban.KindUnban, ban.KindExpire:
		one.Unbans++
	case ban.KindAlert:
		one.Alerts++
	case ban.KindRefuse, ban.KindSpare:
		if !c.Standing {
			one.Refusals++
		}
	}
}

// countries count the bans of each country, in the order of the first one.
type countries []status.Country

func (all *countries) count(name string) {
	name = cmp.Or(name, "unknown")
	i := slices.IndexFunc(*all, func(c status.Country) bool { return c.Name == name })
	if i < 0 && len(*all) >= status.MaxCountries && name != "other" {
		all.count("other")
		return
	}
	if i < 0 {
		*all = append(*all, status.Country{Name: name})
		i = len(*all) - 1
	}
	(*all)[i].Bans++
}

// all lists copies, in the order of the rules' names and then the sources'.
func (t tallies) all() []status.Tally {
	var out []status.Tally
	for _, one := range t {
		out = append(out, *one)
	}
	slices.SortFunc(out, func(a, b status.Tally) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Source, b.Source))
	})
	return out
}
