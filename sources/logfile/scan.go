package logfile

import (
	"bytes"

	"freeswitch-security/sources/logfile/forgery"
	"freeswitch-security/sources/logfile/record"
)

// segment is how much of a block all needles of the plan are searched for in turn,
// while it is in the fastest cache.
const segment = 32 << 10

// A scanner decodes blocks, one at a time.
type scanner struct {
	decoder
	lines []int // the beginnings of lines to examine, reused
}

// scan decodes a block and stores in it what it finds.
func (s *scanner) scan(b *block) {
	b.findings, b.lines, b.skipped, b.doubted = b.findings[:0], 0, 0, 0
	s.CRLF = b.crlf
	data := b.log[b.from:b.to]
	b.recognised = s.hasHeader(data)
	s.Over(b.log)
	seen := -1 // the line that was examined last
	step := min(segment, (s.MaxLine+1)/2)
	for from := 0; from < len(data); from += step {
		to := min(from+step, len(data))
		if breaks := bytes.Count(data[from:to], []byte{'\n'}); breaks > 0 {
			b.lines += int64(breaks)
		} else if s.isLong(data, from, step) {
			b.skipped++
		}
		s.lines = b.plan.Candidates(data, from, to, s.lines[:0])
		for _, at := range s.lines {
			if at > seen {
				seen = at
				s.examine(b, at)
			}
		}
	}
	if n := len(data); n > 0 && data[n-1] != '\n' {
		b.lines++
	}
}

// hasHeader reports whether a line has a header, or is the head of a traced packet. In a log
// one of the first lines is.
func (d *decoder) hasHeader(data []byte) bool {
	for len(data) > 0 {
		var line string
		line, data = d.Cut(data)
		if _, ok := record.ParseHeader(line); (ok || record.IsTrace(line)) && !d.TooLong(line) {
			return true
		}
	}
	return false
}

// examine decodes the line that begins at a place in the block.
func (s *scanner) examine(b *block, at int) {
	line, rest := s.Cut(b.log[b.from+at : b.to])
	f, found, doubted := s.decode(line, rest)
	if doubted {
		b.doubted++
	}
	if !found {
		return
	}
	f.at = at
	from, to := b.from+at, b.to-len(rest)
	if s.Piece > 0 && f.event.IP.IsValid() && (f.Session && hasNoSession(f.File) || !s.InOrder(&f.Header, from, line, to)) {
		c := contextOf(b.log, from, line, to)
		if s.judge(&f, &c) {
			b.doubted++
		}
	}
	if !f.refused || f.open {
		b.findings = append(b.findings, f)
	}
}

// contextOf returns the line that stands in log from one place up to another, with
// what stands around it.
func contextOf(log []byte, from int, line string, to int) forgery.LineContext {
	return forgery.LineContext{Before: log[:from], Line: line, Length: to - from, Behind: log[to:]}
}

// isLong reports whether the line around data[from:from+step], which has no line break
// in it, is too long. A line that is too long contains such a step; it is counted at its
// first one.
func (s *scanner) isLong(data []byte, from, step int) bool {
	start := bytes.LastIndexByte(data[:from], '\n') + 1
	if start <= from-step {
		return false
	}
	line, _ := s.Cut(data[start:])
	return s.TooLong(line)
}
