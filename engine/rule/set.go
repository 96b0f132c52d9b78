package rule

import (
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// A Set has the rules in force, with everything that they remember. It belongs to one
// goroutine.
type Set struct {
	rules   []*rule
	bySpec  map[*Spec]*rule
	sources map[string]*listeners
	ring    *ring
	usedUp  int       // brakes
	earlier []counted // matches of the latest firing

	now      time.Time
	byID     map[ID]*rule // with the scope of a fleet
	heard    *event.Event // the last one of a peer that a rule counted
	heardAt  uint64       // its place in the ring
	owed     map[owed]overdue
	nextOwed time.Time // the earliest of them

	// Meter, unless nil, is called for each match that a rule with a threshold counts,
	// and the rule does not fire. n is the number of matches in the window, which is
	// then cut to the rule's Count. A firing would ban addrs, or some of them.
	Meter func(spec *Spec, ev *event.Event, n int, addrs []netip.Addr)

	// Apart, unless nil, reports whether a rule that bans counts an event in windows of their
	// own. So what may be forged neither adds to the other events of a key nor clears them.
	Apart func(ev *event.Event) bool

	// Tell, unless nil, tells the peers of a fleet what a rule with their scope did with an event.
	// Patience is the time for which a peer may fire. Alone has the node fire whatever its peers do,
	// because it does not take their bans.
	Tell     func(id ID, spec *Spec, ev *event.Event, what Told)
	Patience time.Duration
	Alone    bool
}

// listeners are the rules on one source.
type listeners struct {
	byName map[string][]listener // for events that some rule names
	rest   []listener            // for other events
	calls  []listener            // whose matches are open calls
	wants  map[string]bool       // see Set.Wants
}

// A listener is an expression of a rule on one of its sources, spec.On[slot].
type listener struct {
	rule  *rule
	slot  int
	match *Matcher
	then  bool // match is the threshold's Then
}

// NewSet returns a set of rules that remember nothing. The specs must have been checked
// and must not change.
func NewSet(specs []*Spec) *Set {
	s := &Set{bySpec: map[*Spec]*rule{}, byID: map[ID]*rule{}, sources: map[string]*listeners{}, ring: newRing(ringBytes)}
	bySource := map[string][]listener{}
	for _, spec := range specs {
		r := newRule(spec)
		s.rules = append(s.rules, r)
		s.bySpec[spec] = r
		if spec.Fleet {
			r.id = spec.ID()
			s.byID[r.id] = r
		}
		for slot, source := range spec.On {
			bySource[source] = append(bySource[source], listener{rule: r, slot: slot, match: spec.Match})
			if th := spec.Threshold; th != nil && th.Then != nil {
				// After the match: an event that is both is counted first.
				bySource[source] = append(bySource[source], listener{rule: r, slot: slot, match: th.Then, then: true})
			}
		}
	}
	for source, all := range bySource {
		s.sources[source] = index(all)
	}
	return s
}

// index sorts the expressions on a source by the events that they can match, so that
// others are not evaluated.
func index(all []listener) *listeners {
	ls := &listeners{byName: map[string][]listener{}, wants: map[string]bool{}}
	for _, l := range all {
		events := l.match.Events()
		if events == nil {
			ls.rest = append(ls.rest, l)
		}
		for name := range events {
			ls.wants[name] = true
		}
		if th := l.rule.spec.Threshold; th != nil && th.Concurrent {
			ls.calls = append(ls.calls, l)
			ls.wants[event.CallEnded] = true
		}
		if events[event.SIPRequest] && (l.match.Uses("answer") || l.match.Uses("repeat")) {
			ls.wants[event.SIPRequestAgain] = true
		}
	}
	for name := range ls.wants {
		for _, l := range all {
			if events := l.match.Events(); events == nil || events[name] {
				ls.byName[name] = append(ls.byName[name], l)
			}
		}
	}
	if len(ls.rest) > 0 {
		ls.wants = nil
		return ls
	}
	for _, l := range all {
		for name := range l.match.names {
			if _, isRaw := event.RawField(name); isRaw {
				ls.wants[name] = true
			}
		}
	}
	return ls
}

func (ls *listeners) to(name string) []listener {
	if named, ok := ls.byName[name]; ok {
		return named
	}
	return ls.rest
}

// Adopt takes over what old remembers. It must be called before the first event, and old
// must not be used after it. A rule of the same name keeps its status, the bans that
// its brake has counted and its alerts to hold back. If it counts the same (the same
// match, sources, key, time and distinct field), it keeps its windows too. A lower count
// then takes effect at the next match, or at the next event that the rule waits for.
func (s *Set) Adopt(old *Set) {
	s.ring = old.ring
	for _, r := range s.rules {
		i := slices.IndexFunc(old.rules, func(o *rule) bool { return o.spec.Name == r.spec.Name })
		if i >= 0 {
			r.adopt(old.rules[i])
		}
		if r.brake.step > 0 {
			s.usedUp++
		}
	}
	s.adoptOwed(old)
}

// Observe shows an event to the rules, in their order, and calls fire for each firing.
func (s *Set) Observe(ev *event.Event, fire func(*Firing)) {
	ls := s.sources[ev.Source]
	if ls == nil {
		return
	}
	s.end(ls, ev)
	var place uint64 // in the ring, once a rule counts the event
	for _, l := range ls.to(ev.Name) {
		r := l.rule
		if l.match.skips(ev) {
			continue
		}
		matched, err := l.match.Match(ev)
		if err != nil {
			r.status.Errors++
			r.status.LastError = err.Error()
		}
		if !matched {
			continue
		}
		if l.then {
			s.complete(l, ev, place, fire)
			continue
		}
		r.status.Matches++
		if r.spec.Threshold == nil {
			r.status.Firings, r.status.LastFiring = r.status.Firings+1, ev.Time
			r.pass(r.firing(ev, nil, 1, s.ring), fire)
			continue
		}
		h, ok := r.hit(ev)
		if !ok {
			continue
		}
		if place == 0 {
			place = s.ring.add(ev)
		}
		h.place = place
		s.count(l, ev, h, fire)
	}
}

// End forgets the call that an event ends, if it ends one. Observe does so, too.
func (s *Set) End(ev *event.Event) {
	if ls := s.sources[ev.Source]; ls != nil {
		s.end(ls, ev)
	}
}

func (s *Set) end(ls *listeners, ev *event.Event) {
	if ev.Name == event.CallEnded || ev.Name == event.CallRejected {
		for _, l := range ls.calls {
			l.rule.end(l.slot, ev)
		}
	}
}

// count adds a hit to its window, and fires if the window is full and the rule waits for
// nothing.
func (s *Set) count(l listener, ev *event.Event, h hit, fire func(*Firing)) {
	r, t := l.rule, s.tracker(l, ev)
	n, count := t.add(h), r.spec.Threshold.Count
	concurrent := r.spec.Threshold.Concurrent
	if ev.Name == event.VertoLoginFailure {
		t, n = r.addToAll(h, t, n)
	}
	if s.Meter != nil {
		addrs := []netip.Addr{ev.IP}
		if r.keepsAddresses() {
			for _, c := range t.others(nil, h.key, h.place, maxMatches) {
				addrs = append(addrs, c.addr)
			}
		}
		if !concurrent {
			t.shorten(h.key, count)
		}
		s.Meter(r.spec, ev, n, addrs)
		return
	}
	if t, n = s.over(l, ev, h, t, n); n < count {
		return
	}
	if r.spec.Threshold.Then != nil {
		t.shorten(h.key, count)
		return
	}
	s.fire(l, t, ev, h, n, fire)
}

// tracker returns that of a listener in which an event is counted.
func (s *Set) tracker(l listener, ev *event.Event) *tracker {
	if s.Apart != nil && l.rule.spec.BansAddresses() && s.Apart(ev) {
		return l.rule.apart[l.slot]
	}
	return l.rule.trackers[l.slot]
}

// complete fires if an event matches Then and the window of its key is full. Nothing is
// remembered of the event: most keys that succeed have never failed. place is that of
// the event in the ring, or 0 if no rule has counted it.
func (s *Set) complete(l listener, ev *event.Event, place uint64, fire func(*Firing)) {
	key, ok := l.rule.keyer.digest(ev)
	if !ok {
		return
	}
	count := l.rule.spec.Threshold.Count
	if t, full := s.spans(l, s.tracker(l, ev), key, count, ev.Time.UnixMicro()); full {
		s.fire(l, t, ev, hit{key: key, place: place}, count, fire)
	}
}

// fire reports the firing of a full window, with n matches, and clears the windows of its key unless it
// is kept. Calls that are open stay so. At a match of a peer, the windows of this node's own sources stay.
func (s *Set) fire(l listener, t *tracker, ev *event.Event, h hit, n int, fire func(*Firing)) {
	r, th := l.rule, l.rule.spec.Threshold
	most := n // matches before the event
	if th.Concurrent && (r.spec.Ban == nil || !r.spec.Ban.All) {
		most = MaxEvidence // a switch has thousands of calls
	}
	r.status.Firings, r.status.LastFiring = r.status.Firings+1, ev.Time
	s.earlier = t.others(s.earlier[:0], h.key, h.place, most)
	keep := r.pass(r.firing(ev, s.earlier, n, s.ring), fire)
	switch {
	case th.Concurrent:
	case keep:
		t.shorten(h.key, th.Count)
	case h.foreign: // the firing may ban nothing of what this node has seen
		t.forget(h.key)
	default:
		if t.forget(h.key); t != r.apart[l.slot] {
			r.forget(h.key)
		}
	}
	if t != r.apart[l.slot] {
		s.settle(r, h.key, ev, keep)
	}
}

// Wants returns the names of the events of a source that its rules can match; nil: any.
// It is empty for a source without rules. The caller must not change the map.
func (s *Set) Wants(source string) map[string]bool {
	if ls := s.sources[source]; ls != nil {
		return ls.wants
	}
	return map[string]bool{}
}

// Due reports whether a rule may report a subject at at: it may not within every of its
// last report of the subject. If it may, this counts as the report, and held is the
// number of repetitions since the last one. An every of 0 is always due.
func (s *Set) Due(spec *Spec, subject string, every time.Duration, at time.Time) (held int, ok bool) {
	r := s.bySpec[spec]
	if r == nil || every == 0 {
		return 0, true
	}
	if held, ok = r.holdOff.due(subject, every, at.UnixMicro()); !ok {
		r.status.Held++
	}
	return held, ok
}

// Shift moves all that the rules remember of a source's events in time.
func (s *Set) Shift(source string, by time.Duration) {
	for _, r := range s.rules {
		for slot, t := range r.trackers {
			if r.spec.On[slot] == source {
				t.base += by.Microseconds()
				r.apart[slot].base += by.Microseconds()
			}
		}
	}
}

// Step moves all that the rules remember in time, after a step of the host's clock.
func (s *Set) Step(by time.Duration) {
	for _, r := range s.rules {
		r.holdOff.base += by.Microseconds()
		r.brake.shift(by.Microseconds())
	}
	for source := range s.sources {
		s.Shift(source, by)
	}
	s.stepFleet(by)
}

// Stats returns what the rules have done, in their order, without what the ledger
// decided. Except for Tracked, its numbers never decrease, even across an adoption.
func (s *Set) Stats() []status.Rule {
	out := make([]status.Rule, len(s.rules))
	for i, r := range s.rules {
		out[i] = r.report()
	}
	return out
}
