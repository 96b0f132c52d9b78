package known

import (
	"net/netip"
	"time"
)

// A place is the registrations at one address, in the order in which they came. It
// is a list and not a slice because all the phones of a switch may come through
// one proxy.
type place struct {
	first, last *registration
	since       time.Time // there was always one from then on; zero: before we heard of it
}

// arrive adds a registration to those at its address.
func (r *Registrations) arrive(one *registration, since time.Time) {
	p, known := r.places.Get(single(one.addr))
	if !known {
		p = &place{since: since}
		r.places.Insert(single(one.addr), p)
	}
	if one.prev = p.last; one.prev == nil {
		p.first = one
	} else {
		one.prev.next = one
	}
	p.last = one
}

// leave takes a registration off those at its address.
func (r *Registrations) leave(one *registration) {
	p, _ := r.places.Get(single(one.addr))
	if one.prev == nil {
		p.first = one.next
	} else {
		one.prev.next = one.next
	}
	if one.next == nil {
		p.last = one.prev
	} else {
		one.next.prev = one.prev
	}
	one.prev, one.next = nil, nil
	if p.first == nil {
		r.places.Delete(single(one.addr))
	}
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// lives is a heap of registrations, the one that is over first on top; of those
// over at the same moment, by address and Call-ID, so that a replay always forgets
// the same one.
type lives []*registration

func (l lives) Len() int { return len(l) }
func (l lives) Less(i, j int) bool {
	if c := l[i].until.Compare(l[j].until); c != 0 {
		return c < 0
	}
	if c := l[i].addr.Compare(l[j].addr); c != 0 {
		return c < 0
	}
	return l[i].callID < l[j].callID
}
func (l lives) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].index, l[j].index = i, j
}
func (l *lives) Push(x any) {
	one := x.(*registration)
	one.index = len(*l)
	*l = append(*l, one)
}
func (l *lives) Pop() any {
	last := len(*l) - 1
	one := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	return one
}
