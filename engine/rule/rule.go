package rule

import (
	"hash/maphash"
	"slices"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// A rule is a Spec with everything that it remembers.
type rule struct {
	spec    *Spec
	id      ID // with the scope of a fleet
	brake   brake
	holdOff holdOff
	status  status.Rule // without what the trackers know

	// Room of a firing, of which there are thousands in a flood.
	firingRoom Firing
	orderRoom  [1]ban.Order

	// With a threshold:
	keyer     *keyer
	distinct  *event.Field // nil: matches are counted
	around    Network      // of distinct addresses
	valueSeed maphash.Seed // of the values of distinct, and of the uuids of calls
	trackers  []*tracker   // of each source in spec.On
	apart     []*tracker   // likewise, of the matches that Set.Apart counts apart
	fleet     *fleet       // nil before the first match with peers
}

func newRule(spec *Spec) *rule {
	r := &rule{spec: spec, brake: newBrake(), holdOff: newHoldOff(), status: status.Rule{Name: spec.Name, Where: spec.Where, On: spec.On}}
	if spec.Bans() {
		r.status.Terms = spec.Ban.Terms
	}
	th := spec.Threshold
	if th == nil {
		return r
	}
	r.keyer = newKeyer(th.Per, spec.NAT64)
	r.valueSeed = maphash.MakeSeed()
	if th.Distinct != "" {
		part, _ := parseKeyPart(th.Distinct)
		r.distinct, r.around = event.FieldNamed(part.Field), part.Network
	}
	for range spec.On {
		for _, list := range []*[]*tracker{&r.trackers, &r.apart} {
			t := newTracker(th.Within.Microseconds(), th.Distinct != "", r.keepsAddresses())
			if th.Concurrent {
				t.holdCalls()
			}
			*list = append(*list, t)
		}
	}
	return r
}

// keepsAddresses reports whether a rule bans all addresses in a window, or a network for what its
// hosts do.
func (r *rule) keepsAddresses() bool {
	b := r.spec.Ban
	return r.spec.BansAddresses() && (b.All || b.Network.V4 < Host.V4 || b.Network.V6 < Host.V6)
}

// hit converts an event for counting. It reports false if the event lacks the key or
// the distinct value.
func (r *rule) hit(ev *event.Event) (hit, bool) {
	key, ok := r.keyer.digest(ev)
	if !ok {
		return hit{}, false
	}
	h := hit{key: key, time: ev.Time.UnixMicro(), name: ev.Name, addr: ev.IP, proven: ev.Proven}
	switch {
	case r.distinct == nil:
	case r.distinct.Name == "ip":
		network, ok := r.around.Of(ev.IP, r.spec.NAT64)
		if !ok {
			return hit{}, false
		}
		ip := network.Addr().As16()
		value := [17]byte{16: byte(network.Bits())}
		copy(value[:], ip[:])
		h.value = maphash.Bytes(r.valueSeed, value[:])
	default:
		value := r.distinct.Counted(ev)
		if value == "" {
			return hit{}, false
		}
		h.value = maphash.String(r.valueSeed, value)
	}
	if r.spec.Threshold.Concurrent {
		h.value = maphash.String(r.valueSeed, ev.UUID)
	}
	return h, ev.UUID != "" || !r.spec.Threshold.Concurrent
}

// end forgets the call of an event, or all calls if a switch was restarted.
func (r *rule) end(slot int, ev *event.Event) {
	for _, t := range []*tracker{r.trackers[slot], r.apart[slot]} {
		if ev.UUID != "" {
			t.end(maphash.String(r.valueSeed, ev.UUID))
		} else if ev.Name == event.CallEnded {
			t.forgetAll()
		}
	}
}

// addToAll adds a hit that t has counted, n with those before, to the windows of the other sources
// too: they do not hear a login that is no SIP. Otherwise an attacker had a window for its logins and
// another one for what the event socket does not report. It returns the fullest window.
func (r *rule) addToAll(h hit, t *tracker, n int) (*tracker, int) {
	for _, other := range r.trackers {
		if other != t {
			if m := other.add(h); m > n {
				t, n = other, m
			}
		}
	}
	return t, n
}

// forget clears the windows of a key on all sources, except for what is counted apart.
func (r *rule) forget(key digest) {
	for _, t := range r.trackers {
		t.forget(key)
	}
	r.fleet.forget(key)
}

// adopt is [Set.Adopt] for a rule of the same name.
func (r *rule) adopt(old *rule) {
	r.holdOff = old.holdOff
	if r.spec.Brake != nil {
		r.brake = old.brake
	}
	terms := r.status.Terms
	r.status = old.report()
	r.status.Where, r.status.On, r.status.Terms, r.status.Tracked = r.spec.Where, r.spec.On, terms, 0
	if !r.countsLike(old) {
		return
	}
	// The old digests were made with the old seeds.
	r.keyer, r.valueSeed = old.keyer, old.valueSeed
	r.fleet = old.fleet
	for _, t := range r.fleet.both() {
		t.carryOver(r.keepsAddresses())
	}
	for i, source := range r.spec.On {
		if j := slices.Index(old.spec.On, source); j >= 0 {
			r.trackers[i], r.apart[i] = old.trackers[j], old.apart[j]
			for _, t := range []*tracker{r.trackers[i], r.apart[i]} {
				t.carryOver(r.keepsAddresses())
			}
		}
	}
}

// countsLike reports whether r would have counted the matches that old counted. The
// count and Then may differ.
func (r *rule) countsLike(old *rule) bool {
	a, b := r.spec.Threshold, old.spec.Threshold
	if a == nil || b == nil {
		return false
	}
	return r.spec.Match.String() == old.spec.Match.String() && slices.Equal(r.spec.NAT64, old.spec.NAT64) &&
		slices.Equal(a.Per, b.Per) && a.Within == b.Within && a.Concurrent == b.Concurrent && a.Distinct == b.Distinct
}

// report returns the rule's status.
func (r *rule) report() status.Rule {
	s := r.status
	s.BrakeFactor, s.Withheld = factors[r.brake.step], r.brake.withheld
	for _, t := range slices.Concat(r.trackers, r.apart, r.fleet.both()) {
		s.Tracked += len(t.keys)
		s.Evicted += t.evicted
		s.Expired += t.expired
	}
	return s
}
