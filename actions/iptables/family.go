package iptables

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"

	"golang.org/x/sys/unix"
)

// A family is IPv4 with iptables or IPv6 with ip6tables: the kernel keeps them apart.
type family struct {
	index   int // ipv4 or ipv6
	name    string
	af      uint8
	program string
	sets    [2]*set // of addresses and networks, and of endpoints
	growing string  // the name of a bigger set while it is filled

	desired desired
	tools   *toolset         // nil until found
	clock   func() time.Time // that of the action

	// inSync: the latest operation left the kernel in the desired state, so that a
	// change can be carried out without a listing. Any error resets it.
	inSync     bool
	onTop      map[string]bool // by table: see plan.onTop
	newMaxElem uint32          // of a new set

	gaps []plugin.Gap // found when the tables were last listed

	adopting bool // drops by hand stand for bans that have not been applied

	mu        sync.Mutex           // guards what follows against Serve
	jumps     map[hook][]rawRule   // see saveJumps; nil while our own commit may change them
	chains    map[string][]rawRule // our chain, by table: likewise
	restored  []string             // notes of jumps restored since the tables were listed
	chainGone bool                 // our chain did not exist when a jump was to be restored

	reported map[string]bool // conditions of the last Resync
	cleaned  bool            // the tables of an earlier configuration are clear
}

func newFamily(c *config, index int) *family {
	f := &family{
		index: index, name: "IPv4", af: unix.AF_INET, program: "iptables", newMaxElem: uint32(c.maxEntries),
		desired: newDesired(aggregation{bits: c.aggregate[index], trusted: c.trusted}),
	}
	suffix := ""
	if index == ipv6 {
		f.name, f.af, f.program, suffix = "IPv6", unix.AF_INET6, "ip6tables", "6"
	}
	f.sets = [2]*set{
		{name: strings.ToLower(c.chain) + "-blocked" + suffix, kind: "hash:net", revision: netRevision, direction: "src"},
		{name: strings.ToLower(c.chain) + "-ports" + suffix, kind: "hash:ip,port", revision: portRevision, direction: "src,src"},
	}
	f.growing = strings.ToLower(c.chain) + "-growing" + suffix
	return f
}

// few joins the first errors of single entries, and counts the rest.
func few(refused []error) error {
	const most = 5
	if more := len(refused) - most; more > 0 {
		refused = append(refused[:most:most], fmt.Errorf("and %d more", more))
	}
	return errors.Join(refused...)
}

// error joins errors under the family's name; nil if there are none.
func (f *family) error(errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return nil
}

// joined returns the errors of families as one. Where the guard lacks rights, all fail alike, and
// one line says what to do.
func joined(errs []error) error {
	err := errors.Join(errs...)
	if errors.Is(err, fs.ErrPermission) {
		if missing := missingRights(); missing != "" {
			return errors.New(missing)
		}
	}
	return err
}

// reconcileFamily lists what the kernel has and commits the difference.
//
// Invariant: sets are filled before a rule names them, and destroyed after the last
// rule that names them.
func (a *Action) reconcileFamily(ctx context.Context, f *family, backend string, now time.Time) (plugin.Drift, error) {
	f.inSync = false
	if f.index == ipv6 && !hasIPv6() {
		return plugin.Drift{Notes: f.news([]string{"the kernel has no IPv6"})}, nil
	}
	tools, err := a.findTools(ctx, f)
	if err != nil {
		return plugin.Drift{}, err
	}
	g := a.goal(f, backend, now)
	var repaired repair
	var refused []error
	if err = withSocket(ctx, listBuffer, func(s *socket) error {
		for _, set := range g.sets {
			more, err := f.reconcileSet(s, set, g.bans, now, &repaired)
			refused = append(refused, more...)
			if err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return plugin.Drift{}, err
	}
	drift, err := a.reconcileRules(ctx, f, g, repaired)
	if err != nil {
		return drift, err
	}
	err = f.destroySets(ctx)
	if !f.cleaned && err == nil { // bans in a table that is no longer used would never end
		err = f.clearTables(ctx, tools, g, a.config.tables)
		f.cleaned = err == nil
	}
	err = errors.Join(few(refused), err)
	f.inSync = err == nil && !f.adopting
	return drift, err
}

// reconcileRules lists the tables of a family and commits the difference. set is what was repaired
// in its set.
func (a *Action) reconcileRules(ctx context.Context, f *family, g goal, set repair) (plugin.Drift, error) {
	rewritten := a.rewritten(ctx, f) // by saved rules, with bans that are over
	plans, err := f.commit(ctx, f.tools, &a.config, g, func(plans []plan) []ban.Target {
		byHand := f.byHand(plans, set)
		if len(byHand) == 0 || rewritten || f.numRestored() > 0 {
			return nil
		}
		return a.adopt(byHand)
	})
	if err != nil {
		return plugin.Drift{}, err
	}
	f.mu.Lock()
	set.notes = append(set.notes, f.restored...)
	f.restored = nil
	f.mu.Unlock()
	drift := f.drift(plans, set)
	for _, p := range plans {
		if p.moved {
			a.moves.AllowN(a.now(), 1)
		}
	}
	a.saveJumps(ctx, f)
	return drift, f.tools.verify(plans, g)
}

// findTools looks for iptables until it is found.
func (a *Action) findTools(ctx context.Context, f *family) (*toolset, error) {
	if f.tools != nil {
		return f.tools, nil
	}
	tools, err := find(ctx, f.program, f.index == ipv6)
	if err != nil {
		return nil, err
	}
	slog.Info("iptables found", "chain", a.config.chain, "program", f.program, "version", tools.version)
	a.mu.Lock()
	f.tools = tools
	a.mu.Unlock()
	return tools, nil
}

// lookForTools looks for the iptables of all families at once, while the bans are read. What is not found then is
// looked for again, and reported. The channel is closed at the end.
func (a *Action) lookForTools(ctx context.Context) <-chan struct{} {
	found := make(chan struct{})
	var all sync.WaitGroup
	for _, f := range a.families {
		if f.tools == nil && (f.index != ipv6 || hasIPv6()) {
			all.Go(func() { _, _ = a.findTools(ctx, f) })
		}
	}
	go func() {
		all.Wait()
		close(found)
	}()
	return found
}

// goal returns what the family's chains should be, without table and hooks.
func (a *Action) goal(f *family, backend string, now time.Time) goal {
	g := goal{
		chain: a.config.chain, matches: a.config.matches, target: a.config.target,
		bans:    f.desired.entries(),
		mayMove: a.moves.TokensAt(now) >= 1,
	}
	for _, s := range f.sets {
		g.ownSets = append(g.ownSets, s.lookup(), f.growing+" "+s.direction)
	}
	if backend == backendSet {
		g.sets = f.needed(g.bans)
	}
	return g
}

// tries bounds how often tables are listed that other programs change meanwhile.
const tries = 3

// commit lists the tables and carries out what differs from the goal. Where a table has
// changed since it was listed, it begins again. adopt returns the surplus that stays.
func (f *family) commit(ctx context.Context, t *toolset, c *config, g goal, adopt func([]plan) []ban.Target) ([]plan, error) {
	f.mu.Lock()
	blind := f.chainGone
	f.chainGone = false
	f.mu.Unlock()
	for try := 1; ; try++ {
		restored := f.numRestored()
		var plans []plan
		f.gaps = nil
		hooked := false
		for _, table := range c.tables {
			l := table.blank()
			if !blind || try > 1 || l == nil {
				var err error
				if l, err = t.listing(ctx, table.name); err != nil {
					return nil, err
				}
			}
			g.table, g.hooks = table.name, table.hooks
			p := planTable(l, g)
			plans = append(plans, p)
			f.gaps = append(f.gaps, f.gapsOf(l, &g, &p)...)
			hooked = hooked || slices.ContainsFunc(table.hooks, func(name string) bool { _, exists := l[name]; return exists })
		}
		if adopted := adopt(plans); len(adopted) > 0 && try < tries {
			g.adopted = append(g.adopted, adopted...)
			continue
		}
		if !hooked {
			f.gaps = append(f.gaps, plugin.Gap{Network: f.all(), Why: "no packet reaches chain " + g.chain + ": none of its hooks exists"})
		}
		if slices.ContainsFunc(plans, func(p plan) bool { return len(p.lines) > 0 }) {
			f.keepJumps(nil, nil)
			if try < tries && f.numRestored() != restored {
				continue
			}
		}
		err := t.commit(ctx, plans)
		if err == nil {
			f.adopting = len(g.adopted) > 0
			f.onTop = map[string]bool{}
			for _, p := range plans {
				f.onTop[p.table] = p.onTop
			}
			return plans, nil
		}
		if !changedMeanwhile(err) || try == tries {
			return nil, err
		}
	}
}

// clearTables removes everything of ours from the loaded tables, except some.
func (f *family) clearTables(ctx context.Context, t *toolset, g goal, except []table) error {
	var plans []plan
	for _, name := range []string{"filter", "raw", "mangle"} {
		if slices.ContainsFunc(except, func(t table) bool { return t.name == name }) || !t.loaded(name, f.index == ipv6) {
			continue
		}
		l, err := t.listing(ctx, name)
		if err != nil {
			return err
		}
		g.table = name
		plans = append(plans, planRemoval(l, g))
	}
	return t.commit(ctx, plans)
}

// Withdraw removes everything that this action has put into the kernel: rules, jumps,
// chain and sets. Foreign rules stay, and with them the chain that they are in.
func (a *Action) Withdraw(ctx context.Context) error {
	var errs []error
	for _, f := range a.families {
		f.inSync = false
		tools, err := a.findTools(ctx, f)
		if err == nil {
			err = errors.Join(f.clearTables(ctx, tools, a.goal(f, backendRules, a.now()), nil), f.destroySets(ctx))
		}
		errs = append(errs, f.error(err))
	}
	return joined(errs)
}
