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

// A needle is a byte to look for, and what must stand around it: the literals,
// by the byte that stands behind it. Few occurrences of the byte have one of
// those behind them.
type needle struct {
	char byte
	lits [256][]anchored
}

// An anchored is a literal with the place of the needle's byte in it.
type anchored struct {
	text string
	at   int
}

// The costs of a plan, in the time that it takes to pass over one byte of the
// log when looking for one that does not occur. Only their relation counts, and
// that roughly: measured, they are 0.03, 8 and 180 ns.
const (
	hitCost      = 250  // to stop at an occurrence and compare what stands around it
	lineCost     = 6000 // to look at a line's header and message
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
		p.needles = append(p.needles, needle{char: char})
		open = slices.DeleteFunc(open, p.needles[len(p.needles)-1].cover)
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
			if slices.ContainsFunc(lits, func(lit string) bool { return place(lit, byte(c)) >= 0 }) {
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

// place is where a needle's byte stands in a literal: not at its end, as the byte
// behind it counts too; -1 if nowhere.
func place(lit string, char byte) int {
	return strings.IndexByte(lit[:len(lit)-1], char)
}

// cover adds the longest of the literals that the needle's byte stands in, and
// reports whether there is one.
func (n *needle) cover(lits []string) bool {
	var longest anchored
	for _, lit := range lits {
		if at := place(lit, n.char); at >= 0 && len(lit) > len(longest.text) {
			longest = anchored{lit, at}
		}
	}
	if longest.text == "" {
		return false
	}
	behind := &n.lits[longest.text[longest.at+1]]
	if !slices.Contains(*behind, longest) {
		*behind = append(*behind, longest)
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
	if i+1 == len(data) {
		return false
	}
	for _, lit := range n.lits[data[i+1]] {
		start := i - lit.at
		if start >= 0 && len(data)-start >= len(lit.text) && string(data[start:start+len(lit.text)]) == lit.text {
			return true
		}
	}
	return false
}
