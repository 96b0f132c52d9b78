package history

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// A Top is the largest of one dimension.
type Top struct {
	By    string  `json:"by"`    // "networks", "accounts", "numbers", "agents" or "countries"
	Items []Count `json:"items"` // the largest first
}

// A Count is how often a name was seen, at least: of very many names the smallest are forgotten.
type Count struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
}

// A sketch counts the most frequent of any number of names (space-saving, Metwally 2005): a new name takes
// the place of the least frequent one and may have been as frequent, which its slack says.
type sketch struct {
	index  map[string]int
	names  []string
	counts []uint64
	slack  []uint64
}

const (
	sketchSize = 256 // names of a sketch
	topKept    = 20  // of them are kept when its time is over
)

func (s *sketch) add(name string, n uint64) {
	if i, ok := s.index[name]; ok {
		s.counts[i] += n
		return
	}
	name = strings.Clone(name)
	if s.index == nil {
		s.index = map[string]int{}
	}
	if len(s.names) < sketchSize {
		s.index[name] = len(s.names)
		s.names, s.counts, s.slack = append(s.names, name), append(s.counts, n), append(s.slack, 0)
		return
	}
	least := 0
	for i, n := range s.counts {
		if n < s.counts[least] {
			least = i
		}
	}
	delete(s.index, s.names[least])
	s.index[name], s.names[least] = least, name
	s.slack[least] = s.counts[least]
	s.counts[least] += n
}

// top returns the largest counts.
func (s *sketch) top() []Count {
	all := make([]Count, 0, len(s.names))
	for i, name := range s.names {
		all = append(all, Count{name, s.counts[i] - s.slack[i]})
	}
	return largest(all, topKept)
}

func largest(all []Count, n int) []Count {
	slices.SortFunc(all, func(a, b Count) int { return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name)) })
	return all[:min(n, len(all))]
}

// A topRing has the largest of spans of time, of which the latest are kept.
type topRing struct {
	step    time.Duration
	keep    int64
	spans   map[int64][]byte // JSON of [][]Count, by dimension
	dirty   map[int64]bool
	current int64
	open    []sketch // of the current span; what is late counts in it
}

func newTopRing(step time.Duration, keep int64) topRing {
	return topRing{step: step, keep: keep, spans: map[int64][]byte{}, dirty: map[int64]bool{}, open: make([]sketch, len(dimensions))}
}

func (r *topRing) span(at time.Time) int64 { return max(0, at.Unix()) / int64(r.step/time.Second) }

func (r *topRing) add(dimension int, name string, now time.Time) {
	r.advance(now)
	r.open[dimension].add(name[:min(len(name), maxNameBytes)], 1)
	r.dirty[r.current] = true
}

// advance begins the span of a time, with what was counted in it before a restart.
func (r *topRing) advance(now time.Time) {
	span := r.span(now)
	if span == r.current {
		return
	}
	r.fold()
	r.current, r.open = span, make([]sketch, len(dimensions))
	for i, counts := range decodeTops(r.spans[span]) {
		for _, c := range counts {
			r.open[i].add(c.Name, c.Count)
		}
	}
	for old := range r.spans {
		if old <= span-r.keep {
			delete(r.spans, old)
			r.dirty[old] = true
		}
	}
}

// fold brings the current span up to date.
func (r *topRing) fold() {
	if !r.dirty[r.current] {
		return
	}
	all := make([][]Count, len(r.open))
	for i := range r.open {
		all[i] = r.open[i].top()
	}
	r.spans[r.current], _ = json.Marshal(all) // it never fails
}

func decodeTops(span []byte) [][]Count {
	var all [][]Count
	if json.Unmarshal(span, &all) != nil {
		return nil // there is none, or it is damaged
	}
	return all[:min(len(all), len(dimensions))]
}

// topsOf returns the largest of spans together. What is private is masked, also if it was counted before that
// was set.
func topsOf(spans []numbered, masked bool) []Top {
	sums := make([]map[string]uint64, len(dimensions))
	for _, s := range spans {
		for i, counts := range decodeTops(s.value) {
			if sums[i] == nil {
				sums[i] = map[string]uint64{}
			}
			for _, c := range counts {
				if masked && dimensions[i].private {
					c.Name = Mask(c.Name)
				}
				sums[i][c.Name] += c.Count
			}
		}
	}
	tops := make([]Top, len(dimensions))
	for i := range dimensions {
		all := make([]Count, 0, len(sums[i]))
		for name, n := range sums[i] {
			all = append(all, Count{name, n})
		}
		tops[i] = Top{dimensions[i].name, largest(all, topKept)}
	}
	return tops
}
