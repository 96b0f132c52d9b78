package ban

import (
	"fmt"
	"slices"
	"time"
)

// A Record is all that the ledger knows about one target. Its fields but Target, and
// those of [Ban], [Evidence] and [Trusted], are in a [File] in this order; a new order
// needs a new bucket.
type Record struct {
	Target   Target    `msgpack:"-"`
	Ban      *Ban      // nil: not banned
	Offences int       // the number of its bans; 0: forgotten
	Until    time.Time // the end of its last ban; zero: permanent, or never banned
	Forget   time.Time // when the offences are forgotten; zero: never
	Grace    time.Time // rules do not ban it until then; zero: no grace
	Grant    *Trusted  // trust that was given at run time; nil: none
}

// Empty reports whether nothing is known about the target.
func (r *Record) Empty() bool {
	return r.Ban == nil && r.Offences == 0 && r.Grace.IsZero() && r.Grant == nil
}

// A Store keeps records across restarts.
type Store interface {
	// Save makes the records durable before it returns, all of them or none. They are
	// in the order of their targets, one each. An empty one deletes what was known. It must not keep them.
	// The evidence of a ban may be nil: then it has not changed.
	Save(records []Record) error

	// Evidence returns the evidence of a ban that was saved, oldest first.
	Evidence(*Ban) []Evidence

	// Load passes every record that was saved and is not empty to each, which must not keep its ban.
	Load(each func(Record)) error
}

// Restore fills an empty ledger from a store, and saves to it from now on. Bans that
// trust forbids, and those that ended meanwhile, are removed by the SetTrust and
// Advance that follow.
func (l *Ledger) Restore(store Store) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.store = store
	defer l.thin()
	return store.Load(func(r Record) {
		var target *Target // of the ban: deadlines must not keep the record
		if r.Ban != nil {
			h := l.hold(r.Ban)
			target = &h.target
			l.bans.put(r.Target, h)
			l.remind(r.Ban.Until, target)
		} else {
			alone := r.Target
			target = &alone
		}
		if r.Offences > 0 {
			l.history[r.Target] = offences{count: r.Offences, until: micro(r.Until), forget: micro(r.Forget)}
			l.remind(r.Forget, target)
		}
		if !r.Grace.IsZero() {
			l.grace.put(r.Target, r.Grace)
			l.remind(r.Grace, target)
		}
		if r.Grant != nil {
			l.grants.table.put(r.Target, r.Grant)
			l.remind(r.Grant.Until, &r.Grant.Target)
		}
	})
}

// Publish passes the decisions since the last call to the eager cursors.
func (l *Ledger) Publish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.publish()
}

func (l *Ledger) publish() {
	if len(l.fresh) == 0 {
		return
	}
	for _, c := range l.cursors {
		if c.eager {
			c.push(l.fresh)
		}
	}
	if l.published == nil {
		l.published, l.fresh = l.fresh, nil
		return
	}
	l.published = append(l.published, l.fresh...)
	clear(l.fresh) // its room is used again
	l.fresh = l.fresh[:0]
}

// Commit publishes the decisions, makes them durable, passes them to the other cursors
// and returns them. On an error they are not durable, and are passed on all the same:
// a host that cannot write must still be protected. The next commit saves them again.
// Decisions go on meanwhile; there is one commit at a time.
func (l *Ledger) Commit() ([]*Change, error) {
	changes, records := l.uncommitted()
	var err error
	if len(records) > 0 {
		err = l.store.Save(records)
	}
	if len(changes) == 0 && len(records) == 0 {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		for _, r := range records {
			l.dirty = append(l.dirty, r.Target)
		}
		err = fmt.Errorf("ledger: %d targets are not saved: %w", len(records), err)
	}
	for _, r := range records {
		if err == nil && r.Ban != nil && len(r.Ban.Evidence) > 0 {
			if h, ok := l.bans.get(r.Target); ok {
				l.unsaved.saved(h, r.Ban.Evidence)
			}
		}
	}
	clear(l.room.bans) // they hold texts
	for _, c := range l.cursors {
		if !c.eager {
			c.push(changes)
		}
	}
	return changes, err
}

// mostRoom is the number of targets whose room is used again by the next commit.
const mostRoom = 1 << 14

// uncommitted returns the changes to be passed on once they are durable, and the records
// that make them so.
func (l *Ledger) uncommitted() ([]*Change, []Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.publish()
	changes := l.published
	l.published = nil
	if len(l.dirty) == 0 {
		return changes, nil
	}
	var records []Record
	if l.store != nil {
		slices.SortFunc(l.dirty, Target.Compare)
		l.dirty = slices.Compact(l.dirty)
		var bans []Ban
		records, bans = l.room.take(len(l.dirty))
		for i, target := range l.dirty {
			records[i] = l.record(target, &bans[i])
		}
	}
	if l.dirty = l.dirty[:0]; cap(l.dirty) > mostRoom {
		l.dirty = nil
	}
	return changes, records
}

// room is used by one commit after the other.
type room struct {
	records []Record
	bans    []Ban // of the records
}

// take returns room for n records and their bans, and keeps that of mostRoom at most.
func (r *room) take(n int) ([]Record, []Ban) {
	switch {
	case n > mostRoom:
		return make([]Record, n), make([]Ban, n)
	case n > len(r.records), 4*n < len(r.records):
		r.records, r.bans = make([]Record, n), make([]Ban, n)
	}
	return r.records[:n], r.bans[:n]
}

// record returns what is known of a target. Its ban is put into b.
func (l *Ledger) record(target Target, b *Ban) Record {
	r := Record{Target: target}
	if h, ok := l.bans.get(target); ok {
		*b = h.ban()
		if p := h.unsaved; p != nil {
			b.Evidence = p.evidence
		}
		r.Ban = b
	}
	if h, ok := l.history[target]; ok {
		r.Offences, r.Until, r.Forget = h.count, fromMicro(h.until), fromMicro(h.forget)
	}
	r.Grace, _ = l.grace.get(target)
	r.Grant, _ = l.grants.table.get(target)
	return r
}
