package pcap

import (
	"net/netip"
	"slices"
	"time"
)

// fragments holds the fragments of packets that are not complete yet. After 32 MB of fragments
// all are discarded. That loses the few packets that are under way at that moment.
type fragments struct {
	under map[whole]*parts
	held  int       // bytes since it was emptied, at most
	swept time.Time // when old fragments were discarded last
}

const (
	maxFragments = 32 << 20
	fragmentCost = 512              // memory of a fragment beside its bytes, at most
	fragmentLife = 30 * time.Second // as Linux has it: the numbers of packets are used again
	maxPacket    = 1<<16 - 1        // bytes
)

// A whole is what the fragments of one packet have in common.
type whole struct {
	src, dst netip.Addr
	number   uint32
	protocol byte // of IPv4
}

// parts are the fragments of a packet, in order. They do not overlap.
type parts struct {
	list  []part
	began time.Time
	bytes int
}

// A part is a fragment.
type part struct {
	at   int // where in the packet
	data []byte
	more bool // it is not the last one
	next byte // the protocol of what is in the packet
}

func (p *part) end() int { return p.at + len(p.data) }

// join takes a fragment. With the last one of a packet it returns the protocol of what is in the
// packet, and its bytes; before, nil. Fragments that overlap are discarded with their packet
// (RFC 5722): two systems would read them in two ways.
func (f *fragments) join(of whole, p part, at time.Time) (next byte, data []byte) {
	if len(p.data) == 0 || p.end() > maxPacket || p.more && len(p.data)%8 != 0 {
		return 0, nil
	}
	f.makeRoom(len(p.data)+fragmentCost, at)
	all := f.under[of]
	if all == nil || at.Sub(all.began).Abs() > fragmentLife {
		all = &parts{began: at}
		f.under[of] = all
	}
	p.data = slices.Clone(p.data)
	if !all.insert(p) {
		delete(f.under, of)
		return 0, nil
	}
	if last := &all.list[len(all.list)-1]; last.more || all.bytes < last.end() {
		return 0, nil
	}
	delete(f.under, of)
	data = make([]byte, 0, all.bytes)
	for _, one := range all.list {
		data = append(data, one.data...)
	}
	return all.list[0].next, data
}

// insert puts a fragment in its place. It returns false if it overlaps with another one.
func (p *parts) insert(one part) bool {
	i, same := slices.BinarySearchFunc(p.list, one.at, func(a part, at int) int { return a.at - at })
	if same {
		return p.list[i].end() == one.end() && p.list[i].more == one.more // sent again
	}
	overlaps := i > 0 && (p.list[i-1].end() > one.at || !p.list[i-1].more) || i < len(p.list) && (one.end() > p.list[i].at || !one.more)
	if !overlaps {
		p.list, p.bytes = slices.Insert(p.list, i, one), p.bytes+len(one.data)
	}
	return !overlaps
}

// makeRoom discards what is too old, and everything if n more bytes are too much.
func (f *fragments) makeRoom(n int, at time.Time) {
	if f.held += n; f.under == nil || f.held > maxFragments {
		f.under, f.held = map[whole]*parts{}, n
	}
	if at.Sub(f.swept).Abs() <= fragmentLife {
		return
	}
	f.swept = at
	for of, all := range f.under {
		if at.Sub(all.began).Abs() > fragmentLife {
			delete(f.under, of)
		}
	}
}
