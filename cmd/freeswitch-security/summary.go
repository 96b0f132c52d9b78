package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"text/tabwriter"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// A summary counts what a replay saw and decided.
type summary struct {
	start    time.Time
	took     time.Duration
	stats    plugin.Stats
	events   int
	by       map[netip.Addr]int // events by address; lower bounds once it has been thinned
	rules    map[string]*ruleSum
	standing int // wishes to ban who was banned already
}

type ruleSum struct{ bans, alerts, refused int }

func newSummary() *summary {
	return &summary{start: time.Now(), by: map[netip.Addr]int{}, rules: map[string]*ruleSum{}}
}

func (s *summary) event(ev *event.Event) {
	s.events++
	if !ev.IP.IsValid() {
		return
	}
	s.by[ev.IP]++
	if len(s.by) > maxCounted {
		s.thin()
	}
}

// maxCounted bounds the addresses whose events are counted.
const maxCounted = 100_000

// thin forgets the addresses that were seen least, at least half of them: those
// that will be among the busiest are seen again.
func (s *summary) thin() {
	for least := 1; len(s.by) > maxCounted/2; least *= 2 {
		maps.DeleteFunc(s.by, func(_ netip.Addr, n int) bool { return n <= least })
	}
}

func (s *summary) change(c *ban.Change) {
	r := s.rules[c.Rule]
	if r == nil {
		r = &ruleSum{}
		s.rules[c.Rule] = r
	}
	switch {
	case c.InForce():
		r.bans++
	case c.Kind == ban.KindAlert:
		r.alerts++
	case c.Standing:
		s.standing++
	case c.Kind == ban.KindRefuse, c.Kind == ban.KindSpare:
		r.refused++
	}
}

// read takes what the sources say of their reading, and stops the clock.
func (s *summary) read(stats []plugin.Stats) {
	s.took = time.Since(s.start)
	for _, one := range stats {
		s.stats.Lines += one.Lines
		s.stats.Bytes += one.Bytes
		s.stats.Doubted += one.Doubted
	}
}

// topAddresses is how many of the busiest addresses are named.
const topAddresses = 5

func (s *summary) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nlines\t%d\t(%.1f MB, %.0f lines/s)\n", s.stats.Lines, float64(s.stats.Bytes)/1e6, float64(s.stats.Lines)/s.took.Seconds())
	fmt.Fprintf(t, "events\t%d\t\n", s.events)
	if s.stats.Doubted > 0 {
		fmt.Fprintf(t, "doubted\t%d\tlooked like events, but a caller may have written them\n", s.stats.Doubted)
	}
	for _, name := range slices.Sorted(maps.Keys(s.rules)) {
		if r := s.rules[name]; *r != (ruleSum{}) {
			fmt.Fprintf(t, "%s\t%s\t%s, %d refused\n", printable(name), count(r.bans, "ban"), count(r.alerts, "alert"), r.refused)
		}
	}
	if s.standing > 0 {
		fmt.Fprintf(t, "while banned\t%d\twishes to ban an address that was banned already\n", s.standing)
	}
	busiest := slices.SortedFunc(maps.Keys(s.by), func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(s.by[b], s.by[a]), a.Compare(b))
	})
	for _, ip := range busiest[:min(topAddresses, len(busiest))] {
		fmt.Fprintf(t, "%s\t%s\t\n", ban.Address(ip).String(), count(s.by[ip], "event"))
	}
	return t.Flush()
}
