package ban

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// A Record is all that the ledger knows about one target. One with neither a ban
// nor offences nor a grace says that there is nothing to know any more.
type Record struct {
	Target   netip.Prefix
	Ban      *Ban      // nil: not banned
	Offences int       // how often the target was banned; 0: forgotten
	Until    time.Time // the end of its last ban; zero: permanent, or never banned
	Forget   time.Time // when the offences are forgotten; zero: never
	Grace    time.Time // until when rules leave it alone; zero: no grace
}

// Empty reports whether the record says that there is nothing to know.
func (r *Record) Empty() bool { return r.Ban == nil && r.Offences == 0 && r.Grace.IsZero() }

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
			l.due.add(r.Forget, r.Target)
		}
		if r.Ban != nil {
			l.bans.Insert(r.Target, r.Ban)
			l.due.add(r.Ban.Until, r.Target)
		}
		if !r.Grace.IsZero() {
			l.grace.Insert(r.Target, r.Grace)
			l.due.add(r.Grace, r.Target)
		}
	})
}

// Commit makes durable what was decided since the last commit, and then tells
// the cursors. An error means that it is not durable: it was told all the same,
// because a host that cannot write must still be protected, and the next commit
// tries to save it again.
func (l *Ledger) Commit() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.save()
	for _, c := range l.cursors {
		c.push(l.fresh)
	}
	l.fresh = nil
	return err
}

func (l *Ledger) save() error {
	if l.store == nil {
		clear(l.dirty)
		return nil
	}
	if len(l.dirty) == 0 {
		return nil
	}
	records := make([]Record, 0, len(l.dirty))
	for _, target := range slices.SortedFunc(maps.Keys(l.dirty), netip.Prefix.Compare) {
		records = append(records, l.record(target))
	}
	if err := l.store.Save(records); err != nil {
		return fmt.Errorf("ledger: %d targets are not saved: %w", len(records), err)
	}
	clear(l.dirty)
	return nil
}

func (l *Ledger) record(target netip.Prefix) Record {
	r := Record{Target: target}
	r.Ban, _ = l.bans.Get(target)
	if h, ok := l.history[target]; ok {
		r.Offences, r.Until, r.Forget = h.count, h.until, h.forget
	}
	r.Grace, _ = l.grace.Get(target)
	return r
}
