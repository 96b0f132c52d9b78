package rule

import (
	"slices"
	"time"

	"github.com/expr-lang/expr/vm"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// A Set is the rules that are in force, with all that they remember. It belongs
// to one goroutine.
type Set struct {
	rules   []*state
	bySpec  map[*Spec]*state
	sources map[string]*listeners
	ring    *ring
	machine vm.VM
}

// listeners are the rules on one source.
type listeners struct {
	byName map[string][]listener // events that some rule names
	rest   []listener            // for all others: the rules that name none
	wants  map[string]bool
}

// A listener is an expression of a rule on one of its sources, spec.On[slot].
type listener struct {
	rule  *state
	slot  int
	match *Matcher
	then  bool // match is the threshold's Then, and not what is counted
}

// NewSet puts rules in force that remember nothing. The specs must have passed
// the configuration's checks, and must not change any more.
func NewSet(specs []*Spec) *Set {
	s := &Set{bySpec: map[*Spec]*state{}, sources: map[string]*listeners{}, ring: newRing(ringBytes)}
	bySource := map[string][]listener{}
	for _, spec := range specs {
		r := newState(spec)
		s.rules = append(s.rules, r)
		s.bySpec[spec] = r
		for slot, source := range spec.On {
			bySource[source] = append(bySource[source], listener{rule: r, slot: slot, match: spec.Match})
			if th := spec.Threshold; th != nil && th.Then != nil {
				// Behind the match: an event that is both counts first.
				bySource[source] = append(bySource[source], listener{rule: r, slot: slot, match: th.Then, then: true})
			}
		}
	}
	for source, all := range bySource {
		s.sources[source] = index(all)
	}
	return s
}

// index sorts the expressions on a source by the events that they can match, so
// that an event costs nothing to those that cannot.
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
	}
	return ls
}

func (ls *listeners) to(name string) []listener {
	if named, ok := ls.byName[name]; ok {
		return named
	}
	return ls.rest
}

// Adopt takes over what old remembers, before the first event is observed; old
// must not be used after it. A rule of the same name keeps its tallies, the new
// bans that its brake has counted and what it told of whom. If it counts the same
// thing (the same match on the same sources, per the same key, within the same
// time), it keeps its windows too; a count that is now lower takes effect at the
// next match, or at the next event that the rule waits for.
func (s *Set) Adopt(old *Set) {
	s.ring = old.ring
	for _, r := range s.rules {
		i := slices.IndexFunc(old.rules, func(o *state) bool { return o.spec.Name == r.spec.Name })
		if i >= 0 {
			r.adopt(old.rules[i])
		}
	}
}

// Observe shows an event to the rules, in their order, and hands on what fires.
func (s *Set) Observe(ev *event.Event, fire func(*Firing)) {
	ls := s.sources[ev.Source]
	if ls == nil {
		return
	}
	var env any      // made for the first rule that needs it
	var place uint64 // in the ring, once a rule counts the event
	for _, l := range ls.to(ev.Name) {
		r := l.rule
		if ev.Repeat && !l.match.NamesRepeat() {
			continue
		}
		if env == nil {
			env = NewEnv(ev)
		}
		matched, err := l.match.Match(&s.machine, env)
		if err != nil {
			r.stats.Errors++
			r.stats.LastError = err.Error()
		}
		if !matched {
			continue
		}
		if l.then {
			s.complete(l, ev, place, fire)
			continue
		}
		r.stats.Matches++
		if r.spec.Threshold == nil {
			r.stats.Firings++
			fire(r.firing(ev, nil, s.ring))
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

// count adds a hit to its window, and fires if that is full; a rule with Then waits
// for that.
func (s *Set) count(l listener, ev *event.Event, h hit, fire func(*Firing)) {
	r, t := l.rule, l.rule.trackers[l.slot]
	count := r.spec.Threshold.Count
	if t.add(h) < count {
		return
	}
	if r.spec.Threshold.Then != nil {
		t.shorten(h.key, count)
		return
	}
	s.fire(l, ev, h.key, h.place, fire)
}

// complete shows an event that matches Then to the window of its key, and fires if
// that is full. Nothing is remembered of the event: most of those that succeed have
// never failed. place is where the ring keeps it if a rule has counted it, or 0.
func (s *Set) complete(l listener, ev *event.Event, place uint64, fire func(*Firing)) {
	key, ok := l.rule.keyer.digest(ev)
	if !ok {
		return
	}
	t, count := l.rule.trackers[l.slot], l.rule.spec.Threshold.Count
	t.shorten(key, count) // a reload may have lowered the count
	if t.spans(key, count, ev.Time.UnixMicro()) {
		s.fire(l, ev, key, place, fire)
	}
}

// fire hands on the firing of a full window, and clears it.
func (s *Set) fire(l listener, ev *event.Event, key digest, place uint64, fire func(*Firing)) {
	r := l.rule
	r.stats.Firings++
	f := r.firing(ev, r.trackers[l.slot].others(key, place), s.ring)
	r.forget(key)
	fire(f)
}

// Wants names the events of a source that the expressions on it can match; nil: any.
// It is empty for a source that no rule listens to. The caller must not change
// it.
func (s *Set) Wants(source string) map[string]bool {
	if ls := s.sources[source]; ls != nil {
		return ls.wants
	}
	return map[string]bool{}
}

// Braked reports whether a rule has used up the new bans that its brake allows
// in the time that ends at at.
func (s *Set) Braked(spec *Spec, at time.Time) bool {
	r := s.bySpec[spec]
	return r != nil && spec.Brake != nil && r.brake.used(at.UnixMicro(), spec.Brake)
}

// Charge counts a new ban against a rule's brake. It is for bans that were
// accepted and that did not stand before.
func (s *Set) Charge(spec *Spec, at time.Time) {
	if r := s.bySpec[spec]; r != nil && spec.Brake != nil {
		r.brake.charge(at.UnixMicro(), spec.Brake)
	}
}

// Told asks whether a rule may tell of about, which happened at at: it may not
// within every of the last time that it did, and always if every is 0. It counts
// as told if it may; since is how often it was not since the last time.
func (s *Set) Told(spec *Spec, about string, every time.Duration, at time.Time) (since int, ok bool) {
	r := s.bySpec[spec]
	if r == nil || every == 0 {
		return 0, true
	}
	if since, ok = r.told.tell(about, every, at.UnixMicro()); !ok {
		r.stats.Held++
	}
	return since, ok
}

// Stats tells what the rules have done, in their order.
func (s *Set) Stats() []status.Rule {
	out := make([]status.Rule, len(s.rules))
	for i, r := range s.rules {
		out[i] = r.report()
	}
	return out
}
