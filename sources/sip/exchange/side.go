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
	maxSwitches = 64
	maxMet      = 8192 // addresses in each half of the table
	several     = 4    // senders: of an address that may be a switch
	many        = 8    // of a switch
	plenty      = 32   // of a switch that was the smaller side before
)

// sides tells the switch from its peers.
//
// Where the site names the switch, or one address is this host's, nothing is learned. Otherwise
// the side to which more addresses have sent packets is the switch. An attacker forges senders,
// which adds to those of the switch: it cannot send a packet to itself where the capture hears
// it. So its own senders are never more than the switch has addresses.
type sides struct {
	networks []netip.Prefix
	local    func(netip.Addr) bool
	seed     maphash.Seed
	switches map[netip.Addr]struct{} // learned
	met      dedup.Cache[netip.Addr, *acquaintance]
}

// An acquaintance is what is known of an address that is not known as a switch.
type acquaintance struct {
	senders uint64 // one bit for the hash of each: about how many, up to some 100
	lost    bool   // it was the smaller side: it is a peer, or a switch that calls another
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
		return decide(s.isNamed(from), s.isNamed(to))
	}
	if s.local != nil {
		if a, b := s.local(from), s.local(to); a || b {
			return decide(a, b)
		}
	}
	_, a := s.switches[from]
	_, b := s.switches[to]
	if a && b {
		return unknown
	}
	sender, receiver := s.meet(from, a), s.meet(to, b)
	if receiver != nil {
		receiver.senders |= 1 << (maphash.Comparable(s.seed, from) % 64)
	}
	switch sizeA, sizeB := sender.size(), receiver.size(); {
	case sizeA > sizeB:
		s.win(from, sizeA, receiver)
		return sent
	case sizeB > sizeA:
		s.win(to, sizeB, sender)
		return received
	}
	return tied
}

func (s *sides) isNamed(a netip.Addr) bool {
	return slices.ContainsFunc(s.networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// decide returns the direction if exactly one side is a switch.
func decide(from, to bool) direction {
	switch {
	case from && !to:
		return sent
	case to && !from:
		return received
	}
	return unknown
}

// meet returns what is known of an address, nil if it is a switch.
func (s *sides) meet(addr netip.Addr, isSwitch bool) *acquaintance {
	if isSwitch {
		return nil
	}
	known, ok := s.met.Get(addr)
	if !ok {
		known = &acquaintance{}
		s.met.Put(addr, known)
	}
	return known
}

// win notes the larger side. With many senders it is a switch from now on.
func (s *sides) win(addr netip.Addr, size int, smaller *acquaintance) {
	if size >= several {
		smaller.lost = true
	}
	if size >= many && size < ofSwitch && len(s.switches) < maxSwitches {
		s.switches[addr] = struct{}{}
		s.met.Take(addr)
	}
}

// ofSwitch is the size of a switch: larger than any other.
const ofSwitch = 64 + 1

// size compares acquaintances. Once it was the smaller side it counts as new until it has
// plenty of senders.
func (a *acquaintance) size() int {
	if a == nil {
		return ofSwitch
	}
	n := bits.OnesCount64(a.senders)
	if a.lost && n < plenty {
		return min(n, 1)
	}
	return n
}
