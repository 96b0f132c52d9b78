package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
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
var steps = []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, day, 7 * day}

// fewValues is how many values a span without a step has at most.
const fewValues = 120

// The years of a span: JSON has none beyond 9999, and a step may have a hundred.
const (
	firstYear = 1970
	lastYear  = 9000
)

// Between returns what was counted from a time to another one, in steps of whole minutes; 0 chooses one. The span begins and
// ends at whole steps: days at midnight, weeks on Mondays. What is older than a day is known by hours: then a step is of whole hours.
func (h *History) Between(from, to time.Time, step time.Duration) (Span, error) {
	if from.UTC().Year() < firstYear || to.UTC().Year() > lastYear {
		return Span{}, fmt.Errorf("from and to are times of the years %d to %d", firstYear, lastYear)
	}
	if !from.Before(to) {
		return Span{}, fmt.Errorf("from %s is not before to %s", from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
	}
	h.mu.Lock()
	unlock := sync.OnceFunc(h.mu.Unlock) // before what takes long: the core counts meanwhile
	defer unlock()
	h.fold()
	now := h.now
	if now.IsZero() {
		now = to // nothing has been counted since the start
	}
	source := &h.minutes
	if from.Before(now.Add(-minutesKept * time.Minute)) {
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
		return Span{}, fmt.Errorf("step %s is not of whole %s: what is older than a day is known by hours, the rest by minutes",
			ban.FormatDuration(step), ban.FormatDuration(source.step))
	}
	s := Span{From: from.Truncate(step).UTC(), To: to.Add(step - 1).Truncate(step).UTC(), Step: int64(step / time.Second)}
	n := (s.To.Unix() - s.From.Unix()) / s.Step
	if n > MaxValues {
		return Span{}, fmt.Errorf("%d values are more than %d: choose a longer step", n, MaxValues)
	}
	level := &h.tops[0]
	if to.Sub(from) > topHoursKept*time.Hour || from.Before(now.Add(-topHoursKept*time.Hour)) {
		level = &h.tops[1]
	}
	first := s.From.Unix() / int64(source.step/time.Second) // less than 0, if a step begins before 1970
	counted := within(source.spans, first, first+n*int64(step/source.step)-1)
	tops := within(level.spans, level.span(from), level.span(to.Add(-1)))
	names, masked := slices.Clone(h.names.all), h.settings.Masked
	unlock()
	perValue := int64(step / source.step)
	s.Series = valuesOf(counted, first, perValue, n, names)
	s.Tops = topsOf(tops, masked)
	return s, nil
}

// A numbered value is that of a span. It does not change.
type numbered struct {
	span  int64
	value []byte
}

// within returns the values of the spans from one to another.
func within(spans map[int64][]byte, first, last int64) (out []numbered) {
	for span, value := range spans {
		if span >= first && span <= last {
			out = append(out, numbered{span, value})
		}
	}
	return out
}

// valuesOf returns the series that are not zero, n values of so many spans each, in the order of their names.
func valuesOf(spans []numbered, first, perValue, n int64, names []Name) []Series {
	series := make([][]uint64, len(names))
	for _, s := range spans {
		i := (s.span - first) / perValue
		each(s.value, func(id uint16, count uint64) {
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
			out = append(out, Series{names[id], values})
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

// Incidents returns what attackers did that were active since a time: the latest first.
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
		one := *i // its evidence does not change: it is replaced
		if h.settings.Masked {
			one.mask() // it may have been kept before
		}
		out = append(out, one)
	}
	return out
}
