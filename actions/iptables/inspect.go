package iptables

import (
	"context"
	"maps"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// manyRules is the number of rules above which the host's own traffic suffers: 10,000
// cut it to 1/44 of its packet rate.
const manyRules = 1000

// Open implements [plugin.Opener]: spared networks are not aggregated.
func (a *Action) Open(host plugin.Host) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now, a.changed, a.adopt = host.Now, host.Changed, host.Adopt
	for _, f := range a.families {
		f.desired.aggregation.protected = host.Spared
	}
	return nil
}

// Inspect implements [plugin.Level].
func (a *Action) Inspect(ctx context.Context) (status.Kernel, error) {
	a.mu.Lock()
	kernel := status.Kernel{Chain: a.config.chain, Backend: a.backend}
	if a.noSets != "" {
		kernel.Add(status.Warning, "%s", a.noSets)
	}
	a.mu.Unlock()

	var errs []error
	for _, f := range a.families {
		if f.index == ipv6 && !hasIPv6() {
			continue
		}
		errs = append(errs, f.error(a.inspectFamily(ctx, f, &kernel)))
	}
	exists := func(j status.Jump) bool { return !j.Waiting }
	if len(kernel.Jumps) > 0 && !slices.ContainsFunc(kernel.Jumps, exists) {
		for i := range kernel.Entries {
			kernel.Entries[i].Bypassed = true
		}
		// Docker may create its chain later, and its owner another.
		kernel.Add(status.Critical, "chain %s receives no packets: none of its hooks exists, such as %s", kernel.Chain, kernel.Jumps[0].Hook)
	}
	slices.SortFunc(kernel.Entries, func(x, y status.Entry) int { return x.Target.Compare(y.Target) })
	return kernel, joined(errs)
}

// An inspection collects what the kernel has of one family.
type inspection struct {
	*family
	config   *config
	now      time.Time
	kernel   *status.Kernel
	expiries expiries // of what is desired
	entries  map[ban.Target]status.Entry
	rules    int                  // bans as rules
	named    map[string][]*bypass // sets that a rule names, and the bypasses above it
	open     bool                 // packets get past a jump
	bypasses []*bypass            // of all tables
}

func (a *Action) inspectFamily(ctx context.Context, f *family, kernel *status.Kernel) error {
	in := inspection{family: f, config: &a.config, now: a.now(), kernel: kernel, entries: map[ban.Target]status.Entry{}, named: map[string][]*bypass{}}
	a.mu.Lock()
	tools := f.tools
	in.expiries = maps.Clone(f.desired.entries())
	a.mu.Unlock()
	if tools == nil {
		var err error
		if tools, err = find(ctx, f.program, f.index == ipv6); err != nil {
			return err
		}
	}
	kernel.Versions = append(kernel.Versions, f.program+" "+tools.version)
	for _, table := range a.config.tables {
		l, err := tools.listing(ctx, table.name, "-v")
		if err != nil {
			return err
		}
		bare := l.withoutCounters()
		in.chain(table.name, l, bare)
		in.jumps(table, bare)
	}
	if in.rules > manyRules {
		kernel.Add(status.Warning, "%s: %d rules in chain %s, and every packet is compared with each: set backend to \"auto\" or \"ipset\"",
			f.name, in.rules, kernel.Chain)
	}
	if err := withSocket(ctx, listBuffer, in.members); err != nil {
		return err
	}
	for _, b := range in.bypasses {
		switch {
		case b.whole:
			kernel.Add(status.Warning, "%s: %d packets of banned addresses accepted by: %s", f.name, b.packets, clip(b.spec))
		case b.part:
			kernel.Add(status.Warning, "%s: up to %d packets of banned addresses accepted by: %s", f.name, b.packets, clip(b.spec))
		}
	}
	for _, e := range in.entries {
		e.Bypassed = e.Bypassed || in.open
		kernel.Entries = append(kernel.Entries, e)
	}
	return nil
}

// members reads the sets that rules name.
func (in *inspection) members(s *socket) error {
	for set, above := range in.named {
		if _, _, err := s.entries(set, func(e entry) {
			in.entries[e.target] = status.Entry{
				Target: e.target, Packets: e.packets, Bytes: e.bytes,
				Remaining: status.Seconds(e.timeout), Permanent: e.timeout == 0, Bypassed: bypassed(e.target, above),
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// chain reads our chain of one table, with counters and without them.
func (in *inspection) chain(table string, l, bare listing) {
	chain := hook{table, in.kernel.Chain}.String()
	specs, exists := l[in.kernel.Chain]
	if !exists {
		in.kernel.Add(status.Critical, "%s: chain %s is missing", in.name, chain)
	}
	passing := bare.bypasses(in.kernel.Chain, in.all())
	in.bypasses = append(in.bypasses, passing...)
	above := 0 // number of those above the rule
	for i, counted := range specs {
		spec, packets, bytes := cutCounters(counted)
		if above < len(passing) && passing[above].at < i {
			above++
		}
		target, _, isBan := parseBanRule(spec)
		set := slices.IndexFunc(in.sets[:], func(s *set) bool { return isSetRule(spec, s.lookup()) })
		switch {
		case isBan:
			in.rules++
			e := in.entries[target]
			e.Target, e.Packets, e.Bytes = target, e.Packets+packets, e.Bytes+bytes
			if until, known := in.expiries.get(target); known {
				if e.Permanent = until == permanent; !e.Permanent {
					e.Remaining = status.InSeconds(max(until.remaining(in.now), 0))
				}
			}
			e.Bypassed = bypassed(target, passing[:above]) || e.Bypassed
			in.entries[target] = e
		case set >= 0:
			name := in.sets[set].name
			in.named[name] = append(in.named[name], passing[:above]...)
		default:
			if above < len(passing) && passing[above].at == i {
				passing[above].packets = packets
			}
			in.kernel.Foreign = append(in.kernel.Foreign, in.name+": "+chain+": "+clip(spec))
		}
	}
}

// jumps looks for the jumps to our chain in one table, listed without counters.
func (in *inspection) jumps(table table, l listing) {
	g := goal{table: table.name, chain: in.kernel.Chain, matches: in.config.matches, mayMove: true}
	for _, name := range table.hooks {
		specs, exists := l[name]
		p := plan{table: table.name}
		p.planHook(l, name, g) // what a repair would do
		in.open = in.open || len(p.jumped) > 0
		if p.moved {
			in.kernel.Add(status.Critical, "%s: %s", in.name, p.notes[len(p.notes)-1])
		}
		for _, match := range in.config.matches {
			j := status.Jump{Family: in.name, Hook: g.hook(name), Match: match, Waiting: !exists}
			j.Position = 1 + slices.Index(specs, jumpRule(match, in.kernel.Chain))
			in.kernel.Jumps = append(in.kernel.Jumps, j)
			if exists && j.Position == 0 {
				in.kernel.Add(status.Critical, "%s: no jump from %s to chain %s", in.name, j.Hook, in.kernel.Chain)
			}
		}
	}
}
