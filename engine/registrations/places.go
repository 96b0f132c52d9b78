package registrations

import (
	"cmp"
	"container/list"
	"time"
)

// A place is the registrations at one address, in the order of their arrival. It is
// a linked list because all the phones of a switch may come through one proxy.
type place struct {
	list.List
	since time.Time // it was never empty from then on; zero: since before the first report
}

// arrive adds a registration to those at its address. A phone on a list was there
// before, for an unknown time.
func (t *Table) arrive(r *registration, listed bool, now time.Time) {
	p, known := t.places.Get(single(r.addr))
	if !known {
		p = &place{}
		if !listed {
			p.since = now
		}
		t.places.Insert(single(r.addr), p)
	}
	r.inPlace = p.PushBack(r)
}

// leave removes a registration from those at its address.
func (t *Table) leave(r *registration) {
	p, _ := t.places.Get(single(r.addr))
	if p.Remove(r.inPlace); p.Len() == 0 {
		t.places.Delete(single(r.addr))
	}
}

// byEnd is a heap of registrations, the first to end on top. Those that end at the
// same moment are in the order of address and Call-ID, so that replays agree.
type byEnd []*registration

func (h byEnd) Len() int { return len(h) }

func (h byEnd) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(a.until.Compare(b.until), a.addr.Compare(b.addr), cmp.Compare(a.callID, b.callID)) < 0
}

func (h byEnd) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *byEnd) Push(x any) {
	r := x.(*registration)
	r.index = len(*h)
	*h = append(*h, r)
}

func (h *byEnd) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return r
}
