package exchange

import (
	"hash/maphash"
	"math/bits"
	"net/netip"
	"slices"

	"freeswitch-security/engine/dedup"
)

// A direction says who sent a packet.
type direction uint8

const (
	unknown  direction = iota // neither side is the switch, or both are
	received                  // by the switch
	sent                      // by the switch
	tied                      // the receiver of a request is the switch
)

// Limits of what sides learns.
const (
	maxSwitches   = 64
	maxMet        = 8192 // addresses in each half of the table
	enoughOthers  = 8    // of a switch
	enoughOfALost = 32   // of a switch that was the smaller side before
)

// sides tells the switch from its peers.
//
// Where the site names the switch, or one address is this host's, nothing is learned. Otherwise
// the side that exchanged packets with more addresses is the switch: an attacker forges senders,
// but every packet that it sends has an address of the switch as its destination. So it adds to
// the others of the switch only, and its own others are never more than the switch has addresses.
type sides struct {
	networks []netip.Prefix
	local    func(netip.Addr) bool
	seed     maphash.Seed
	switches map[netip.Addr]struct{} // learned
	met      dedup.Cache[netip.Addr, *acquaintance]
}

// An acquaintance is what is known of an address that is not known as a switch.
type acquaintance struct {
	others uint64 // one bit for the hash of each: about how many, up to some 100
	lost   bool   // it was the smaller side: it is a peer, or a switch that calls another
}

func newSides(o *Options, seed maphash.Seed) sides {
	return sides{
		networks: o.Switch, local: o.Local, seed: seed,
		switches: map[netip.Addr]struct{}{}, met: dedup.Cache[netip.Addr, *acquaintance]{Half: maxMet},
	}
}

// of returns the direction of a packet.
func (s *sides) of(from, to netip.Addr) direction {
	if len(s.networks) > 0 {
		return decide(s.isNamed(from), s.isNamed(to), unknown)
	}
	if s.local != nil {
		if a, b := s.local(from), s.local(to); a || b {
			return decide(a, b, unknown)
		}
	}
	_, a := s.switches[from]
	_, b := s.switches[to]
	if a && b {
		return unknown
	}
	return s.learn(from, to, a, b)
}

func (s *sides) isNamed(a netip.Addr) bool {
	return slices.ContainsFunc(s.networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// decide returns the direction if exactly one side is a switch.
func decide(from, to bool, otherwise direction) direction {
	switch {
	case from && !to:
		return sent
	case to && !from:
		return received
	}
	return otherwise
}

// learn notes that two addresses exchange packets. At most one is known as a switch.
func (s *sides) learn(from, to netip.Addr, fromSwitch, toSwitch bool) direction {
	a, b := s.meet(from, to, fromSwitch), s.meet(to, from, toSwitch)
	sizeA, sizeB := a.size(), b.size()
	switch {
	case sizeA > sizeB:
		b.lost = true
		s.promote(from, sizeA)
		return sent
	case sizeB > sizeA:
		a.lost = true
		s.promote(to, sizeB)
		return received
	}
	return tied
}

// meet notes one of the others of an address. It returns nil for a switch.
func (s *sides) meet(addr, other netip.Addr, isSwitch bool) *acquaintance {
	if isSwitch {
		return nil
	}
	known, ok := s.met.Get(addr)
	if !ok {
		known = &acquaintance{}
		s.met.Put(addr, known)
	}
	known.others |= 1 << (maphash.Comparable(s.seed, other) % 64)
	return known
}

// promote makes an address with many others a switch.
func (s *sides) promote(addr netip.Addr, size int) {
	if _, known := s.switches[addr]; !known && size >= enoughOthers && len(s.switches) < maxSwitches {
		s.switches[addr] = struct{}{}
		s.met.Take(addr)
	}
}

// size is how many others an address has. Once it was the smaller side it counts as new until
// it has many. A switch is larger than any other.
func (a *acquaintance) size() int {
	if a == nil {
		return 64 + 1
	}
	n := bits.OnesCount64(a.others)
	if a.lost && n < enoughOfALost {
		return 1
	}
	return n
}
