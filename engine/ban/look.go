package ban

import (
	"math"
	"slices"
	"time"

	"freeswitch-security/engine/event"
)

// What follows reads the ledger and changes nothing.

// Bans returns the bans in force, in the order of their targets.
func (l *Ledger) Bans() []Ban { return l.After(Target{}, math.MaxInt) }

// After returns up to limit bans in force, without their evidence, that follow target in the order of Bans;
// the zero Target precedes all of them. It takes as long as the page is long,
// wherever that is: the ledger is locked meanwhile.
func (l *Ledger) After(target Target, limit int) []Ban {
	l.mu.Lock()
	defer l.mu.Unlock()
	page := make([]Ban, 0, min(limit, l.bans.size()))
	for _, b := range l.bans.after(target) {
		if len(page) == limit {
			break
		}
		page = append(page, b.ban())
	}
	return page
}

// Seq returns the number of the latest change to the bans: the kinds in Levels.
func (l *Ledger) Seq() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.levelSeq
}

// Size returns the number of bans in force.
func (l *Ledger) Size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bans.size()
}

// Endpoints returns the endpoints in an address or a network that are banned, in order.
func (l *Ledger) Endpoints(in Target) []Target {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []Target
	network, _ := in.Network() // an invalid one contains nothing
	for t := range l.bans.others {
		if t.Kind() == TargetEndpoint && network.Contains(t.addr) {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, Target.Compare)
	return found
}

// Accounts returns the accounts that are banned, in order.
func (l *Ledger) Accounts() []Target {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(func(yield func(Target) bool) {
		for t := range l.bans.others {
			if t.Kind() == TargetAccount && !yield(t) {
				return
			}
		}
	}, Target.Compare)
}

// Get returns the ban in force of exactly this target, without its evidence.
func (l *Ledger) Get(target Target) (Ban, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.exact(target); b != nil {
		return *b, true
	}
	return Ban{}, false
}

// exact returns the ban in force of exactly this target; nil if there is none.
func (l *Ledger) exact(target Target) *Ban {
	h, ok := l.bans.get(target)
	if !ok {
		return nil
	}
	b := h.ban()
	return &b
}

// Grace returns until when rules do not ban the target, by a grace of its own or of a network around
// it; zero: they do. own is whether it has one of its own.
func (l *Ledger) Grace(target Target) (until time.Time, own bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until, own = l.grace.get(target)
	for end := range l.grace.around(target) {
		if end.After(until) {
			until = end
		}
	}
	return until, own
}

// PlaceOf returns where the address of a target is.
func (l *Ledger) PlaceOf(target Target) event.Place {
	l.mu.Lock()
	place := l.place
	l.mu.Unlock()
	return place(target.Prefix().Addr())
}

// Covering returns the ban in force that covers all of target and ends last, without its
// evidence.
func (l *Ledger) Covering(target Target) (Ban, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.standing(target); b != nil {
		return *b, true
	}
	return Ban{}, false
}
