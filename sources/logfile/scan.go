package logfile

import (
	"bytes"
	"unsafe"

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
	if s.lines = s.lines[:0]; s.filter == nil {
		s.search(b, data)
	} else {
		s.walk(b, data)
	}
	seen := -1 // the line that was examined last
	for _, at := range s.lines {
		if at > seen {
			seen = at
			s.examine(b, at)
		}
	}
}

// search searches for lines by the plan. One that is too long is the last of a segment, because
// the others end within a step.
func (s *scanner) search(b *block, data []byte) {
	step := min(segment, (s.MaxLine+1)/2)
	for from := 0; from < len(data); {
		to := len(data)
		if i := bytes.IndexByte(data[min(from+step, to):], '\n'); i >= 0 {
			to = from + step + i + 1
		}
		s.lines = b.plan.Candidates(data, from, to, s.lines)
		b.lines += int64(bytes.Count(data[from:to], []byte{'\n'}))
		last := bytes.LastIndexByte(data[from:min(from+step, to)], '\n') + 1
		if line, _ := s.Cut(data[from+last : to]); s.TooLong(line) {
			b.skipped++
		}
		from = to
	}
	if n := len(data); n > 0 && data[n-1] != '\n' {
		b.lines++
	}
}

// walk looks at each line of a block. Most tell by their header that they are of no pattern; the
// others are searched by the plan.
func (s *scanner) walk(b *block, data []byte) {
	s.Look(b.from-s.Piece, b.from)
	others := 0 // from here on are lines that may be of a pattern whatever their header
	for at := 0; at < len(data); b.lines++ {
		next := len(data)
		line := data[at:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line, next = line[:i], at+i+1
		}
		if len(line) > s.MaxLine && s.TooLong(s.Line(line)) {
			b.skipped++
		}
		header, known := s.Add(line)
		if known || next-others >= segment {
			if others < at {
				s.lines = b.plan.Candidates(data, others, at, s.lines)
			}
			if others = at; known {
				others = next
				if header > 0 && s.filter.May(unsafe.String(unsafe.SliceData(line), len(line)), header) {
					s.lines = append(s.lines, at)
				}
			}
		}
		at = next
	}
	s.lines = b.plan.Candidates(data, others, len(data), s.lines)
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
	// A refused line may hold its header behind a prefix. The order of lines does not tell of that header.
	compared := f.refused || f.Session && hasNoSession(f.File)
	if s.Piece > 0 && f.event.IP.IsValid() && (compared || !s.InOrder(&f.Header, from, line, to)) {
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
