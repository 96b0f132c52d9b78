package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Span is what was counted between two times.
type Span struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Step   int64     `json:"step"` // seconds of a value
	Series []Series  `json:"series"`
	Tops   []Top     `json:"tops"` // of the hours, beyond two days of the days, that the span touches
}

// A Series is the counts of one name.
type Series struct {
	Name
	Values []uint64 `json:"values"`
}

// Total is the sum of the values.
func (s *Series) Total() (n uint64) {
	for _, v := range s.Values {
		n += v
	}
	return n
}

// MaxValues bounds the values of a series.
const MaxValues = 1500

// steps are what is chosen as the step of a span without one.
var steps = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, day, 7 * day}

// fewValues is how many values a span without a step has at most.
const fewValues = 120

// Between returns what was counted from a time to another one, in steps of whole minutes; 0 chooses one. The span begins and
// ends at whole steps since 1970. What is older than a day is known by hours: then a step is of whole hours.
func (h *History) Between(from, to time.Time, step time.Duration) (Span, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fold()
	if !from.Before(to) {
		return Span{}, fmt.Errorf("from %s is not before to %s", from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
	}
	source := &h.minutes
	if from.Before(h.now.Add(-minutesKept * time.Minute)) {
		source = &h.hours
	}
	if step == 0 {
		for _, step = range steps {
			if step >= source.step && to.Sub(from) <= fewValues*step {
				break
			}
		}
	}
	if step%source.step != 0 || step <= 0 {
		return Span{}, fmt.Errorf("step %s is not of whole %s: what is older than a day is known by hours, the rest by minutes", step, source.step)
	}
	s := Span{From: from.Truncate(step).UTC(), To: to.Add(step - 1).Truncate(step).UTC(), Step: int64(step / time.Second)}
	n := int64(s.To.Sub(s.From) / step)
	if n > MaxValues {
		return Span{}, fmt.Errorf("%d values are more than %d: choose a longer step", n, MaxValues)
	}
	s.Series = source.values(s.From, step, n, &h.names)
	level := &h.tops[0]
	if to.Sub(from) > topHoursKept*time.Hour || from.Before(h.now.Add(-topHoursKept*time.Hour)) {
		level = &h.tops[1]
	}
	s.Tops = level.between(from, to)
	return s, nil
}

// values returns the series that are not zero, in the order of their names.
func (r *ring) values(from time.Time, step time.Duration, n int64, names *names) []Series {
	series := make([][]uint64, len(names.all))
	first := r.span(from)
	for span, counts := range r.spans {
		i := (span - first) * int64(r.step) / int64(step)
		if span < first || i >= n {
			continue
		}
		each(counts, func(id uint16, count uint64) {
			if int(id) >= len(series) {
				return
			}
			if series[id] == nil {
				series[id] = make([]uint64, n)
			}
			series[id][i] += count
		})
	}
	out := []Series{}
	for id, values := range series {
		if values != nil {
			out = append(out, Series{names.all[id], values})
		}
	}
	slices.SortFunc(out, func(a, b Series) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name.Name, b.Name.Name), strings.Compare(a.Source, b.Source))
	})
	return out
}

// fold brings what can be asked up to date; the mutex is held.
func (h *History) fold() {
	h.minutes.fold(&h.hours, h.now, &h.names)
	for i := range h.tops {
		h.tops[i].fold()
	}
}

// Incidents returns what attackers did of whom something is known since a time: the latest first.
func (h *History) Incidents(since time.Time) []Incident {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []Incident{}
	for _, i := range h.incidents.sorted(func(a, b *Incident) int {
		return cmp.Or(b.Last.Compare(a.Last), strings.Compare(a.Target, b.Target))
	}) {
		if i.Last.Before(since) && !i.Banned {
			continue
		}
		out = append(out, *i) // its evidence does not change: it is replaced
	}
	return out
}
