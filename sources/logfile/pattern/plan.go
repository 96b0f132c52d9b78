package pattern

import (
	"bytes"
	"slices"
	"strings"
)

// A Plan finds the lines that can be of a pattern without examining the others.
// All literals of a pattern occur in its lines. The plan picks one byte of one of
// them, the rarest in this log, and few bytes for all patterns together: to search
// for a byte takes a fraction of the time of any look at a line.
type Plan struct {
	everyLine bool // in this log it is cheaper to examine every line
	needles   []needle
}

// A needle is a byte to search for and the literals around it, by the byte that
// follows the needle's. Few occurrences of the byte have one of those behind them.
type needle struct {
	char byte
	lits [256][]anchored
}

// An anchored is a literal with the place of the needle's byte in it.
type anchored struct {
	text string
	at   int
}

// The costs of a plan, in the time that the search for a byte which does not occur
// takes to pass one byte of the log. Only their relation counts, and that roughly:
// measured, they are 0.03, 8 and 180 ns.
const (
	hitCost  = 250  // to stop at an occurrence and compare what stands around it
	lineCost = 6000 // to parse a line's header and compare its message
)

// SampleLength is how many bytes of a log a plan is made from, at most.
const SampleLength = 256 << 10

// NewPlan makes a plan for patterns from a part of the log. With another part the
// plan finds the same lines, at another speed.
func NewPlan(patterns []*Pattern, sample []byte) *Plan {
	sample = sample[:min(len(sample), SampleLength)]
	var count [256]int
	for _, b := range sample {
		count[b]++
	}
	var open [][]string // the literals of each pattern that is not covered yet
	for _, p := range patterns {
		open = append(open, literals(p))
	}
	p := &Plan{}
	cost := 0
	for len(open) > 0 {
		char, covered := cheapest(open, &count, len(sample))
		if covered == 0 {
			return &Plan{everyLine: true}
		}
		cost += len(sample) + count[char]*hitCost
		p.needles = append(p.needles, needle{char: char})
		open = slices.DeleteFunc(open, p.needles[len(p.needles)-1].cover)
	}
	if cost > len(sample)+(count['\n']+1)*lineCost {
		return &Plan{everyLine: true}
	}
	return p
}

// literals are the texts that every line of the pattern holds: in its message, and
// in its header if the pattern has a file and a level.
func literals(p *Pattern) []string {
	lits := slices.DeleteFunc(slices.Clone(p.lits), func(s string) bool { return s == "" })
	if p.File != "" {
		lits = append(lits, p.File+":")
	}
	switch p.Level {
	case "WARNING":
		lits = append(lits, "[WARN") // also of [WARN]
	case "ERR", "CRIT", "ALERT":
		lits = append(lits, "["+p.Level) // also of [ERROR] and [CRITICAL]
	}
	return lits
}

// cheapest picks the byte with the lowest cost for each pattern that it covers.
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

// place returns where a needle's byte stands in a literal, or -1. The end does not
// count, because the byte behind the needle's is compared too.
func place(lit string, char byte) int {
	return strings.IndexByte(lit[:len(lit)-1], char)
}

// cover adds the longest of the literals that hold the needle's byte, and reports
// whether there is one.
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

// Candidates appends the beginnings of the lines in data[from:to], in order, that can be of a
// pattern. A line may be appended more than once. from is the beginning of a line.
func (p *Plan) Candidates(data []byte, from, to int, lines []int) []int {
	if p.everyLine {
		for from < to {
			lines = append(lines, from)
			i := bytes.IndexByte(data[from:to], '\n')
			if i < 0 {
				break
			}
			from += i + 1
		}
		return lines
	}
	first := len(lines)
	for i := range p.needles {
		lines = p.needles[i].candidates(data, from, to, lines)
	}
	if len(lines) > first+1 {
		slices.Sort(lines[first:])
	}
	return lines
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
