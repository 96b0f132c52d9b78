package ban

import (
	"cmp"
	"slices"
	"time"
)

// A deadline is a time at which the ledger has something to do about a target. It may
// be stale: the ban may have been extended or ended since.
type deadline struct {
	at     int64   // in microseconds since 1970
	target *Target // that of a ban, if it is about one: it takes no memory of its own
}

// deadlines is a heap, the earliest first, and those of one time in the order of
// targets: replays of one recording are equal.
type deadlines []deadline

func (d deadlines) less(i, j int) bool {
	if d[i].at != d[j].at {
		return d[i].at < d[j].at
	}
	return d[i].target.Compare(*d[j].target) < 0
}

// push and pop do what container/heap does, without an allocation for each.
func (d *deadlines) push(x deadline) {
	*d = append(*d, x)
	all := *d
	for i := len(all) - 1; i > 0; {
		parent := (i - 1) / 2
		if !all.less(i, parent) {
			return
		}
		all[i], all[parent] = all[parent], all[i]
		i = parent
	}
}

func (d *deadlines) pop() deadline {
	all := *d
	first, last := all[0], len(all)-1
	all[0], all[last] = all[last], deadline{}
	all = all[:last]
	*d = all
	for i := 0; ; {
		least := 2*i + 1
		if least >= last {
			return first
		}
		if right := least + 1; right < last && all.less(right, least) {
			least = right
		}
		if !all.less(least, i) {
			return first
		}
		all[i], all[least] = all[least], all[i]
		i = least
	}
}

// remind has Advance look at a target at a time; the zero time is never. A ban that is
// extended again and again leaves a stale deadline each time: once most of them are stale,
// those are dropped.
func (l *Ledger) remind(at time.Time, target *Target) {
	if at.IsZero() {
		return
	}
	l.due.push(deadline{at.UnixMicro(), target})
	if live := l.bans.size() + len(l.history) + l.grants.table.size() + l.grace.size(); len(l.due) > 2*live+1024 {
		l.due = slices.DeleteFunc(l.due, func(d deadline) bool {
			b, past, grant, grace := l.ending(d)
			return !(b || past || grant || grace)
		})
		slices.SortFunc(l.due, func(a, b deadline) int { return cmp.Compare(a.at, b.at) }) // a sorted list is a heap
	}
}

// ending returns what of a target ends at a deadline.
func (l *Ledger) ending(d deadline) (b, past, grant, grace bool) {
	at := func(t time.Time) bool { return micro(t) == d.at }
	if h, ok := l.bans.get(*d.target); ok {
		b = h.until == d.at
	}
	if h, ok := l.history[*d.target]; ok {
		past = h.forget == d.at
	}
	if g, ok := l.grants.table.get(*d.target); ok {
		grant = at(g.Until)
	}
	if until, ok := l.grace.get(*d.target); ok {
		grace = at(until)
	}
	return b, past, grant, grace
}
