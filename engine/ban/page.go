package ban

import (
	"iter"
	"maps"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// After returns up to limit bans in force that follow target in the order of Bans;
// the zero Target precedes all of them. It takes as long as the page is long,
// wherever that is: the ledger is locked meanwhile.
func (l *Ledger) After(target Target, limit int) []Ban {
	l.mu.Lock()
	defer l.mu.Unlock()
	page := make([]Ban, 0, min(limit, l.bans.size()))
	if network, ok := target.Network(); ok || !target.IsValid() {
		for _, b := range after(&l.bans.networks, network) {
			if len(page) == limit {
				return page
			}
			page = append(page, *b)
		}
	}
	for _, other := range slices.SortedFunc(maps.Keys(l.bans.others), Target.Compare) {
		if len(page) == limit {
			break
		}
		if other.Compare(target) > 0 {
			page = append(page, *l.bans.others[other])
		}
	}
	return page
}

// after yields the bans that follow target, in order. They are those within it, then
// those on the other side of each of its bits that is not set, from the last bit
// to the first, and then those of the other family.
func after(bans *bart.Table[*Ban], target netip.Prefix) iter.Seq2[netip.Prefix, *Ban] {
	if !target.IsValid() {
		return bans.AllSorted()
	}
	return func(yield func(netip.Prefix, *Ban) bool) {
		for p, b := range bans.Subnets(target) {
			if p != target && !yield(p, b) {
				return
			}
		}
		for bits := target.Bits(); bits > 0; bits-- {
			other, higher := otherSide(target.Addr(), bits)
			if !higher {
				continue
			}
			for p, b := range bans.Subnets(other) {
				if !yield(p, b) {
					return
				}
			}
		}
		if target.Addr().Is4() {
			bans.AllSorted6()(yield)
		}
	}
}

// otherSide is the network of so many bits that differs from that of an address in
// the last of them. It is the higher one where the address has no 1 there.
func otherSide(a netip.Addr, bits int) (other netip.Prefix, higher bool) {
	bytes := a.AsSlice()
	bit := byte(0x80) >> ((bits - 1) % 8)
	higher = bytes[(bits-1)/8]&bit == 0
	bytes[(bits-1)/8] ^= bit
	b, _ := netip.AddrFromSlice(bytes) // of the same length
	return netip.PrefixFrom(b, bits).Masked(), higher
}
