package iptables

import (
	"iter"
	"net/netip"

	"freeswitch-security/engine/ban"
)

// expiries are the ends of bans, by target. A million of them have no pointer that the garbage collector would
// follow, and take half of the memory of a map of targets.
type expiries map[key]expiry

// A key is a target of the kernel. An IPv4-mapped IPv6 address, which it could not tell from an IPv4 one, is
// never an entry: see checkTarget.
type key struct {
	addr     [16]byte
	port     uint16 // of an endpoint; 0 for a network
	protocol ban.Protocol
	bits     uint8 // of a network
}

// keyOf returns the key of a target; the zero key, which is of no entry, for what is no network and no endpoint.
func keyOf(t ban.Target) key {
	p := t.Prefix()
	if !p.IsValid() {
		return key{}
	}
	k := key{addr: p.Addr().As16(), bits: uint8(p.Bits())}
	if a, protocol, ok := t.Endpoint(); ok {
		k.port, k.protocol = a.Port(), protocol
	}
	return k
}

func (k key) target() ban.Target {
	addr := netip.AddrFrom16(k.addr).Unmap()
	if k.port != 0 {
		return ban.Endpoint(netip.AddrPortFrom(addr, k.port), k.protocol)
	}
	return ban.Network(netip.PrefixFrom(addr, int(k.bits)))
}

func (e expiries) put(t ban.Target, until expiry) { e[keyOf(t)] = until }

// get returns the end of a ban; ok is false if there is none.
func (e expiries) get(t ban.Target) (until expiry, ok bool) {
	until, ok = e[keyOf(t)]
	return until, ok
}

// all yields them in no order.
func (e expiries) all() iter.Seq2[ban.Target, expiry] {
	return func(yield func(ban.Target, expiry) bool) {
		for k, until := range e {
			if !yield(k.target(), until) {
				return
			}
		}
	}
}
