package iptables

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
)

// Action keeps the kernel in agreement with the bans. It is a [plugin.Level].
type Action struct {
	config   config
	now      func() time.Time // for timeouts, which count from the moment of writing
	families []*family
	flows    flowCutter
	brake    brake
	intact   uint32 // the generation of nf_tables at which every rule was known to stand; 0: none

	// mu guards desired, backend, noSets and the families' tools against
	// Inspect. Apply and Resync, called by one goroutine, are their only
	// writers, so they take it to write and read without it.
	mu      sync.Mutex
	desired desired
	backend string // the one in use; "" before the first Resync
	noSets  string // why sets cannot be used; "" where they can
}

func newAction(c config) *Action {
	a := &Action{config: c, now: time.Now, desired: newDesired(c.folding)}
	a.families = []*family{newFamily(&a.config, ipv4)}
	if c.ipv6 {
		a.families = append(a.families, newFamily(&a.config, ipv6))
	}
	return a
}

// Claim is the chain, which no other action may have.
func (a *Action) Claim() string { return "iptables chain " + a.config.chain }

// Same reports whether the other action was made from the same words.
func (a *Action) Same(other any) bool {
	o, ok := other.(*Action)
	return ok && reflect.DeepEqual(a.config, o.config)
}

// accepts tells whether this action deals with a target's family.
func (a *Action) accepts(p netip.Prefix) bool {
	return a.config.ipv6 || familyOf(p) == ipv4
}

// Apply carries out a batch: netlink messages where the bans are in a set, one
// iptables-restore a family where they are rules. What cannot be carried out
// alone, because the kernel is no longer what it was left as, is mended whole.
// An entry that the kernel refuses is in the error and costs the others
// nothing.
func (a *Action) Apply(ctx context.Context, batch ban.Batch) error {
	if a.backend == "" {
		return errors.New("a change came before the first resync, when it is not known yet what else should stand")
	}
	last, lifted, unfit := coalesce(batch)
	for target := range last {
		if !a.accepts(target) {
			delete(last, target)
		}
	}
	a.mu.Lock()
	puts, drops := a.desired.apply(last, lifted)
	a.mu.Unlock()

	errs := []error{unfit}
	if a.choose(a.desired.size(), false) != a.backend {
		_, err := a.reconcile(ctx, false)
		errs = append(errs, err)
	} else {
		// A family that the batch does not touch is left to the next Resync,
		// so that a broken ip6tables never holds up an IPv4 ban. One that it
		// touches is looked at even if nothing is new: the batch may be one
		// that failed before.
		var touched [2]bool
		for target := range last {
			touched[familyOf(target)] = true
		}
		for target := range lifted {
			touched[familyOf(target)] = true
		}
		for _, f := range a.families {
			if touched[f.index] {
				errs = append(errs, a.change(ctx, f, puts, drops))
			}
		}
	}
	var fresh []netip.Prefix
	for _, p := range puts {
		if p.fresh {
			fresh = append(fresh, p.target)
		}
	}
	a.flows.cut(fresh)
	return errors.Join(errs...)
}

// change carries out what of a change concerns one family.
func (a *Action) change(ctx context.Context, f *family, puts []put, drops []netip.Prefix) error {
	var ownPuts []put
	for _, p := range puts {
		if familyOf(p.target) == f.index {
			ownPuts = append(ownPuts, p)
		}
	}
	var ownDrops []netip.Prefix
	for _, p := range drops {
		if familyOf(p) == f.index {
			ownDrops = append(ownDrops, p)
		}
	}
	switch {
	case f.settled && len(ownPuts)+len(ownDrops) == 0:
		return nil
	case f.settled:
		var refused []error
		var err error
		if a.backend == backendSet {
			refused, err = f.changeSet(ctx, ownPuts, ownDrops, a.now())
		} else {
			refused, err = a.changeOnlyRules(ctx, f, ownPuts, ownDrops)
		}
		f.settled = err == nil && len(refused) == 0
		if err == nil || ctx.Err() != nil {
			return f.error(few(refused), err)
		}
	}
	_, err := a.reconcileFamily(ctx, f, a.backend, a.now())
	return f.error(err)
}

// changeOnlyRules changes the rules, and keeps count of the commits: as long as
// there are none but ours, everything stands as it should.
func (a *Action) changeOnlyRules(ctx context.Context, f *family, puts []put, drops []netip.Prefix) ([]error, error) {
	alone := a.intact != 0 && a.present(ctx) == a.intact
	refused, err := f.changeRules(ctx, &a.config, puts, drops)
	if after := a.present(ctx); alone && err == nil && after-a.intact <= 1 {
		a.intact = after
	} else {
		a.intact = 0
	}
	return refused, err
}

// Resync compares everything with what should stand, and mends it: chain, jumps
// and their position, rules, sets and their members. What was mended is in the
// drift; of what stays as it is (foreign rules, hooks that do not exist) it
// tells only when it changes.
func (a *Action) Resync(ctx context.Context, want iter.Seq[ban.Ban]) (plugin.Drift, error) {
	a.mu.Lock()
	if a.desired.folding.on() && a.desired.folding.askAnew(a.desired.bans) {
		a.intact = 0 // the bans are the same, and amount to something else
	}
	var before [2]map[netip.Prefix]end
	if a.intact != 0 {
		before = [2]map[netip.Prefix]end{maps.Clone(a.desired.bans[ipv4]), maps.Clone(a.desired.bans[ipv6])}
	}
	unfit := a.desired.replace(want, a.accepts, a.now())
	a.mu.Unlock()
	if unfit == nil && a.untouched(ctx, before) {
		return plugin.Drift{}, nil
	}
	seen := a.present(ctx)
	drift, err := a.reconcile(ctx, true)
	// With commits of our own in between there may be others' too, and what the
	// brake leaves as it is must be looked at again: the next look will tell.
	a.intact = 0
	if err == nil && unfit == nil && a.brake.allows(a.now()) && a.present(ctx) == seen {
		a.intact = seen
	}
	return drift, errors.Join(unfit, err)
}

// choose picks the backend for n entries. Going back to rules waits until there
// are clearly fewer, and for a Resync: nothing is urgent about it.
func (a *Action) choose(n int, resync bool) string {
	c := &a.config
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

// reconcile makes both families agree with what is desired.
func (a *Action) reconcile(ctx context.Context, resync bool) (plugin.Drift, error) {
	now := a.now()
	a.mu.Lock()
	if !resync { // replace has done it already
		a.desired.expire(now)
	}
	a.mu.Unlock()

	var drift plugin.Drift
	var errs []error
	backend := a.choose(a.desired.size(), resync)
	noSets := ""
	if backend == backendSet {
		if err := a.checkSets(ctx); err != nil {
			noSets = err.Error()
			backend = backendRules
			if a.config.backend == backendSet {
				errs = append(errs, fmt.Errorf("%w; one rule for each ban stands in", err))
			} else if noSets != a.noSets {
				drift.Notes = append(drift.Notes, noSets+"; one rule for each ban stands in")
			}
		}
	}
	a.mu.Lock()
	a.backend, a.noSets = backend, noSets
	a.mu.Unlock()

	for _, f := range a.families {
		d, err := a.reconcileFamily(ctx, f, backend, now)
		drift.Missing += d.Missing
		drift.Surplus += d.Surplus
		drift.Notes = append(drift.Notes, d.Notes...)
		if err != nil {
			errs = append(errs, f.error(err))
		}
	}
	return drift, errors.Join(errs...)
}

// A brake keeps two programs from outbidding each other for ever: it lets
// moveBurst moves pass in an hour, and after them one every moveEvery. It is
// given the time.
type brake struct{ moves []time.Time }

const (
	moveBurst = 20
	moveEvery = 5 * time.Minute
)

func (b *brake) allows(now time.Time) bool {
	for len(b.moves) > 0 && now.Sub(b.moves[0]) > time.Hour {
		b.moves = b.moves[1:]
	}
	n := len(b.moves)
	return n < moveBurst || now.Sub(b.moves[n-1]) >= moveEvery
}

func (b *brake) moved(now time.Time) { b.moves = append(b.moves, now) }
