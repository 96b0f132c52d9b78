package iptables

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// manyRules is the number of rules above which the host's own traffic suffers:
// 10,000 cut it to 1/44 of its packet rate.
const manyRules = 1000

// Standing returns the bans in the kernel, as [plugin.Survivor] wants them.
func (a *Action) Standing(ctx context.Context) (map[netip.Prefix]ban.Term, error) {
	in, err := a.Inspect(ctx)
	standing := make(map[netip.Prefix]ban.Term, len(in.Entries))
	for _, e := range in.Entries {
		standing[e.Target] = ban.Term(e.Remaining.Duration())
		if e.Permanent {
			standing[e.Target] = ban.Permanent
		}
	}
	return standing, err
}

// Spare implements [plugin.Widener].
func (a *Action) Spare(holds func(netip.Prefix) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.desired.folding.holds = holds
}

// Report tells what an inspection finds wrong, as [plugin.Reporter] wants it.
func (a *Action) Report(ctx context.Context) plugin.Findings {
	in, err := a.Inspect(ctx)
	var found plugin.Findings
	for _, p := range in.Problems {
		if p.Severity == status.Critical {
			found.Critical = append(found.Critical, p.Text)
		} else {
			found.Warnings = append(found.Warnings, p.Text)
		}
	}
	if err != nil {
		found.Critical = append(found.Critical, strings.Split(err.Error(), "\n")...) // one of each family
	}
	return found
}

// Inspect implements [plugin.Inspector].
func (a *Action) Inspect(ctx context.Context) (status.Kernel, error) {
	a.mu.Lock()
	in := status.Kernel{Chain: a.config.chain, Backend: a.backend}
	if a.noSets != "" {
		in.Add(status.Warning, "%s", a.noSets)
	}
	a.mu.Unlock()

	var errs []error
	for _, f := range a.families {
		if f.index == ipv6 && !hasIPv6() {
			continue
		}
		errs = append(errs, f.error(a.inspectFamily(ctx, f, &in)))
	}
	if len(in.Jumps) > 0 && !slices.ContainsFunc(in.Jumps, func(j status.Jump) bool { return !j.Waiting }) {
		// Docker may make its chain later; a name that was misspelt stays without one.
		in.Add(status.Critical, "no packet comes to chain %s: of its hooks none exists, such as %s", in.Chain, in.Jumps[0].Hook)
	}
	slices.SortFunc(in.Entries, func(x, y status.Entry) int {
		return cmp.Or(x.Target.Addr().Compare(y.Target.Addr()), cmp.Compare(x.Target.Bits(), y.Target.Bits()))
	})
	return in, errors.Join(errs...)
}

func (a *Action) inspectFamily(ctx context.Context, f *family, in *status.Kernel) error {
	a.mu.Lock()
	tools := f.tools
	ends := maps.Clone(a.desired.entries(f.index))
	a.mu.Unlock()
	if tools == nil {
		var err error
		if tools, err = find(ctx, f.program, f.index == ipv6); err != nil {
			return err
		}
	}
	in.Versions = append(in.Versions, f.program+" "+tools.version)
	entries := map[netip.Prefix]status.Entry{}
	rules := 0
	named := false
	for _, table := range a.config.tables() {
		out, err := run(ctx, tools.list, "", "-w", wait, "-t", table, "-v", "-S")
		if err != nil {
			return fmt.Errorf("list table %s: %w", table, err)
		}
		n, inSet := a.inspectTable(f, table, parseListing(out), ends, entries, in)
		rules += n
		named = named || inSet
	}
	if rules > manyRules {
		in.Add(status.Warning, "%s: %d rules in chain %s, each of which every packet is compared with: let backend be \"auto\" or \"ipset\"",
			f.name, rules, in.Chain)
	}
	if named {
		if err := f.inspectSet(ctx, entries); err != nil {
			return err
		}
	}
	in.Entries = slices.AppendSeq(in.Entries, maps.Values(entries))
	return nil
}

// inspectTable reads our chain and the jumps to it.
func (a *Action) inspectTable(f *family, table string, l listing, ends map[netip.Prefix]end, entries map[netip.Prefix]status.Entry, in *status.Kernel) (rules int, inSet bool) {
	chain := hook{table, in.Chain}.String()
	specs, exists := l[in.Chain]
	if !exists {
		in.Add(status.Critical, "%s: chain %s is missing", f.name, chain)
	}
	now := a.now()
	for _, counted := range specs {
		spec, packets, bytes := cutCounters(counted)
		target, _, isBan := parseBanRule(spec)
		switch {
		case isBan:
			rules++
			e := entries[target]
			e.Target, e.Packets, e.Bytes = target, e.Packets+packets, e.Bytes+bytes
			if until, known := ends[target]; known {
				e.Permanent = until == forever
				if !e.Permanent {
					e.Remaining = status.InSeconds(max(time.Duration(int64(until)-now.UnixNano()), 0))
				}
			}
			entries[target] = e
		case isSetRule(spec, f.set):
			inSet = true
		default:
			in.Foreign = append(in.Foreign, f.name+": "+chain+": "+clip(spec))
		}
	}
	for _, name := range a.config.hooksOf(table) {
		for _, match := range a.config.matches {
			j := status.Jump{Family: f.name, Hook: hook{table, name}.String(), Match: match}
			hooked, exists := l[name]
			j.Waiting = !exists
			j.Position = 1 + slices.IndexFunc(hooked, func(s string) bool {
				spec, _, _ := cutCounters(s)
				return spec == jumpRule(match, in.Chain)
			})
			in.Jumps = append(in.Jumps, j)
			if exists && j.Position == 0 {
				in.Add(status.Critical, "%s: no jump from %s to chain %s", f.name, j.Hook, in.Chain)
			}
		}
	}
	return rules, inSet
}

// inspectSet reads the entries of the family's set.
func (f *family) inspectSet(ctx context.Context, entries map[netip.Prefix]status.Entry) error {
	s, err := dial(ctx, listBuffer)
	if err != nil {
		return err
	}
	defer s.close()
	_, _, err = s.entries(f.set, func(e entry) {
		entries[e.target] = status.Entry{
			Target: e.target, Packets: e.packets, Bytes: e.bytes,
			Remaining: status.Seconds(e.timeout), Permanent: e.timeout == 0,
		}
	})
	return err
}
