package rule

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"freeswitch-security/engine/event"
)

// An ID identifies what a rule with the scope of a fleet counts. Nodes add up only the matches of
// rules with the same ID: the same name, match, key, time and distinct field.
type ID uint64

// ID returns that of a rule with a threshold.
func (s *Spec) ID() ID {
	t := s.Threshold
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %s %d %q %v", s.Name, s.Match, t.Per, t.Within, t.Distinct, s.NAT64))
	return ID(binary.BigEndian.Uint64(sum[:]))
}

// Told says what a rule with the scope of a fleet did with an event, for the other nodes.
type Told uint8

const (
	Matched   Told = 1 + iota // it counted the event
	Fired                     // it fired at the event, and counts from zero
	FiredKept                 // it fired, and the next match fires again
)

// A fleet has the windows of a rule over all nodes. They are apart from those of its sources, so that nothing that a
// peer tells makes a rule count less than it would without peers.
type fleet struct {
	own *tracker // one match for each attempt at this node, whichever of its sources report it
	all *tracker // these, and those of the peers
}

// An overdue firing is due to a peer, which has the latest match of a full window.
type overdue struct {
	at      time.Time
	ev      *event.Event
	place   uint64 // in the ring
	foreign bool   // the event is a peer's
}

// owed identifies the window of an overdue firing.
type owed struct {
	rule *rule
	key  digest
}

// maxOwed bounds the firings that are waited for. Beyond it, the next match of a key decides.
const maxOwed = 10_000

func newFleet(r *rule) *fleet {
	windows := func() *tracker {
		return newTracker(r.spec.Threshold.Within.Microseconds(), r.spec.Threshold.Distinct != "", r.keepsAddresses())
	}
	return &fleet{own: windows(), all: windows()}
}

// take counts a hit that t, the tracker of a source, has counted as the nth. It reports false if
// another source of this node has reported the attempt already: of each key, the source with the most
// matches counts, as without a fleet. Of a restart, t may know matches that own does not.
func (f *fleet) take(h hit, t *tracker, n int) bool {
	f.own.trimKey(h.key, h.time)
	if f.own.distinct {
		if w := f.own.window(h.key); w != nil {
			if _, found := f.own.seen(w, h.value); found != 0 {
				n = int(w.n) + 1 // a value counts at its latest time
			}
		}
	}
	if n <= f.own.size(h.key) {
		return false
	}
	if f.own.size(h.key) == 0 && n > 1 {
		t.each(h.key, func(before hit) {
			if f.own.size(h.key) < n-1 && (before.place != h.place || h.place == 0) {
				f.put(before)
			}
		})
	}
	f.put(h)
	return true
}

func (f *fleet) put(h hit) {
	f.own.add(h)
	f.all.add(h)
}

// full reports whether the window of a key over all nodes holds count matches and its latest is of this
// node, which is to fire then. after asks for one that is later than all others.
func (f *fleet) full(key digest, count int, after bool) (due, full bool) {
	w := f.all.window(key)
	if w == nil || int(w.n) < count {
		return false, false
	}
	var own, others int64
	for i := w.oldest; i != 0; i = f.all.matches.at(i).next {
		if m := f.all.matches.at(i); m.foreign {
			others = m.time
		} else {
			own = m.time
		}
	}
	return own > others || own == others && !after, true
}

// both returns the two trackers, for what concerns any.
func (f *fleet) both() []*tracker {
	if f == nil {
		return nil
	}
	return []*tracker{f.own, f.all}
}

func (f *fleet) forget(key digest) {
	for _, t := range f.both() {
		t.forget(key)
	}
}

// stepFleet moves the windows over all nodes in time. What peers reported is as long ago as before.
func (s *Set) stepFleet(by time.Duration) {
	for _, r := range s.rules {
		for _, t := range r.fleet.both() {
			t.base += by.Microseconds()
		}
	}
	s.now, s.nextOwed = s.now.Add(by), s.nextOwed.Add(by)
	for key, o := range s.owed {
		o.at = o.at.Add(by)
		s.owed[key] = o
	}
}

// fleetOf returns the windows of a rule over all nodes; nil: it counts at this node alone.
func (s *Set) fleetOf(r *rule) *fleet {
	if s.Tell == nil || !r.spec.Fleet || r.spec.Threshold == nil {
		return nil
	}
	if r.fleet == nil {
		r.fleet = newFleet(r)
	}
	return r.fleet
}

// over returns the tracker to fire by for a hit that t has counted as the nth, and the number of its
// matches: that of all nodes if their window is full. Peers are told of the hit.
func (s *Set) over(l listener, ev *event.Event, h hit, t *tracker, n int) (*tracker, int) {
	f, count := s.fleetOf(l.rule), l.rule.spec.Threshold.Count
	if f == nil || t == l.rule.apart[l.slot] || n == 0 || !f.take(h, t, n) {
		return t, n
	}
	s.Tell(l.rule.id, l.rule.spec, ev, Matched)
	due, full := f.full(h.key, count, false)
	due = due || full && s.Alone
	if all := f.all.size(h.key); due && all >= n {
		return f.all, all
	}
	if full && n < count {
		s.owe(l.rule, h, ev)
	}
	return t, n
}

// spans is [tracker.spans] at one source or over all nodes; it returns the tracker that does.
func (s *Set) spans(l listener, t *tracker, key digest, count int, end int64) (*tracker, bool) {
	t.shorten(key, count) // a reload may have lowered the count
	if t.spans(key, count, end) {
		return t, true
	}
	f := s.fleetOf(l.rule)
	if f == nil || t == l.rule.apart[l.slot] {
		return t, false
	}
	f.all.shorten(key, count)
	return f.all, f.all.spans(key, count, end)
}

// settle tells the peers of a firing.
func (s *Set) settle(r *rule, key digest, ev *event.Event, keep bool) {
	switch {
	case s.fleetOf(r) == nil:
	case keep:
		for _, t := range r.fleet.both() {
			t.shorten(key, r.spec.Threshold.Count)
		}
		s.Tell(r.id, r.spec, ev, FiredKept)
	default:
		s.Tell(r.id, r.spec, ev, Fired)
	}
}

// Hear takes what a peer has told of an event of its own. The node with the latest match of a full
// window fires. If it does not within s.Patience, because it does not know of all matches, or is gone,
// this node fires. It returns the rule, and the key in readable form; nil: no rule counts the same, or
// the event lacks the key. Of a firing for which this node knows too few matches, the key is "": the peer
// may lie.
func (s *Set) Hear(id ID, ev *event.Event, told Told, fire func(*Firing)) (spec *Spec, subject string) {
	r := s.byID[id]
	if r == nil || s.fleetOf(r) == nil {
		return nil, ""
	}
	key, ok := r.keyer.digest(ev)
	if !ok {
		return nil, ""
	}
	switch {
	case told == Matched:
		if h, ok := r.hit(ev); ok && r.names(ev.Name) {
			if ev != s.heard { // one event of several rules takes one place
				s.heard, s.heardAt = ev, s.ring.add(ev)
			}
			h.place, h.foreign = s.heardAt, true
			s.hear(r, h, ev, fire)
		}
		return r.spec, ""
	case s.Alone:
	default:
		known := r.fleet.all.size(key) >= r.spec.Threshold.Count
		if told == Fired {
			r.fleet.all.forget(key)
		} else {
			r.fleet.all.shorten(key, r.spec.Threshold.Count)
		}
		delete(s.owed, owed{r, key})
		if !known {
			return r.spec, ""
		}
	}
	return r.spec, r.keyer.text(ev)
}

// names reports whether the match of a rule names an event. Trackers remember the names.
func (r *rule) names(name string) bool {
	if events := r.spec.Match.Events(); events != nil {
		return events[name]
	}
	return slices.Contains(event.Names, name)
}

func (s *Set) hear(r *rule, h hit, ev *event.Event, fire func(*Firing)) {
	all := r.fleet.all
	if all.add(h) == 0 || r.spec.Threshold.Then != nil {
		return
	}
	if due, full := r.fleet.full(h.key, r.spec.Threshold.Count, true); due || full && s.Alone {
		s.fire(listener{rule: r}, all, ev, h, all.size(h.key), fire)
	} else if full {
		s.owe(r, h, ev)
	}
}

// owe has this node fire if no peer has fired for a full window in time.
func (s *Set) owe(r *rule, h hit, ev *event.Event) {
	if r.spec.Threshold.Then != nil || len(s.owed) >= maxOwed {
		return
	}
	if s.owed == nil {
		s.owed = map[owed]overdue{}
	}
	key := owed{r, h.key}
	if _, waits := s.owed[key]; waits {
		return
	}
	at := s.now.Add(s.Patience)
	s.owed[key] = overdue{at: at, ev: ev, place: h.place, foreign: h.foreign}
	if len(s.owed) == 1 || at.Before(s.nextOwed) {
		s.nextOwed = at
	}
}

// adoptOwed takes over the firings that old waits for, of rules that keep their windows over all nodes.
func (s *Set) adoptOwed(old *Set) {
	s.now, s.nextOwed = old.now, old.nextOwed
	for key, o := range old.owed {
		i := slices.IndexFunc(s.rules, func(r *rule) bool { return r.spec.Fleet && r.fleet != nil && r.fleet == key.rule.fleet })
		if i < 0 {
			continue
		}
		if s.owed == nil {
			s.owed = map[owed]overdue{}
		}
		s.owed[owed{s.rules[i], key.key}] = o
	}
}

// Advance sets the time, and fires what peers should have fired.
func (s *Set) Advance(now time.Time, fire func(*Firing)) {
	s.now = now
	if len(s.owed) == 0 || now.Before(s.nextOwed) {
		return
	}
	s.nextOwed = time.Time{}
	for key, o := range s.owed {
		if now.Before(o.at) {
			if s.nextOwed.IsZero() || o.at.Before(s.nextOwed) {
				s.nextOwed = o.at
			}
			continue
		}
		delete(s.owed, key)
		if all := key.rule.fleet.all; s.fleetOf(key.rule) != nil && all.size(key.key) >= key.rule.spec.Threshold.Count {
			s.fire(listener{rule: key.rule}, all, o.ev, hit{key: key.key, place: o.place, foreign: o.foreign}, all.size(key.key), fire)
		}
	}
}

// Next returns when a firing of a peer is overdue.
func (s *Set) Next() (at time.Time, ok bool) { return s.nextOwed, len(s.owed) > 0 }
