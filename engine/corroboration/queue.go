package corroboration

import (
	"slices"
	"time"

	"freeswitch-security/engine/event"
)

// A queue keeps events for one fixed time, so that they leave in the order in
// which they came. Those of one attempt can be taken out before.
type queue struct {
	entries []*entry // oldest first; a taken one stays until its turn comes
	byKey   map[attempt][]*entry
}

func newQueue() queue { return queue{byKey: map[attempt][]*entry{}} }

type entry struct {
	key   attempt
	event *event.Event // nil: taken
	until time.Time
}

// put keeps an event until a time that is not before that of the kept ones. A full
// queue discards the oldest, and reports whether that was a loss.
func (q *queue) put(key attempt, ev *event.Event, until time.Time) (lost bool) {
	if len(q.entries) == maxKept {
		lost = q.drop() != nil
	}
	e := &entry{key, ev, until}
	q.entries = append(q.entries, e)
	q.byKey[key] = append(q.byKey[key], e)
	return lost
}

// take takes out the oldest event of an attempt that fits; nil where none does.
func (q *queue) take(key attempt, fits func(*event.Event) bool) *event.Event {
	for _, e := range q.byKey[key] {
		if ev := e.event; fits(ev) {
			q.forget(e)
			e.event = nil
			return ev
		}
	}
	return nil
}

// drop takes off the oldest entry and returns its event, nil if that was taken.
func (q *queue) drop() *event.Event {
	e := q.entries[0]
	q.entries = q.entries[1:]
	if e.event != nil {
		q.forget(e)
	}
	return e.event
}

// forget takes an entry out of those of its attempt.
func (q *queue) forget(e *entry) {
	rest := q.byKey[e.key]
	switch {
	case len(rest) == 1:
		delete(q.byKey, e.key)
	case rest[0] == e: // the common case, and one caller may have sent them all
		q.byKey[e.key] = rest[1:]
	default:
		i := slices.Index(rest, e)
		q.byKey[e.key] = slices.Delete(rest, i, i+1)
	}
}

// next returns when the oldest kept event is due.
func (q *queue) next() (until time.Time, ok bool) {
	for len(q.entries) > 0 && q.entries[0].event == nil {
		q.entries = q.entries[1:]
	}
	if len(q.entries) == 0 {
		return time.Time{}, false
	}
	return q.entries[0].until, true
}

// postpone keeps all events until a later time.
func (q *queue) postpone(until time.Time) {
	for _, e := range q.entries {
		e.until = until
	}
}

// step moves all events in time, and when they are due.
func (q *queue) step(by time.Duration) {
	for _, e := range q.entries {
		e.until = e.until.Add(by)
		if e.event != nil {
			e.event.Time, e.event.Shifted = e.event.Time.Add(by), e.event.Shifted+by
		}
	}
}

// due takes off the oldest kept event, if its time has come.
func (q *queue) due(now time.Time) *event.Event {
	if until, ok := q.next(); !ok || until.After(now) {
		return nil
	}
	return q.drop()
}
