package logfile

import (
	"bytes"
	"slices"
)

// segment is how much of a block is passed over by all needles in turn while it
// is in the fastest cache.
const segment = 32 << 10

// A scanner decodes blocks, one at a time.
type scanner struct {
	decoder
	lines  []int     // the beginnings of lines to look at, reused
	around [2][]byte // what stands before and behind a line, where it is in several blocks, reused
}

// scan decodes a block and leaves in it what it found.
func (s *scanner) scan(b *block) {
	b.findings, b.lines, b.skipped, b.doubted, b.year = b.findings[:0], 0, 0, 0, 0
	s.limits = b.limits
	b.known = b.hasHeader()
	years := years{block: b}
	seen := -1 // the line that was looked at last
	step := min(segment, (b.maxLine+1)/2)
	for from := 0; from < len(b.data); from += step {
		to := min(from+step, len(b.data))
		if breaks := bytes.Count(b.data[from:to], []byte{'\n'}); breaks > 0 {
			b.lines += int64(breaks)
		} else {
			b.countLong(from, step)
		}
		for _, at := range s.candidates(b, from, to) {
			if at <= seen {
				continue
			}
			seen = at
			s.look(b, at, &years)
		}
	}
	if n := len(b.data); n > 0 && b.data[n-1] != '\n' {
		b.lines++
	}
	if s.modTime.IsZero() {
		b.year = years.before(len(b.data))
	}
}

// hasHeader reports whether a line in the block has a header. In a log one of the
// first lines has, so that it costs nothing to ask.
func (b *block) hasHeader() bool {
	for rest := b.data; len(rest) > 0; {
		var line string
		line, rest = b.cut(rest)
		if _, ok := parseHeader(line); ok && len(line) <= b.maxLine {
			return true
		}
	}
	return false
}

// look decodes the line that begins at a place in the block.
func (s *scanner) look(b *block, at int, years *years) {
	line, rest := s.cut(b.data[at:])
	f, found, doubted := s.decode(line, rest)
	if doubted {
		b.doubted++
	}
	if !found {
		return
	}
	f.at = at
	if !f.dated {
		s.settle(&f, years.before(at))
	}
	if s.piece > 0 {
		v := s.vicinity(b, at, line, rest)
		if s.judge(&f, &v) {
			b.doubted++
		}
	}
	if f.refused && !f.open {
		return
	}
	b.findings = append(b.findings, f)
}

// vicinity gives a line of a block and what stands around it, there and in the
// blocks beside it.
func (s *scanner) vicinity(b *block, at int, line string, rest []byte) vicinity {
	v := vicinity{before: b.data[:at], line: line, length: len(b.data) - len(rest) - at, behind: rest}
	if at < s.before() && len(b.lead) > 0 {
		s.around[0] = append(append(s.around[0][:0], b.lead...), v.before...)
		v.before = s.around[0]
	}
	if len(rest) < s.behind() && len(b.trail) > 0 {
		s.around[1] = append(append(s.around[1][:0], rest...), b.trail...)
		v.behind = s.around[1]
	}
	return v
}

// countLong counts the line around b.data[from:from+step], which has no line
// break in it, if it is too long. Every line that is has such a step in it; the
// first one counts.
func (b *block) countLong(from, step int) {
	start := bytes.LastIndexByte(b.data[:from], '\n') + 1
	if start <= from-step {
		return
	}
	if line, _ := b.cut(b.data[start:]); len(line) > b.maxLine {
		b.skipped++
	}
}

// years finds the year for lines that tell none, in a recording whose date is
// not known: it is the year of the line before that tells one.
type years struct {
	block *block
	upTo  int // how far it has looked
	year  int // of the last line before upTo that tells one
}

// before gives the year of the last line before a place that tells one, 0 if
// none in the block does. The places must not go backwards: so every line is
// looked at once at the most.
func (y *years) before(at int) int {
	for end := at; end > y.upTo; {
		start := bytes.LastIndexByte(y.block.data[:end-1], '\n') + 1
		line, _ := y.block.cut(y.block.data[start:end])
		if h, ok := parseHeader(line); ok && h.stamp.year != 0 {
			y.year = h.stamp.year
			break
		}
		end = start
	}
	y.upTo = at
	return y.year
}

// candidates gives the beginnings of the lines to look at, in order, that have
// something in data[from:to]. One that began before is given again.
func (s *scanner) candidates(b *block, from, to int) []int {
	s.lines = s.lines[:0]
	if b.plan.everyLine {
		if from == 0 {
			s.lines = append(s.lines, 0)
		}
		for {
			i := bytes.IndexByte(b.data[from:to], '\n')
			if i < 0 {
				return s.lines
			}
			from += i + 1
			s.lines = append(s.lines, from)
		}
	}
	for i := range b.plan.needles {
		s.lines = b.plan.needles[i].candidates(b.data, from, to, s.lines)
	}
	if len(b.plan.needles) > 1 {
		slices.Sort(s.lines)
	}
	return s.lines
}
