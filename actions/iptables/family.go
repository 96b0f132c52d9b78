package iptables

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"

	"golang.org/x/sys/unix"
)

// A family is one of the two worlds that the kernel keeps apart: IPv4 with
// iptables, IPv6 with ip6tables.
type family struct {
	index      int // ipv4 or ipv6
	name       string
	af         uint8
	program    string
	set        string
	growing    string // the set's name while a bigger one is being built
	maxEntries uint32 // of a new set

	tools *toolset // nil until they were found

	// settled: the kernel was left as it should be, so that a change can be
	// applied alone. It ends with any error.
	settled  bool
	insertAt map[string]int // by table: see plan.insertAt
	maxElem  uint32         // of the set
	members  int            // in the set, at the most

	// What was last reported of what cannot be mended, so that it is told
	// once.
	reported map[string]bool
	tidied   bool // the tables that an earlier configuration used were cleared
}

func newFamily(c *config, index int) *family {
	f := &family{
		index: index, name: "IPv4", af: unix.AF_INET, program: "iptables",
		set: c.setName(false), growing: c.growName(false), maxEntries: c.maxEntries,
		reported: map[string]bool{},
	}
	if index == ipv6 {
		f.name, f.af, f.program = "IPv6", unix.AF_INET6, "ip6tables"
		f.set, f.growing = c.setName(true), c.growName(true)
	}
	return f
}

// few joins errors of single entries, and only counts them where they are many.
func few(refused []error) error {
	const most = 5
	if more := len(refused) - most; more > 0 {
		refused = append(refused[:most:most], fmt.Errorf("and %d more", more))
	}
	return errors.Join(refused...)
}

// error joins errors under the family's name; nil where there are none.
func (f *family) error(errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return nil
}

// reconcileFamily lists what stands and commits the difference. Sets are filled
// before a rule names them, and destroyed after the last rule that did is gone.
func (a *Action) reconcileFamily(ctx context.Context, f *family, backend string, now time.Time) (plugin.Drift, error) {
	f.settled = false
	var drift plugin.Drift
	if f.index == ipv6 && !hasIPv6() {
		f.report(&drift, []string{"the kernel does not speak it"})
		return drift, nil
	}
	tools, err := a.findTools(ctx, f)
	if err != nil {
		return drift, err
	}
	listings, err := tools.listings(ctx, a.config.tables())
	if err != nil {
		return drift, err
	}
	inForce, err := f.inForce(ctx, listings[a.config.tables()[0]], &a.config, backend)
	if err != nil {
		return drift, err
	}
	g := a.goal(f, backend, now)
	var set setDrift
	if backend == backendSet {
		if set, err = f.agreeSet(ctx, g.bans, now); err != nil {
			return drift, err
		}
	}
	plans, refused, err := f.commit(ctx, tools, listings, a.config, g)
	if err != nil {
		return drift, err
	}
	a.account(f, &drift, plans, set, inForce, now)
	if err := f.verify(ctx, tools, plans, g); err != nil {
		return drift, err
	}
	if backend == backendRules {
		err = f.destroySet(ctx)
	}
	if !f.tidied && err == nil {
		err = f.tidy(ctx, tools, a.config, g)
		f.tidied = err == nil
	}
	err = errors.Join(few(append(refused, set.refused...)), err)
	f.settled = err == nil
	return drift, err
}

// findTools looks for iptables once; where it is not found, again each time.
func (a *Action) findTools(ctx context.Context, f *family) (*toolset, error) {
	if f.tools != nil {
		return f.tools, nil
	}
	tools, err := find(ctx, f.program, f.index == ipv6)
	if err != nil {
		return nil, err
	}
	log := slog.With("chain", a.config.chain, "program", f.program, "version", tools.version)
	if tools.old {
		log.Warn("iptables is older than any that is known to work", "oldest", oldest)
	} else {
		log.Info("iptables found")
	}
	a.mu.Lock()
	f.tools = tools
	a.mu.Unlock()
	return tools, nil
}

// goal is what the family's chains should be, but for the table.
func (a *Action) goal(f *family, backend string, now time.Time) goal {
	g := goal{
		chain: a.config.chain, matches: a.config.matches, target: a.config.target,
		bans:    a.desired.entries(f.index),
		ownSets: []string{f.set, f.growing},
		mayMove: a.brake.allows(now),
	}
	if backend == backendSet {
		g.set = f.set
	}
	return g
}

// inForce is what was banned before, by whichever backend: what only moves from
// one to the other was never missing.
func (f *family) inForce(ctx context.Context, l listing, c *config, backend string) (map[netip.Prefix]bool, error) {
	standing := map[netip.Prefix]bool{}
	inSet := false
	for _, spec := range l[c.chain] {
		if l.blanket(spec) {
			break // what is below it does not act
		}
		if p, target, ok := parseBanRule(spec); ok && target == c.target {
			standing[p] = true
		}
		inSet = inSet || isSetRule(spec, f.set)
	}
	if !inSet || backend == backendSet {
		return standing, nil
	}
	members, err := f.listSet(ctx)
	for p := range members {
		standing[p] = true
	}
	return standing, err
}

// commit plans against what was listed and carries it out; where the tables
// have changed in between, it lists and plans again.
func (f *family) commit(ctx context.Context, t *toolset, listings map[string]listing, c config, g goal) ([]plan, []error, error) {
	for try := 1; ; try++ {
		var plans []plan
		for _, table := range c.tables() {
			g.table, g.hooks = table, c.hooksOf(table)
			plans = append(plans, planTable(listings[table], g))
		}
		refused, err := t.commit(ctx, restoreInput(plans))
		if err == nil {
			f.insertAt = map[string]int{}
			for _, p := range plans {
				if p.insertAt > 0 {
					f.insertAt[p.table] = p.insertAt + p.inserted
				}
			}
			return plans, refused, nil
		}
		if !changedUnderneath(err) || try == tries {
			return nil, refused, err
		}
		if listings, err = t.listings(ctx, c.tables()); err != nil {
			return nil, refused, err
		}
	}
}

// account puts into the drift what the plans and the set had to mend.
func (a *Action) account(f *family, drift *plugin.Drift, plans []plan, set setDrift, inForce map[netip.Prefix]bool, now time.Time) {
	missing, surplus := map[netip.Prefix]struct{}{}, map[netip.Prefix]struct{}{}
	var standing []string
	for _, p := range plans {
		set.missing = append(set.missing, p.missing...)
		set.surplus = append(set.surplus, p.surplus...)
		set.notes = append(set.notes, p.notes...)
		for _, spec := range p.foreign {
			standing = append(standing, "foreign rule in "+hook{p.table, a.config.chain}.String()+" is kept: "+clip(spec))
		}
		for _, name := range p.waiting {
			standing = append(standing, "waiting for chain "+hook{p.table, name}.String())
		}
		for _, name := range p.held {
			standing = append(standing, "jump from "+hook{p.table, name}.String()+" is kept low by another program; it is moved every few minutes only")
		}
		if p.moved {
			a.brake.moved(now)
		}
	}
	for _, p := range set.missing {
		if !inForce[p] {
			missing[p] = struct{}{}
		}
	}
	wanted := a.desired.entries(f.index)
	for p := range inForce {
		if _, ok := wanted[p]; !ok { // it may have gone with its backend
			set.surplus = append(set.surplus, p)
		}
	}
	for _, p := range set.surplus {
		if !a.desired.lapsed[p] {
			surplus[p] = struct{}{}
		}
	}
	drift.Missing, drift.Surplus = len(missing), len(surplus)
	if len(surplus) > 0 {
		set.notes = append(set.notes, "taken out: "+named(slices.SortedFunc(maps.Keys(surplus), netip.Prefix.Compare)))
	}
	if set.otherEnd > 0 {
		set.notes = append(set.notes, fmt.Sprintf("%d bans in set %s had another end", set.otherEnd, f.set))
	}
	for _, note := range set.notes {
		drift.Notes = append(drift.Notes, f.name+": "+note)
	}
	f.report(drift, standing)
}

// named lists the first few of targets: somebody may have written their rules by
// hand, and wants to know what became of them.
func named(targets []netip.Prefix) string {
	const most = 5
	var names []string
	for _, target := range targets[:min(len(targets), most)] {
		names = append(names, ban.FormatTarget(target))
	}
	list := strings.Join(names, ", ")
	if more := len(targets) - most; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// maxReported bounds what is told of foreign rules.
const maxReported = 20

// report tells of conditions that were not there the last time.
func (f *family) report(drift *plugin.Drift, conditions []string) {
	if more := len(conditions) - maxReported; more > 0 {
		conditions = append(conditions[:maxReported:maxReported], fmt.Sprintf("and %d more", more))
	}
	now := map[string]bool{}
	for _, c := range conditions {
		now[c] = true
		if !f.reported[c] {
			drift.Notes = append(drift.Notes, f.name+": "+c)
		}
	}
	f.reported = now
}

// verify asks for every jump that was written: "we wrote it" is not "it is
// there".
func (f *family) verify(ctx context.Context, t *toolset, plans []plan, g goal) error {
	for _, p := range plans {
		for _, name := range p.jumped {
			for _, match := range g.matches {
				if err := t.exists(ctx, p.table, name, jumpRule(match, g.chain)); err != nil {
					return fmt.Errorf("jump from %s: %w", hook{p.table, name}, err)
				}
			}
		}
	}
	return nil
}

// changeRules adds and deletes single rules, in one commit for all tables. It
// relies on the chain being as it was left, and fails where it is not.
func (f *family) changeRules(ctx context.Context, c *config, puts []put, drops []netip.Prefix) ([]error, error) {
	var plans []plan
	for _, table := range c.tables() {
		p := plan{table: table, insertAt: f.insertAt[table]}
		for _, target := range drops {
			p.add("-D " + c.chain + " " + banRule(target, c.target))
		}
		if p.insertAt > 0 {
			p.insertAt -= len(drops)
		}
		for _, put := range puts {
			if put.fresh {
				p.place(c.chain, banRule(put.target, c.target))
			}
		}
		plans = append(plans, p)
	}
	refused, err := f.tools.commit(ctx, restoreInput(plans))
	if err == nil {
		for _, p := range plans {
			if p.insertAt > 0 {
				f.insertAt[p.table] = p.insertAt + p.inserted
			}
		}
	}
	return refused, err
}

// everyTable are the tables that may ever have held our chain.
var everyTable = []string{"filter", "raw", "mangle"}

// tidy clears the tables that an earlier configuration has used and this one
// does not: nobody would ever lift the bans that stand there.
func (f *family) tidy(ctx context.Context, t *toolset, c config, g goal) error {
	unused := slices.DeleteFunc(slices.Clone(everyTable), func(table string) bool {
		return slices.Contains(c.tables(), table) || !t.loaded(table, f.index == ipv6)
	})
	return f.clearTables(ctx, t, unused, g)
}

func (f *family) clearTables(ctx context.Context, t *toolset, tables []string, g goal) error {
	listings, err := t.listings(ctx, tables)
	if err != nil {
		return err
	}
	var plans []plan
	for _, table := range tables {
		g.table = table
		plans = append(plans, planRemoval(listings[table], g))
	}
	_, err = t.commit(ctx, restoreInput(plans))
	return err
}

// Withdraw takes everything that this action has put into the kernel out of it
// again: rules, jumps, chain and sets. Foreign rules stay, and with them the
// chain that they stand in.
func (a *Action) Withdraw(ctx context.Context) error {
	var errs []error
	for _, f := range a.families {
		f.settled = false
		tools, err := a.findTools(ctx, f)
		if err != nil {
			errs = append(errs, f.error(err))
			continue
		}
		loaded := slices.DeleteFunc(slices.Clone(everyTable), func(table string) bool {
			return !tools.loaded(table, f.index == ipv6)
		})
		err = f.clearTables(ctx, tools, loaded, a.goal(f, backendRules, a.now()))
		errs = append(errs, f.error(err, f.destroySet(ctx)))
	}
	return errors.Join(errs...)
}
