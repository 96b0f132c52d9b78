package ban

import (
	"iter"
	"net/netip"
)

// After returns up to limit bans in force that stand behind target in the order of
// Bans; an invalid target stands before all of them. It takes as long as the page
// is long, wherever that is: the ledger is locked meanwhile.
func (l *Ledger) After(target netip.Prefix, limit int) []Ban {
	l.mu.Lock()
	defer l.mu.Unlock()
	page := make([]Ban, 0, min(limit, l.bans.Size()))
	for _, b := range l.behind(target) {
		if len(page) == limit {
			break
		}
		page = append(page, *b)
	}
	return page
}

// behind yields the bans behind target, in order. They are those within it, then
// those on the other side of each of its bits that is not set, from the last bit
// to the first, and then those of the other family.
func (l *Ledger) behind(target netip.Prefix) iter.Seq2[netip.Prefix, *Ban] {
	if !target.IsValid() {
		return l.bans.AllSorted()
	}
	return func(yield func(netip.Prefix, *Ban) bool) {
		for p, b := range l.bans.Subnets(target) {
			if p != target && !yield(p, b) {
				return
			}
		}
		for bits := target.Bits(); bits > 0; bits-- {
			other, higher := otherSide(target.Addr(), bits)
			if !higher {
				continue
			}
			for p, b := range l.bans.Subnets(other) {
				if !yield(p, b) {
					return
				}
			}
		}
		if target.Addr().Is4() {
			l.bans.AllSorted6()(yield)
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
