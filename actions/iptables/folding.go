package iptables

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// folding turns the bans of one network into one ban of the network, as soon as
// there are two. It bans neighbours that nobody accused, so it is off unless
// asked for, and it never covers a trusted network: the ledger keeps those out of
// bans, but it does not see what becomes of bans here.
type folding struct {
	bits4, bits6 int            // prefix lengths; 0: this family is not folded
	spared       []netip.Prefix // who is trusted by what is written

	// holds tells whether somebody in a network is not to be dropped now; nil: nobody
	// is asked. Its answers are kept, so that what was folded is unfolded alike.
	holds    func(netip.Prefix) bool
	answered map[netip.Prefix]bool
}

// spares reports whether a network holds somebody who is not to be dropped.
func (f *folding) spares(network netip.Prefix) bool {
	if f.holds == nil {
		return false
	}
	held, known := f.answered[network]
	if !known {
		if f.answered == nil {
			f.answered = map[netip.Prefix]bool{}
		}
		held = f.holds(network)
		f.answered[network] = held
	}
	return held
}

// askAnew asks again who is where, and reports whether an answer has changed. The
// networks that none of bans lies in are forgotten.
func (f *folding) askAnew(bans [2]map[netip.Prefix]end) (changed bool) {
	before := f.answered
	f.answered = nil
	for _, family := range bans {
		for p := range family {
			f.group(p)
		}
	}
	for network, held := range f.answered {
		if was, known := before[network]; known && was != held {
			changed = true
		}
	}
	return changed
}

// parseFolding reads "24" or "24,48"; "" is no folding.
func parseFolding(s string) (folding, error) {
	var f folding
	if s == "" {
		return f, nil
	}
	v4, v6, both := strings.Cut(s, ",")
	var err4, err6 error
	f.bits4, err4 = strconv.Atoi(strings.TrimSpace(v4))
	if both {
		f.bits6, err6 = strconv.Atoi(strings.TrimSpace(v6))
	}
	if err4 != nil || f.bits4 < 8 || f.bits4 > 31 {
		return folding{}, fmt.Errorf("%q: write an IPv4 prefix length between 8 and 31, such as \"24\"", s)
	}
	if err6 != nil || both && (f.bits6 < 16 || f.bits6 > 127) {
		return folding{}, fmt.Errorf("%q: the IPv6 prefix length is between 16 and 127, as in \"24,48\"", s)
	}
	return f, nil
}

func (f *folding) on() bool { return f.bits4 > 0 || f.bits6 > 0 }

// group is the network that p would be folded into: p itself where p is not to
// be folded.
func (f *folding) group(p netip.Prefix) netip.Prefix {
	bits := f.bits4
	if p.Addr().Is6() {
		bits = f.bits6
	}
	if bits == 0 || p.Bits() <= bits {
		return p
	}
	network := netip.PrefixFrom(p.Addr(), bits).Masked()
	for _, s := range f.spared {
		if s.Overlaps(network) {
			return p
		}
	}
	if f.spares(network) {
		return p
	}
	return network
}

// fold returns the entries that bans amount to. A folded network stays until the
// last of its bans is over; when only one is left, the others' end has brought
// it back to its own address.
func (f *folding) fold(bans map[netip.Prefix]end) map[netip.Prefix]end {
	count := make(map[netip.Prefix]int, len(bans))
	for p := range bans {
		count[f.group(p)]++
	}
	entries := make(map[netip.Prefix]end, len(count))
	for p, e := range bans {
		entry := p
		if g := f.group(p); count[g] > 1 {
			entry = g
		}
		entries[entry] = max(entries[entry], e)
	}
	return entries
}
