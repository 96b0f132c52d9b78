package rule

import (
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/dedup"
)

// factors are the steps of a brake: how many times a target reaches the threshold of a rule
// until it is banned. Each step allows as many new bans as the brake says. The last one has no
// limit: a source that goes on is always banned, and a forger needs four times the packets.
var factors = [...]int{1, 2, 4}

// A brake is what a rule remembers for its Brake. Times are in microseconds.
type brake struct {
	bans     [len(factors) - 1]brakeLog      // at each limited step
	reached  dedup.Cache[ban.Target, report] // withheld bans of each target, and the last one
	base     int64                           // what is added to the times in reached
	step     int                             // the highest one since the brake was used up; 0: it is not
	last     int64                           // when a ban was last withheld
	since    uint64                          // bans withheld while it is used up
	withheld uint64                          // bans withheld in all
}

func newBrake() brake { return brake{reached: dedup.Cache[ban.Target, report]{Half: maxHeld / 2}} }

// A brakeLog holds the times of a rule's latest new bans, as many as its brake allows,
// in microseconds and ascending.
type brakeLog []int64

// charge adds a ban.
func (b *brakeLog) charge(at int64, spec *Brake) {
	i, _ := slices.BinarySearch(*b, at+1)
	*b = slices.Insert(*b, i, at)
	if surplus := len(*b) - spec.Bans; surplus > 0 {
		*b = slices.Delete(*b, 0, surplus)
	}
}

// exhausted reports whether as many bans as the brake allows are in the time that ends
// at at. Later ones, of events that came earlier than this one, count too.
func (b brakeLog) exhausted(at int64, spec *Brake) bool {
	i, _ := slices.BinarySearch(b, at-spec.Within.Microseconds())
	return len(b)-i >= spec.Bans
}

// stepAt returns the first step that allows a ban at at.
func (b *brake) stepAt(at int64, spec *Brake) int {
	for i, log := range b.bans {
		if !log.exhausted(at, spec) {
			return i
		}
	}
	return len(b.bans)
}

// shift moves all times.
func (b *brake) shift(by int64) {
	b.base += by
	b.last += by
	for _, log := range b.bans {
		for i := range log {
			log[i] += by
		}
	}
}

// A Braking is what a used-up brake does to the new ban of a target.
type Braking struct {
	Factor   int  // times that the target has to reach the threshold; 1: the brake is not used up
	Withheld bool // it has not reached it as often
	Risen    bool // Factor is higher than before, and this is the first ban that is withheld for it
}

// Braked reports whether the brake of a rule is used up.
func (s *Set) Braked(spec *Spec, at time.Time) bool {
	r := s.bySpec[spec]
	return r != nil && spec.Brake != nil && r.brake.stepAt(at.UnixMicro(), spec.Brake) > 0
}

// Brake asks the brake of a rule about a new ban of a target that has reached the threshold. A
// target reaches it again if that takes no longer than the brake or the threshold counts.
func (s *Set) Brake(spec *Spec, target ban.Target, at time.Time) Braking {
	if !s.Braked(spec, at) {
		return Braking{Factor: 1}
	}
	b, now := &s.bySpec[spec].brake, at.UnixMicro()
	step := b.stepAt(now, spec.Brake)
	within := spec.Brake.Within
	if spec.Threshold != nil {
		within = max(within, spec.Threshold.Within)
	}
	before, _ := b.reached.Get(target)
	if distance := now - b.base - before.at; max(distance, -distance) > within.Microseconds() {
		before.held = 0
	}
	v := Braking{Factor: factors[step], Withheld: before.held+1 < factors[step]}
	if !v.Withheld {
		return v
	}
	b.reached.Put(target, report{at: now - b.base, held: before.held + 1})
	if b.step == 0 {
		b.since = 0
		s.usedUp++
	}
	v.Risen = step > b.step
	b.step, b.last = max(b.step, step), max(b.last, now)
	b.since++
	b.withheld++
	return v
}

// Charge counts an accepted new ban for a rule's brake.
func (s *Set) Charge(spec *Spec, at time.Time) {
	r := s.bySpec[spec]
	if r == nil || spec.Brake == nil {
		return
	}
	if step := r.brake.stepAt(at.UnixMicro(), spec.Brake); step < len(r.brake.bans) {
		r.brake.bans[step].charge(at.UnixMicro(), spec.Brake)
	}
}

// A Recovery is a brake that is no longer used up.
type Recovery struct {
	Rule     string
	Withheld uint64 // bans, while it was
}

// Recovered ends the brakes that have withheld no ban for as long as they count, and returns
// them in the order of the rules.
func (s *Set) Recovered(now time.Time) (all []Recovery) {
	if s.usedUp == 0 {
		return nil // it is asked at every event
	}
	for _, r := range s.rules {
		if b := &r.brake; b.step > 0 && now.UnixMicro()-b.last > r.spec.Brake.Within.Microseconds() {
			all = append(all, Recovery{r.spec.Name, b.since})
			b.step, b.reached = 0, newBrake().reached
			s.usedUp--
		}
	}
	return all
}
