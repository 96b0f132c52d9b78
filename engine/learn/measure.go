package learn

import (
	"hash/maphash"
	"slices"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

// budget bounds all windows of a measure together, in hits; each window costs as much
// as windowCost of them. Beyond it the windows without recent hits are dropped, half
// of the budget at once.
const (
	budget     = 1_000_000
	windowCost = 6
)

// A measure finds how high the counts in the rules' windows go. The rules decide what
// matches, by which key, and whether it counts; but no threshold clears a window here.
//
// Invariant: an address reaches n in a window exactly if an event of that address would
// make the rule fire at a threshold of n, or would have done so before.
type measure struct {
	set   *rule.Set
	rules map[*rule.Spec]*counter
	seed  maphash.Seed
	addr  *address // of the event that is being counted

	// A window is in newer if it had a hit since that map was made, else in older.
	newer, older map[windowKey]*window
	used         int // cost of those in newer
	budget       int // budget, except in tests
}

// A counter is what a measure needs of one rule.
type counter struct {
	rule     int
	within   int64        // microseconds
	distinct *event.Field // nil: matches are counted
	all      bool         // the rule bans every address in the window
	limit    int          // hits beyond it are not counted
}

// countLimit is how far is counted: beyond any threshold that is proposed.
func countLimit(count int) int { return max(100, 2*maxCount(count)) }

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
	addr  *address // only if the rule bans every address, or dropped ones would be retained
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
		t := *spec.Threshold
		c := &counter{rule: i, within: t.Within.Microseconds(), limit: countLimit(t.Count), all: spec.Ban != nil && spec.Ban.All}
		if t.Distinct != "" {
			c.distinct = event.FieldNamed(t.Distinct)
		}
		t.Count, t.Then = 1, nil
		copied := &rule.Spec{Name: spec.Name, Where: spec.Where, On: spec.On, Match: spec.Match, Alert: &rule.Alert{}, Threshold: &t}
		m.rules[copied] = c
		once = append(once, copied)
	}
	m.set = rule.NewSet(once)
	return m
}

// count counts an event of an address; nil if it has none.
func (m *measure) count(ev *event.Event, a *address) {
	m.addr = a
	m.set.Observe(ev, m.hit)
}

// hit counts an event that a rule counts.
func (m *measure) hit(f *rule.Firing) {
	c := m.rules[f.Spec]
	key := windowKey{c.rule, f.Event.Source, maphash.String(m.seed, f.Key)}
	w := m.window(key)
	h := hit{at: f.Event.Time.UnixMicro()}
	if c.all {
		h.addr = m.addr
	}
	if c.distinct != nil {
		h.value = maphash.String(m.seed, c.distinct.Get(f.Event))
	}
	before := len(w.hits)
	n := w.add(h, c)
	m.used += len(w.hits) - before
	if m.addr != nil {
		m.addr.reach(c.rule, n, h.at)
	}
	for i := 0; c.all && i < len(w.hits); i++ {
		if other := w.hits[i].addr; other != nil {
			other.reach(c.rule, n, h.at)
		}
	}
	if m.used > m.budget/2 {
		m.older, m.newer, m.used = m.newer, map[windowKey]*window{}, 0
	}
}

// window returns the window of a key and marks it as recent.
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

// add adds a hit and returns how many the window then holds. Like a rule's own window
// it holds hits that are at most `within` older than the newest, and the latest of each
// distinct value. 0: the hit is older than the window.
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
	if n > c.limit {
		w.cut(1)
	}
	return min(n, c.limit)
}

// cut drops the first n hits; all of them if n is negative.
func (w *window) cut(n int) {
	if n < 0 {
		n = len(w.hits)
	}
	clear(w.hits[:n]) // a dropped address must not be retained
	w.hits = w.hits[n:]
}
