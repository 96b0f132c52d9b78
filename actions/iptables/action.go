package iptables

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"

	"golang.org/x/time/rate"
)

// Action keeps the kernel in agreement with the bans. It is a [plugin.Level].
type Action struct {
	config   config
	now      func() time.Time // for timeouts, which count from the moment of writing
	families []*family
	flows    flowCutter
	moves    *rate.Limiter // of jumps that another program keeps moving down

	// verifiedGen is the generation of nf_tables in which every rule was as it
	// should be, except for gaps; 0: none.
	verifiedGen uint32

	serving atomic.Bool                     // Serve is at work, and ends what was started ahead
	changed func()                          // see [plugin.Host]
	adopt   func([]ban.Target) []ban.Target // likewise
	kept    *socket                         // see withKept

	// mu guards backend, noSets and the families' desired and tools against
	// Inspect. Apply and Resync, called by one goroutine, are their only writers:
	// they lock it to write and read without it.
	mu      sync.Mutex
	backend string // in use; "" before the first Resync
	noSets  string // why sets cannot be used; "" where they can
}

// Two programs that move their jumps above each other do not do so for ever: after
// moveBurst moves, a jump is moved once every moveEvery.
const (
	moveBurst = 20
	moveEvery = 500 * time.Millisecond
)

func newAction(c config) *Action {
	a := &Action{config: c, now: time.Now, changed: func() {}, adopt: func([]ban.Target) []ban.Target { return nil }, moves: rate.NewLimiter(rate.Every(moveEvery), moveBurst)}
	a.families = []*family{newFamily(&a.config, ipv4)}
	if c.ipv6 {
		a.families = append(a.families, newFamily(&a.config, ipv6))
	}
	for _, f := range a.families {
		f.clock = func() time.Time { return a.now() }
	}
	return a
}

// urgent is the number of bans up to which they do not wait for the way from rules to a set, which
// takes some 10 ms.
const urgent = 20

// Apply carries out a batch: with netlink messages where the bans are in a set, with
// one iptables-restore a family where they are rules. Where the kernel is not as it was
// left, the whole family is reconciled. An entry that the kernel refuses is in the
// error; the others are in force.
func (a *Action) Apply(ctx context.Context, batch ban.Batch) error {
	if a.backend == "" {
		return errors.New("a change came before the first resync, when the other bans are not known")
	}
	defer a.prepare()
	changes, err := coalesce(batch)
	errs := []error{err}
	work := make([]work, len(a.families))
	a.mu.Lock()
	for i, f := range a.families {
		work[i] = f.desired.apply(changes[f.index])
	}
	a.mu.Unlock()

	if a.choose(false) != a.backend {
		for i, f := range a.families { // what is urgent does not wait for the other backend
			if w := &work[i]; f.inSync && len(w.upserts) <= urgent && len(w.removals) == 0 {
				_, _ = a.write(ctx, f, *w) // what fails, the comparison shows
			}
		}
		_, err := a.reconcile(ctx, false)
		errs = append(errs, err)
	} else {
		// A family without a change waits for the next Resync, so that a broken
		// ip6tables never delays an IPv4 ban. One with a change is tried even if
		// nothing is new: the batch may have failed before.
		for i, f := range a.families {
			if len(changes[f.index]) > 0 {
				errs = append(errs, a.change(ctx, f, work[i]))
			}
		}
	}
	added := make([]ban.Target, 0, len(batch.Changes))
	for _, w := range work {
		for _, u := range w.upserts {
			if u.added {
				added = append(added, u.target)
			}
		}
	}
	a.flows.cut(added)
	return joined(errs)
}

// change carries out the work of one family.
func (a *Action) change(ctx context.Context, f *family, w work) error {
	if f.inSync {
		if w.empty() {
			return nil
		}
		refused, err := a.write(ctx, f, w)
		if err == nil || ctx.Err() != nil {
			return f.error(few(refused), err)
		}
	}
	_, err := a.reconcileFamily(ctx, f, a.backend, a.now())
	return f.error(err)
}

// write carries out the work of a family that is as it was left.
func (a *Action) write(ctx context.Context, f *family, w work) (refused []error, err error) {
	if a.backend == backendSet {
		refused, err = f.changeSets(ctx, w, a.now())
	} else {
		err = a.changeRules(ctx, f, w)
	}
	f.inSync = err == nil && len(refused) == 0
	return refused, err
}

// changeRules adds and deletes single rules, in one commit for all tables. It fails
// where the chain is not as it was left. It follows the generation: as long as all
// commits are ours, every rule is as it should be.
func (a *Action) changeRules(ctx context.Context, f *family, w work) error {
	var plans []plan
	for _, t := range a.config.tables {
		p := plan{table: t.name, onTop: f.onTop[t.name]}
		for _, target := range w.removals {
			p.add("-D " + a.config.chain + " " + banRule(target, a.config.target))
		}
		for _, u := range w.upserts {
			if u.added {
				p.place(a.config.chain, banRule(u.target, a.config.target))
			}
		}
		plans = append(plans, p)
	}
	verified := a.verifiedGen != 0 && a.generation(ctx) == a.verifiedGen
	err := f.tools.commit(ctx, plans)
	if after := a.generation(ctx); verified && err == nil && after-a.verifiedGen <= 1 {
		a.verifiedGen = after
	} else {
		a.verifiedGen = 0
	}
	return err
}

// prepare makes the next ban quick.
func (a *Action) prepare() {
	for _, f := range a.families {
		switch {
		case f.tools == nil || !a.serving.Load():
		case a.backend == backendRules && f.inSync:
			f.tools.prepare()
		case a.backend == backendSet:
			f.tools.ahead.release()
		}
	}
}

// release ends what prepare has started.
func (a *Action) release() {
	for _, f := range a.families {
		if f.tools != nil {
			f.tools.ahead.release()
		}
	}
}

// Resync compares chain, jumps with their position, rules, sets and their members with
// what they should be, and repairs them. A ban whose end has passed is in force until its
// expiry is applied. The drift has what was repaired. What stays as
// it is (foreign rules, hooks that do not exist) is in it only when it changes.
func (a *Action) Resync(ctx context.Context, want iter.Seq[ban.Ban]) (plugin.Drift, error) {
	defer a.prepare()
	found := a.lookForTools(ctx)
	now := a.now()
	var before []expiries
	a.mu.Lock()
	own := make([]work, len(a.families))
	for i, f := range a.families {
		own[i] = f.desired.refresh()
	}
	a.mu.Unlock()
	for i, f := range a.families { // so that only what others did is drift
		if f.inSync && !own[i].empty() {
			_, _ = a.write(ctx, f, own[i]) // what fails, the comparison shows
		}
	}
	a.mu.Lock()
	for _, f := range a.families {
		if a.verifiedGen != 0 && a.backend == backendRules { // it takes as much memory
			before = append(before, maps.Clone(f.desired.bans))
		}
		clear(f.desired.bans) // keeps its room: mostly the same bans come again
	}
	var unfit []error
	for b := range want {
		index := familyOf(b.Target)
		if index >= len(a.families) {
			continue
		}
		if err := checkTarget(b.Target); err != nil {
			unfit = append(unfit, err)
			continue
		}
		a.families[index].desired.bans.put(b.Target, expiryOf(b.Until))
	}
	a.mu.Unlock()
	<-found

	if len(unfit) == 0 && a.unchanged(ctx, before) {
		return plugin.Drift{Gaps: a.gaps()}, nil
	}
	seen := a.generation(ctx)
	drift, err := a.reconcile(ctx, true)
	err = errors.Join(few(unfit), err)
	a.verify(ctx, seen, now, err)
	return drift, err
}

// Repair compares and repairs the rules, not the members of sets. Where nothing was committed
// since the last time, it looks for the jumps and reads one number.
func (a *Action) Repair(ctx context.Context) (plugin.Drift, error) {
	defer a.prepare()
	// First what is quick: the program that has committed is about to close its socket. What
	// fails, the listing shows.
	_ = a.withKept(ctx, a.restoreJumps)
	seen, now := a.generation(ctx), a.now()
	if a.backend == "" || seen != 0 && seen == a.verifiedGen {
		return plugin.Drift{Gaps: a.gaps()}, nil
	}
	var drift plugin.Drift
	var errs []error
	for _, f := range a.families {
		if f.tools == nil || f.index == ipv6 && !hasIPv6() {
			continue
		}
		members := f.inSync
		f.inSync = false
		d, err := a.reconcileRules(ctx, f, a.goal(f, a.backend, now), repair{})
		f.inSync = members && err == nil && !f.adopting
		drift = drift.And(d)
		errs = append(errs, f.error(err))
	}
	drift.Gaps = a.gaps()
	err := joined(errs)
	a.verify(ctx, seen, now, err)
	return drift, err
}

// verify notes that all rules are right if nothing was committed while they were compared. After a
// commit of our own there may be others' too, and a jump that the limiter leaves low must be looked
// at again.
func (a *Action) verify(ctx context.Context, seen uint32, now time.Time, err error) {
	a.verifiedGen = 0
	adopting := slices.ContainsFunc(a.families, func(f *family) bool { return f.adopting })
	if err == nil && !adopting && a.moves.TokensAt(now) >= 1 && a.generation(ctx) == seen {
		a.verifiedGen = seen
	}
}

// choose returns the backend for the present number of entries. The way back from a set
// to rules waits until there are clearly fewer, and for a Resync: it is not urgent.
func (a *Action) choose(resync bool) string {
	c, n := &a.config, 0
	for _, f := range a.families {
		n += len(f.desired.entries())
	}
	switch {
	case a.noSets != "" && !resync:
		return a.backend // only a Resync looks again
	case c.backend != backendAuto:
		return c.backend
	case n > c.ipsetAbove:
		return backendSet
	case a.backend == backendSet && (!resync || 4*n >= 3*c.ipsetAbove):
		return backendSet
	}
	return backendRules
}

// reconcile makes all families agree with what is desired.
func (a *Action) reconcile(ctx context.Context, resync bool) (plugin.Drift, error) {
	now := a.now()
	var drift plugin.Drift
	var errs []error
	backend, noSets := a.choose(resync), ""
	if backend == backendSet {
		if err := a.checkSets(ctx); err != nil {
			err = fmt.Errorf("no set: %w; one rule for each ban is used instead", err)
			backend, noSets = backendRules, err.Error()
			if a.config.backend == backendSet {
				errs = append(errs, err)
			} else if noSets != a.noSets {
				drift.Notes = append(drift.Notes, noSets)
			}
		}
	}
	switched := a.backend != "" && a.backend != backend
	a.mu.Lock()
	a.backend, a.noSets = backend, noSets
	a.mu.Unlock()

	for _, f := range a.families {
		d, err := a.reconcileFamily(ctx, f, backend, now)
		if switched { // the other backend has the bans
			d.Missing = 0
		}
		drift = drift.And(d)
		errs = append(errs, f.error(err))
	}
	drift.Gaps = a.gaps()
	return drift, joined(errs)
}
