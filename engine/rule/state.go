package rule

import (
	"fmt"
	"hash/maphash"
	"slices"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// A state is a rule and all that it remembers.
type state struct {
	spec  *Spec
	brake brakeLog
	told  toldLog
	stats status.Rule // but for what the trackers know

	// Where there is a threshold:
	keyer        *keyer
	distinct     *event.Field // nil: matches are counted
	distinctSeed maphash.Seed
	trackers     []*tracker // for each source in spec.On
}

func newState(spec *Spec) *state {
	r := &state{spec: spec, told: newToldLog()}
	th := spec.Threshold
	if th == nil {
		return r
	}
	if th.Count < 1 || th.Count > MaxCount {
		panic(fmt.Sprintf("rule: %s: a count of %d", spec.Name, th.Count))
	}
	if len(th.Per) == 0 {
		panic(fmt.Sprintf("rule: %s: one window for everybody", spec.Name))
	}
	r.keyer = newKeyer(th.Per)
	if th.Distinct != "" {
		r.distinct = fieldNamed(th.Distinct)
		r.distinctSeed = maphash.MakeSeed()
	}
	for range spec.On {
		r.trackers = append(r.trackers, newTracker(th.Within.Microseconds(), th.Distinct != "", r.keepsAddresses()))
	}
	return r
}

func (r *state) keepsAddresses() bool { return r.spec.Ban != nil && r.spec.Ban.All }

// hit is an event as one to be counted. It reports false for an event that lacks
// the key, or a value to tell apart.
func (r *state) hit(ev *event.Event) (hit, bool) {
	key, ok := r.keyer.digest(ev)
	if !ok {
		return hit{}, false
	}
	h := hit{key: key, time: ev.Time.UnixMicro(), name: ev.Name, addr: ev.IP}
	if r.distinct != nil {
		value := r.distinct.Get(ev)
		if value == "" {
			return hit{}, false
		}
		h.value = maphash.String(r.distinctSeed, value)
	}
	return h, true
}

// forget clears a key in all sources of the rule.
func (r *state) forget(key digest) {
	for _, t := range r.trackers {
		t.forget(key)
	}
}

// adopt takes over from a rule of the same name: its tallies, the bans that its
// brake has counted and what was told, and its windows if they count the same
// thing.
func (r *state) adopt(old *state) {
	r.stats, r.brake, r.told = old.stats, old.brake, old.told
	if !r.countsLike(old) {
		for _, t := range old.trackers {
			r.stats.Evicted += t.evicted
			r.stats.Expired += t.expired
		}
		return
	}
	// The seeds are what old's digests were made with.
	r.keyer, r.distinctSeed = old.keyer, old.distinctSeed
	for i, source := range r.spec.On {
		r.trackers[i] = old.trackers[slices.Index(old.spec.On, source)]
		r.trackers[i].keep(r.keepsAddresses())
	}
}

// countsLike reports whether matches that old counted are matches that r would
// have counted. The count itself may differ, and what has to happen then.
func (r *state) countsLike(old *state) bool {
	a, b := r.spec.Threshold, old.spec.Threshold
	if a == nil || b == nil {
		return false
	}
	return r.spec.Match.String() == old.spec.Match.String() &&
		slices.Equal(slices.Sorted(slices.Values(r.spec.On)), slices.Sorted(slices.Values(old.spec.On))) &&
		slices.Equal(a.Per, b.Per) && a.Within == b.Within && a.Distinct == b.Distinct
}

func (r *state) report() status.Rule {
	s := r.stats
	s.Name, s.Where, s.On = r.spec.Name, r.spec.Where, r.spec.On
	for _, t := range r.trackers {
		s.Tracked += len(t.keys)
		s.Evicted += t.evicted
		s.Expired += t.expired
	}
	return s
}
