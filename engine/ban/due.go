package ban

import (
	"container/heap"
	"slices"
	"time"
)

// A deadline is a time at which the ledger has something to do about a target. It may
// be stale: the ban may have been extended or ended since.
type deadline struct {
	at     time.Time
	target Target
}

// deadlines is a heap, the earliest first, and those of one time in the order of
// targets: replays of one recording are equal.
type deadlines []deadline

func (d deadlines) Len() int { return len(d) }
func (d deadlines) Less(i, j int) bool {
	if !d[i].at.Equal(d[j].at) {
		return d[i].at.Before(d[j].at)
	}
	return d[i].target.Compare(d[j].target) < 0
}
func (d deadlines) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *deadlines) Push(x any)   { *d = append(*d, x.(deadline)) }
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	*d = (*d)[:last]
	return x
}

func (d *deadlines) add(at time.Time, target Target) {
	if !at.IsZero() {
		heap.Push(d, deadline{at, target})
	}
}

// remind has Advance look at a target at a time. A ban that is extended again and again
// leaves a stale deadline each time: once most of them are stale, those are dropped.
func (l *Ledger) remind(at time.Time, target Target) {
	l.due.add(at, target)
	if live := l.bans.size() + len(l.history) + l.grants.Size() + l.grace.size(); len(l.due) > 2*live+1024 {
		l.due = slices.DeleteFunc(l.due, l.stale)
		heap.Init(&l.due)
	}
}

// stale reports whether nothing is due at a deadline any more.
func (l *Ledger) stale(d deadline) bool {
	if b, ok := l.bans.get(d.target); ok && b.Until.Equal(d.at) {
		return false
	}
	if h, ok := l.history[d.target]; ok && h.forget.Equal(d.at) {
		return false
	}
	if g, ok := l.grant(d.target); ok && g.Until.Equal(d.at) {
		return false
	}
	until, ok := l.grace.get(d.target)
	return !ok || !until.Equal(d.at)
}

// pop takes the earliest deadline that is not after now.
func (d *deadlines) pop(now time.Time) (deadline, bool) {
	if len(*d) == 0 || (*d)[0].at.After(now) {
		return deadline{}, false
	}
	return heap.Pop(d).(deadline), true
}
