package history

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"time"
)

// A Name is what is counted.
type Name struct {
	Kind   string `json:"kind"`             // "event", "dropped", or the kind of a change: "ban"
	Name   string `json:"name"`             // the name of the event, or the rule of the change; "other" for what is beyond the bounds
	Source string `json:"source,omitempty"` // of an event
}

// names gives each name a number.
type names struct {
	ids map[Name]uint16
	all []Name
}

// maxNames bounds the names; maxNameBytes each part of one.
const (
	maxNames     = 1000
	maxOthers    = 16 // "other" of each kind, beyond them
	maxNameBytes = 64
)

func newNames() names { return names{ids: map[Name]uint16{}} }

// id returns the number of a name, which is that of "other" if there are too many.
func (n *names) id(name Name) uint16 {
	if id, ok := n.ids[name]; ok {
		return id
	}
	if len(n.all) >= maxNames {
		return n.other(name.Kind)
	}
	kept := Name{name.Kind, bound(name.Name), bound(name.Source)}
	if id, ok := n.ids[kept]; ok {
		return id
	}
	return n.put(kept)
}

// other returns the number of what is beyond the bounds. There are few kinds.
func (n *names) other(kind string) uint16 {
	name := Name{Kind: kind, Name: "other"}
	if id, ok := n.ids[name]; ok {
		return id
	}
	return n.put(name)
}

func (n *names) put(name Name) uint16 {
	id := uint16(len(n.all))
	n.all, n.ids[name] = append(n.all, name), id
	return id
}

func bound(s string) string {
	if len(s) > maxNameBytes {
		s = s[:maxNameBytes]
	}
	return string([]byte(s)) // a copy: an event does not stay for its name
}

// A ring counts by spans of time, of which the latest are kept: the counters of each are pairs of a number
// of a name and a count, as varints.
type ring struct {
	step  time.Duration
	keep  int64              // spans
	spans map[int64][]byte   // by number since 1970
	open  map[int64][]uint64 // counts to be added to spans, by name
	dirty map[int64]bool     // changed since they were saved
}

// maxPairs bounds the counters of a span. The smallest beyond it count as "other".
const maxPairs = 96

func newRing(step time.Duration, keep int64) ring {
	return ring{step: step, keep: keep, spans: map[int64][]byte{}, open: map[int64][]uint64{}, dirty: map[int64]bool{}}
}

// span returns the number of the span of a time.
func (r *ring) span(at time.Time) int64 {
	n := at.Unix()
	if n < 0 {
		return 0
	}
	return n / int64(r.step/time.Second)
}

// add counts at a time; before the oldest span that is kept, in that.
func (r *ring) add(at, now time.Time, id uint16, n uint64) {
	span := max(r.span(at), r.span(now)-r.keep+1)
	counts := r.open[span]
	if int(id) >= len(counts) {
		counts = append(counts, make([]uint64, int(id)+1-len(counts))...)
		r.open[span] = counts
	}
	counts[id] += n
}

// fold adds what is open to its spans, and to those of a coarser ring, and drops what is too old.
func (r *ring) fold(coarser *ring, now time.Time, names *names) {
	for span, counts := range r.open {
		r.merge(span, counts, names)
		wide := span * int64(r.step) / int64(coarser.step)
		coarser.merge(wide, counts, names)
	}
	clear(r.open)
	r.drop(now)
	coarser.drop(now)
}

func (r *ring) drop(now time.Time) {
	oldest := r.span(now) - r.keep + 1
	for span := range r.spans {
		if span < oldest {
			delete(r.spans, span)
			r.dirty[span] = true
		}
	}
}

func (r *ring) merge(span int64, counts []uint64, names *names) {
	sum := slices.Clone(counts)
	each(r.spans[span], func(id uint16, n uint64) {
		if int(id) >= len(names.all) {
			return // the file was damaged
		}
		if int(id) >= len(sum) {
			sum = append(sum, make([]uint64, int(id)+1-len(sum))...)
		}
		sum[id] += n
	})
	r.spans[span] = encode(sum, names)
	r.dirty[span] = true
}

// encode returns the counters of a span.
func encode(counts []uint64, names *names) []byte {
	type pair struct {
		id uint16
		n  uint64
	}
	var pairs []pair
	for id, n := range counts {
		if n > 0 {
			pairs = append(pairs, pair{uint16(id), n})
		}
	}
	if len(pairs) > maxPairs {
		slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(b.n, a.n) })
		rest := map[uint16]uint64{}
		for _, p := range pairs[maxPairs:] {
			rest[names.other(names.all[p.id].Kind)] += p.n
		}
		pairs = pairs[:maxPairs]
		for i, p := range pairs {
			pairs[i].n += rest[p.id]
			delete(rest, p.id)
		}
		for id, n := range rest {
			pairs = append(pairs, pair{id, n})
		}
		slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.id, b.id) })
	}
	var out []byte
	for _, p := range pairs {
		out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(p.id)), p.n)
	}
	return bytes.Clone(out) // without spare room
}

// each passes the counters of a span; of a damaged one those that can be read.
func each(span []byte, do func(id uint16, n uint64)) {
	for len(span) > 0 {
		id, k := binary.Uvarint(span)
		if k <= 0 || id >= maxNames+maxOthers {
			return
		}
		n, l := binary.Uvarint(span[k:])
		if l <= 0 {
			return
		}
		do(uint16(id), n)
		span = span[k+l:]
	}
}
