package logfile

import (
	"bytes"
	"slices"
	"strings"
)

// A plan says which lines can be of a pattern that somebody asked for, without
// looking at the others. Every such pattern has literals, all of which stand in
// its lines; the plan picks one byte of one of them, the rarest in this log,
// and few bytes for all patterns together. Looking for a byte takes a fraction of
// the time that any look at a line takes.
type plan struct {
	everyLine bool // the log is such that looking at every line is cheaper
	needles   []needle
}

// A needle is a byte to look for, and what must stand around it.
type needle struct {
	char byte
	lits []anchored
}

// An anchored is a literal with the place of the needle's byte in it.
type anchored struct {
	text string
	at   int
}

// The costs of a plan, in the time that it takes to pass over one byte of the
// log when looking for one that does not occur. Only their relation counts.
const (
	hitCost      = 120  // to stop at an occurrence and compare what stands around it
	lineCost     = 1000 // to look at a line's header and message
	sampleLength = 256 << 10
)

// newPlan makes a plan from the patterns that are in use and the beginning of
// the log.
func newPlan(patterns []pattern, use []use, sample []byte) *plan {
	sample = sample[:min(len(sample), sampleLength)]
	var count [256]int
	for _, b := range sample {
		count[b]++
	}
	var open [][]string // for each pattern not covered yet, its literals
	for i := range patterns {
		if use[i] != unused {
			open = append(open, literals(&patterns[i]))
		}
	}
	p := &plan{}
	cost := 0
	for len(open) > 0 {
		char, covered := cheapest(open, &count, len(sample))
		if covered == 0 {
			return &plan{everyLine: true}
		}
		cost += len(sample) + count[char]*hitCost
		n := needle{char: char}
		open = slices.DeleteFunc(open, func(lits []string) bool { return n.cover(lits) })
		p.needles = append(p.needles, n)
	}
	if cost > len(sample)+(count['\n']+1)*lineCost {
		return &plan{everyLine: true}
	}
	return p
}

// literals are what must stand in a line that the pattern matches: in its
// message, and in its header if the pattern says which file and level.
func literals(p *pattern) []string {
	lits := slices.DeleteFunc(slices.Clone(p.lits), func(s string) bool { return s == "" })
	if p.file != "" {
		lits = append(lits, p.file+":")
	}
	switch p.level {
	case "WARNING":
		lits = append(lits, "[WARN") // also of [WARN]
	case "ERR", "CRIT", "ALERT":
		lits = append(lits, "["+p.level) // also of [ERROR] and [CRITICAL]
	}
	return lits
}

// cheapest picks the byte that costs least for each pattern that it covers.
func cheapest(open [][]string, count *[256]int, length int) (char byte, covered int) {
	best := 0.0
	for c := range 256 {
		n := 0
		for _, lits := range open {
			if slices.ContainsFunc(lits, func(lit string) bool { return strings.IndexByte(lit, byte(c)) >= 0 }) {
				n++
			}
		}
		if n == 0 {
			continue
		}
		cost := float64(length+1+count[c]*hitCost) / float64(n)
		if covered == 0 || cost < best {
			char, covered, best = byte(c), n, cost
		}
	}
	return char, covered
}

// cover adds the longest of the literals that the needle's byte stands in, and
// reports whether there is one.
func (n *needle) cover(lits []string) bool {
	longest := anchored{}
	for _, lit := range lits {
		if at := strings.IndexByte(lit, n.char); at >= 0 && len(lit) > len(longest.text) {
			longest = anchored{lit, at}
		}
	}
	if longest.text == "" {
		return false
	}
	if !slices.Contains(n.lits, longest) {
		n.lits = append(n.lits, longest)
	}
	return true
}

// candidates appends the beginnings of the lines that the needle finds in
// data[from:to].
func (n *needle) candidates(data []byte, from, to int, lines []int) []int {
	for from < to {
		i := bytes.IndexByte(data[from:to], n.char)
		if i < 0 {
			break
		}
		from += i + 1
		if !n.at(data, from-1) {
			continue
		}
		lines = append(lines, bytes.LastIndexByte(data[:from], '\n')+1)
		end := bytes.IndexByte(data[from:], '\n')
		if end < 0 {
			break
		}
		from += end + 1
	}
	return lines
}

// at reports whether one of the literals stands around the byte at i.
func (n *needle) at(data []byte, i int) bool {
	for _, lit := range n.lits {
		start := i - lit.at
		if start >= 0 && len(data)-start >= len(lit.text) && string(data[start:start+len(lit.text)]) == lit.text {
			return true
		}
	}
	return false
}
