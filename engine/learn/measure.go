package learn

import (
	"hash/maphash"
	"slices"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

// budget bounds all windows of a measure together, in hits; a window by itself
// counts as windowCost of them. Beyond it those are forgotten that were added to the
// longest ago, half of them at once.
const (
	budget     = 1_000_000
	windowCost = 6
)

// A measure finds out how high the counts in the rules' windows go. What matches,
// by which key and whether it counts, the rules say themselves; but here nothing is
// cleared at a threshold, and each address is told how far it came.
//
// An address comes to n in a window exactly if the rule would fire, or have fired
// before, by an event of that address at a threshold of n: it is the counting that
// is measured, whatever else a rule waits for.
type measure struct {
	set   *rule.Set
	rules map[*rule.Spec]*counter
	seed  maphash.Seed
	who   *address // of the event that is being counted

	// A window is in newer if it was added to since that was begun, else in older.
	newer, older map[windowKey]*window
	used         int // by those in newer
	budget       int // but in tests
}

// A counter is what a measure needs of one rule.
type counter struct {
	rule     int
	within   int64        // microseconds
	distinct *event.Field // nil: matches are counted
	all      bool         // every address in the window is caught
	most     int          // beyond it nothing is counted
}

// most is how far is counted: beyond what is ever proposed in a threshold's place.
func most(count int) int { return max(100, 2*highest(count)) }

type windowKey struct {
	rule   int
	source string
	key    uint64
}

// A window holds the hits of one key, oldest first.
type window struct{ hits []hit }

type hit struct {
	at    int64    // microseconds since 1970, as the rules count
	value uint64   // hash of the distinct field
	who   *address // only where every address is caught, or those forgotten would be held on to
}

func newMeasure(specs []*rule.Spec) *measure {
	m := &measure{
		rules: map[*rule.Spec]*counter{}, newer: map[windowKey]*window{}, seed: maphash.MakeSeed(), budget: budget,
	}
	var once []*rule.Spec
	for i, spec := range specs {
		if spec.Threshold == nil {
			continue
		}
		c := &counter{rule: i, within: spec.Threshold.Within.Microseconds(), most: most(spec.Threshold.Count), all: spec.Ban != nil && spec.Ban.All}
		if field := spec.Threshold.Distinct; field != "" {
			c.distinct = event.FieldNamed(field)
		}
		copied := &rule.Spec{
			Name: spec.Name, Where: spec.Where, On: spec.On, Match: spec.Match, Alert: &rule.Alert{},
			Threshold: &rule.Threshold{
				Count: 1, Within: spec.Threshold.Within, Per: spec.Threshold.Per, Distinct: spec.Threshold.Distinct,
			},
		}
		m.rules[copied] = c
		once = append(once, copied)
	}
	m.set = rule.NewSet(once)
	return m
}

// count counts an event of an address, which is nil where the event bears none.
func (m *measure) count(ev *event.Event, who *address) {
	m.who = who
	m.set.Observe(ev, m.hit)
}

// hit counts an event that a rule counts.
func (m *measure) hit(f *rule.Firing) {
	c := m.rules[f.Spec]
	key := windowKey{c.rule, f.Event.Source, maphash.String(m.seed, f.Key)}
	w := m.window(key)
	h := hit{at: f.Event.Time.UnixMicro()}
	if c.all {
		h.who = m.who
	}
	if c.distinct != nil {
		h.value = maphash.String(m.seed, c.distinct.Get(f.Event))
	}
	before := len(w.hits)
	n := w.add(h, c)
	m.used += len(w.hits) - before
	if m.who != nil {
		m.who.reach(c.rule, n, h.at)
	}
	if c.all {
		for _, other := range w.hits {
			if other.who != nil {
				other.who.reach(c.rule, n, h.at)
			}
		}
	}
	if m.used > m.budget/2 {
		m.older, m.newer, m.used = m.newer, map[windowKey]*window{}, 0
	}
}

// window gives the window of a key, which is seen again.
func (m *measure) window(key windowKey) *window {
	w := m.newer[key]
	if w != nil {
		return w
	}
	if w = m.older[key]; w == nil {
		w = &window{}
	}
	delete(m.older, key)
	m.newer[key] = w
	m.used += windowCost + len(w.hits)
	return w
}

// add adds a hit and returns how many the window then holds: as the rule's own
// windows do, those that are at most `within` older than the newest, and of each
// distinct value the latest. 0: the hit is older than the window.
func (w *window) add(h hit, c *counter) int {
	if n := len(w.hits); n > 0 {
		switch newest := w.hits[n-1].at; {
		case h.at < newest-c.within:
			return 0
		case h.at > newest:
			start := h.at - c.within
			w.cut(slices.IndexFunc(w.hits, func(h hit) bool { return h.at >= start }))
		}
	}
	if c.distinct != nil {
		if i := slices.IndexFunc(w.hits, func(o hit) bool { return o.value == h.value }); i >= 0 {
			if h.at < w.hits[i].at {
				return len(w.hits)
			}
			w.hits = slices.Delete(w.hits, i, i+1)
		}
	}
	i := len(w.hits)
	for i > 0 && w.hits[i-1].at > h.at {
		i--
	}
	w.hits = slices.Insert(w.hits, i, h)
	n := len(w.hits)
	if n > c.most {
		w.cut(1)
	}
	return min(n, c.most)
}

// cut drops the first n hits; all of them if n is negative.
func (w *window) cut(n int) {
	if n < 0 {
		n = len(w.hits)
	}
	clear(w.hits[:n]) // an address that is forgotten must not be held on to
	w.hits = w.hits[n:]
}
