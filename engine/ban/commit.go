package ban

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// A Record is all that the ledger knows about one target. One with neither a ban
// nor offences nor a grace nor a grant says that there is nothing to know any
// more.
type Record struct {
	Target   Target
	Ban      *Ban      // nil: not banned
	Offences int       // how often the target was banned; 0: forgotten
	Until    time.Time // the end of its last ban; zero: permanent, or never banned
	Forget   time.Time // when the offences are forgotten; zero: never
	Grace    time.Time // until when rules leave it alone; zero: no grace
	Grant    *Grant    // nil: not trusted but by what is written
}

// Empty reports whether the record says that there is nothing to know.
func (r *Record) Empty() bool {
	return r.Ban == nil && r.Offences == 0 && r.Grace.IsZero() && r.Grant == nil
}

// A Store keeps records across restarts.
type Store interface {
	// Save makes the records durable before it returns, all of them or none.
	// They come in the order of their targets, one each; an empty one takes
	// the place of what was known.
	Save(records []Record) error

	// Load hands over every record that was saved and is not empty.
	Load(each func(Record)) error
}

// Restore puts what store holds into an empty ledger, and keeps it in store from
// now on. Bans that trust forbids, and those that ended meanwhile, are taken off
// by the SetTrust and Advance that follow, not here.
func (l *Ledger) Restore(store Store) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.store = store
	return store.Load(func(r Record) {
		if r.Offences > 0 {
			l.history[r.Target] = offences{count: r.Offences, until: r.Until, forget: r.Forget}
			l.remind(r.Forget, r.Target)
		}
		if r.Ban != nil {
			l.bans.put(r.Target, r.Ban)
			l.remind(r.Ban.Until, r.Target)
		}
		if !r.Grace.IsZero() {
			l.grace.put(r.Target, r.Grace)
			l.remind(r.Grace, r.Target)
		}
		if r.Grant != nil {
			l.grants.Insert(r.Grant.Network, r.Grant)
			l.remind(r.Grant.Until, r.Target)
		}
	})
}

// Publish tells the eager cursors what was decided since the last time.
func (l *Ledger) Publish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.publish()
}

func (l *Ledger) publish() {
	for _, c := range l.cursors {
		if c.eager {
			c.push(l.fresh)
		}
	}
	l.published = append(l.published, l.fresh...)
	l.fresh = nil
}

// Commit publishes what was decided, makes it durable, and then tells the cursors
// that wait for that. An error means that it is not durable: it was told all the
// same, because a host that cannot write must still be protected, and the next
// commit tries to save it again. Decisions go on meanwhile; there is one commit
// at a time.
func (l *Ledger) Commit() error {
	told, records := l.unsaved()
	var err error
	if len(records) > 0 {
		err = l.store.Save(records)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		for _, r := range records {
			l.dirty[r.Target] = struct{}{}
		}
		err = fmt.Errorf("ledger: %d targets are not saved: %w", len(records), err)
	}
	for _, c := range l.cursors {
		if !c.eager {
			c.push(told)
		}
	}
	return err
}

// unsaved returns what is to be told once it is durable, and the records that
// make it so.
func (l *Ledger) unsaved() ([]Change, []Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.publish()
	told := l.published
	l.published = nil
	var records []Record
	if l.store != nil && len(l.dirty) > 0 {
		for _, target := range slices.SortedFunc(maps.Keys(l.dirty), Target.Compare) {
			records = append(records, l.record(target))
		}
	}
	clear(l.dirty)
	return told, records
}

func (l *Ledger) record(target Target) Record {
	r := Record{Target: target}
	r.Ban, _ = l.bans.get(target)
	if h, ok := l.history[target]; ok {
		r.Offences, r.Until, r.Forget = h.count, h.until, h.forget
	}
	r.Grace, _ = l.grace.get(target)
	r.Grant, _ = l.grant(target)
	return r
}
