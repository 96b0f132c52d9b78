package pattern

import (
	"slices"

	"freeswitch-security/sources/logfile/record"
)

// An Index finds the patterns of a set by the header of a line.
type Index struct {
	Set
	of map[header][]int // what a line with a header may match; without a file: one that no pattern names
}

type header struct{ file, level string }

// NewIndex makes the index of a set, which must not change any more.
func NewIndex(set Set) *Index {
	x := &Index{set, map[header][]int{}}
	for _, level := range append(slices.Clone(record.LevelNames), record.Other) {
		for i := range append(slices.Clone(set), Pattern{}) {
			h := header{level: level}
			if i < len(set) {
				h.file = set[i].File
			}
			if _, known := x.of[h]; known {
				continue
			}
			x.of[h] = nil
			for j := range set {
				if set[j].Of(h.file, level) {
					x.of[h] = append(x.of[h], j)
				}
			}
		}
	}
	return x
}

// Find returns the first pattern that a message with this header is of.
//
// It compares the other patterns too. If one of them reads another address, the
// message is [Ambiguous]. Otherwise an attacker without a name in the From header
// could have the pattern with <user>@<domain> match from an @ in its Call-ID on.
func (x *Index) Find(file, level, msg string, m *Match) (index int, v Verdict) {
	candidates, known := x.of[header{file, level}]
	if !known {
		candidates = x.of[header{"", level}]
	}
	var other Match
	for _, i := range candidates {
		p := &x.Set[i]
		if n := len(p.lits[0]); len(msg) < n || n > 0 && msg[n-1] != p.lits[0][n-1] {
			continue // most differ there
		}
		if v == Matches && p.last && x.Set[index].last && p.holes[p.addr].kind == x.Set[index].holes[x.Set[index].addr].kind {
			continue // it would read the same address
		}
		into := m
		if v != Differs {
			into = &other
		}
		switch w := p.Match(msg, into); {
		case w == Differs:
		case v == Differs:
			index, v = i, w
		case w == Ambiguous, m.IP.IsValid() && other.IP.IsValid() && m.IP != other.IP:
			return index, Ambiguous
		}
	}
	return index, v
}
