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

// remind has Advance look at a target at a time; the zero time is never. A ban that is
// extended again and again leaves a stale deadline each time: once most of them are stale,
// those are dropped.
func (l *Ledger) remind(at time.Time, target Target) {
	if at.IsZero() {
		return
	}
	heap.Push(&l.due, deadline{at, target})
	if live := l.bans.size() + len(l.history) + l.grants.table.size() + l.grace.size(); len(l.due) > 2*live+1024 {
		l.due = slices.DeleteFunc(l.due, func(d deadline) bool { return !l.record(d.target).due(d.at) })
		heap.Init(&l.due)
	}
}

// due reports whether a part of the record ends at a time, which is not zero.
func (r Record) due(at time.Time) bool {
	return r.Ban != nil && r.Ban.Until.Equal(at) || r.Grant != nil && r.Grant.Until.Equal(at) || r.Forget.Equal(at) || r.Grace.Equal(at)
}
