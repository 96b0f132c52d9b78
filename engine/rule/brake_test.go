package rule

import (
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
)

func seconds(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }

// host is a target; each number is another one.
func host(n byte) ban.Target { return ban.Address(netip.AddrFrom4([4]byte{203, 0, 113, n})) }

// braked is a set with one rule: two new bans in a minute.
func braked(t *testing.T) (*Set, *Spec) {
	spec := guessing(t)
	spec.Brake = &Brake{Bans: 2, Within: time.Minute}
	return NewSet([]*Spec{spec}), spec
}

// asks reaches the threshold as a target, and is charged for its ban.
func asks(s *Set, spec *Spec, target ban.Target, at int) Braking {
	b := s.Brake(spec, target, seconds(at))
	if !b.Withheld {
		s.Charge(spec, seconds(at))
	}
	return b
}

// TestBrakeSteps uses up each step of a brake. Two bans at each of them, and any number at the last.
func TestBrakeSteps(t *testing.T) {
	s, spec := braked(t)
	for i, want := range []Braking{
		{Factor: 1}, {Factor: 1},
		{Factor: 2, Withheld: true, Risen: true}, {Factor: 2}, {Factor: 2, Withheld: true}, {Factor: 2},
		{Factor: 4, Withheld: true, Risen: true}, {Factor: 4, Withheld: true}, {Factor: 4, Withheld: true}, {Factor: 4},
		{Factor: 4, Withheld: true}, {Factor: 4, Withheld: true}, {Factor: 4, Withheld: true}, {Factor: 4},
	} {
		target := map[bool]byte{true: byte(i), false: byte(100 + i/2)}[i < 2]
		if i >= 6 {
			target = byte(200 + (i-6)/4)
		}
		if got := asks(s, spec, host(target), i); got != want {
			t.Errorf("%d: %+v, want %+v", i, got, want)
		}
	}
	if r := s.Stats()[0]; r.BrakeFactor != 4 || r.Withheld != 8 {
		t.Errorf("factor %d, %d withheld", r.BrakeFactor, r.Withheld)
	}
	// The two bans of the first step are a minute ago.
	if got := asks(s, spec, host(1), 62); got.Factor != 1 {
		t.Errorf("a minute later: %+v", got)
	}
}

// TestBrakeIsNotUsedUpByLateBans charges a ban of an event that came late.
func TestBrakeIsNotUsedUpByLateBans(t *testing.T) {
	s, spec := braked(t)
	for _, at := range []int{10, 61, 5} {
		s.Charge(spec, seconds(at))
	}
	if n := len(s.rules[0].brake.bans[0]); n != 2 {
		t.Errorf("the brake remembers %d bans", n)
	}
	if b := s.Brake(spec, host(1), seconds(71)); b.Factor != 1 {
		t.Errorf("%+v", b)
	}
}

// TestWithheldBansAreForgotten has targets reach the threshold again, soon enough or not, while
// the brake stays used up.
func TestWithheldBansAreForgotten(t *testing.T) {
	s, spec := braked(t)
	spec.Threshold.Within = 2 * time.Minute // which is more than the brake's
	for range 2 {
		s.Charge(spec, seconds(180))
	}
	for _, test := range []struct {
		host     byte
		at       int
		withheld bool
	}{{1, 1, true}, {1, 121, false}, {2, 2, true}, {2, 123, true}, {2, 180, false}} {
		if b := s.Brake(spec, host(test.host), seconds(test.at)); b.Withheld != test.withheld {
			t.Errorf("%+v: %+v", test, b)
		}
	}
}

// TestBrakeRecovers tells the end of each time in which a brake was used up, after a reload and a
// step of the clock.
func TestBrakeRecovers(t *testing.T) {
	old, spec := braked(t)
	asks(old, spec, host(1), 0)
	asks(old, spec, host(2), 0)
	if b := asks(old, spec, host(3), 1); !b.Risen {
		t.Fatalf("%+v", b)
	}
	changed := guessing(t)
	changed.Match, changed.Brake = compiled(t, "true"), spec.Brake
	s := NewSet([]*Spec{changed})
	s.Adopt(old)
	s.Step(time.Hour)
	if b := asks(s, changed, host(4), 3602); b.Risen || !b.Withheld {
		t.Errorf("after a reload and a step: %+v", b)
	}
	if all := s.Recovered(seconds(3662)); len(all) != 0 {
		t.Errorf("recovered too early: %+v", all)
	}
	if all := s.Recovered(seconds(3663)); len(all) != 1 || all[0] != (Recovery{"guessing", 2}) {
		t.Errorf("recovered: %+v", all)
	}
	if r := s.Stats()[0]; r.BrakeFactor != 1 || r.Withheld != 2 || len(s.Recovered(seconds(9999))) != 0 {
		t.Errorf("factor %d, %d withheld", r.BrakeFactor, r.Withheld)
	}

	free := NewSet([]*Spec{guessing(t)})
	free.Adopt(old)
	if free.usedUp != 0 || free.Brake(free.rules[0].spec, host(1), seconds(1)) != (Braking{Factor: 1}) || free.Brake(spec, host(1), start) != (Braking{Factor: 1}) {
		t.Error("a rule without a brake, or of another set, is braked")
	}
}
