package carrier

import (
	"strings"
	"time"

	"freeswitch-security/sources/logfile/record"
)

// CutOff is a further line behind a line whose end may be missing: a syslog daemon
// cuts what is longer than its limit, and an attacker could choose where.
const CutOff = " [the line may have been cut off]"

// An Unwrapper turns the lines of a file with a carrier into FreeSWITCH's. It is not
// safe for concurrent use.
type Unwrapper struct {
	maxLine int  // the longest line that is examined, in bytes
	mixed   bool // stamps are not compared
	others  bool // messages of other programs are kept

	last    *Carrier // of the line before
	writer  string   // of the last line with a header; lines of others are left out
	foreign bool     // the line before was left out
	width   int      // of the prefix of the line before
	longest int      // the longest line with a syslog prefix so far
	zone    zone

	parts   []byte // of a line that goes on in the next piece
	started piece  // the first of them
	pending bool
	later   []byte // lines of another stream meanwhile
}

// Unwrapper returns an unwrapper for a file with the carrier, from its beginning or
// the beginning of any line. maxLine is the longest line that is examined, in bytes.
// others says whether the messages of other programs are kept, see [OtherText].
func (c *Carrier) Unwrapper(maxLine int, others bool) Unwrapper {
	return Unwrapper{maxLine: maxLine, mixed: !c.Compared, others: others}
}

// Pending reports whether a line goes on in the next piece.
func (u *Unwrapper) Pending() bool { return u.pending }

// Append appends what a line of the carrier, without its line break, holds: whole
// lines, none if it is a part of one.
func (u *Unwrapper) Append(dst []byte, line string) []byte {
	p, c := parse(line)
	if c == colours && len(p.text) == len(line) && u.mixed {
		// Nothing is compared in such a file. FreeSWITCH's lines begin with the stamp there.
		p.text = record.WithoutSession(line)
	}
	if u.interrupts(&p, c) {
		dst = u.Flush(dst)
	}
	if c == nil {
		return u.further(dst, line)
	}
	u.last = c
	switch same := p.stream == u.started.stream; {
	case u.pending && !same:
		u.later = u.message(u.later, line, &p)
	case u.pending:
		if u.add(p.text); !p.part {
			return u.Flush(dst)
		}
	case p.part:
		u.started, u.pending = piece{at: p.at, writer: strings.Clone(p.writer), stream: strings.Clone(p.stream)}, true
		u.add(p.text)
	default:
		return u.message(dst, line, &p)
	}
	return dst
}

// Interrupts reports whether the end of a pending line cannot come behind a line.
func (u *Unwrapper) Interrupts(line string) bool {
	if !u.pending {
		return false
	}
	p, c := parse(line)
	return u.interrupts(&p, c)
}

func (u *Unwrapper) interrupts(p *piece, c *Carrier) bool {
	return u.pending && (c == nil || p.stream != u.started.stream && (p.part || p.stream == "" || len(u.later) > u.maxLine))
}

// AppendUnfinished appends what the first part of a line holds, without a line break.
// It is nothing if the carrier is not known yet.
func (u *Unwrapper) AppendUnfinished(dst []byte, line string) []byte {
	if _, c := parse(line); c == nil {
		return dst
	}
	n := len(dst)
	if dst = u.Append(dst, line); len(dst) > n {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// add adds a part. What is longer than the longest line is left out: a byte more
// tells that the line is too long.
func (u *Unwrapper) add(text string) {
	u.parts = append(u.parts, text[:min(len(text), u.maxLine+2-min(len(u.parts), u.maxLine+2))]...)
}

// Flush appends the line whose end did not come.
func (u *Unwrapper) Flush(dst []byte) []byte {
	if !u.pending {
		return dst
	}
	p := u.started
	p.text = string(u.parts)
	u.parts, u.pending = u.parts[:0], false
	dst = append(u.message(dst, "", &p), u.later...)
	u.later = u.later[:0]
	return dst
}

// message appends the lines of a message. raw is its line in the file.
func (u *Unwrapper) message(dst []byte, raw string, p *piece) []byte {
	text := uncolour(strings.TrimSuffix(p.text, "\n"))
	if blank := text == "" || text == "\r"; blank && len(text) < len(strings.TrimSuffix(p.text, "\n")) {
		return dst // there were only colours in it
	}
	if inner, ok := consoleJSON(text); ok {
		text = strings.TrimSuffix(inner.text, "\n")
	}
	if p.syslog {
		text = unescape(text)
	}
	first, rest, more := strings.Cut(text, "\n")
	header := hasHeader(first)
	if u.foreign = !header && p.writer != "" && p.writer != u.writer && (u.writer != "" || u.others); u.foreign {
		if u.width = p.width; u.others && !more {
			dst = u.cut(other(dst, p, first), raw, p)
		}
		return dst
	}
	if header && p.writer != "" && u.writer != p.writer {
		u.writer = strings.Clone(p.writer)
	}
	u.width = p.width
	dst = append(u.stamped(dst, first, p.at), '\n')
	for more {
		var line string
		line, rest, more = strings.Cut(rest, "\n")
		dst = u.guarded(dst, line)
	}
	if len(text) == len(first) {
		dst = u.cut(dst, raw, p)
	}
	return dst
}

// cut appends the further line that tells that the end of a line may be missing.
func (u *Unwrapper) cut(dst []byte, raw string, p *piece) []byte {
	if p.syslog && u.mayBeCut(raw, p) {
		dst = append(append(dst, CutOff...), '\n')
	}
	return dst
}

// further appends a line without a carrier. journalctl indents the further lines of
// a message by the width of its prefix.
func (u *Unwrapper) further(dst []byte, line string) []byte {
	const inexact = 2
	blanks := len(line) - len(strings.TrimLeft(line, " "))
	switch {
	case strings.HasPrefix(line, "-- ") && strings.HasSuffix(line, " --"):
		return dst // of journalctl: -- Boot 0a1b2c3d --
	case u.width == 0 || blanks < u.width-inexact:
		return append(append(dst, line...), '\n')
	case u.foreign:
		return dst
	}
	return u.guarded(dst, line[min(blanks, u.width+inexact):])
}

// guarded appends a further line. One that looks like the beginning of a record holds
// a line break that an attacker wrote; a blank in front shows that it is none.
func (u *Unwrapper) guarded(dst []byte, line string) []byte {
	if record.Begins(line) || len(line) > u.maxLine {
		dst = append(dst, ' ')
	}
	return append(append(dst, line...), '\n')
}

// A zone is the offset from UTC of FreeSWITCH's stamps.
type zone struct {
	offset time.Duration
	known  bool
	others int // lines in a row that tell another one
}

// steady is after how many lines in a row another offset is believed. An attacker who
// writes a stamp must not choose the offset that makes it fit; it writes at most 2 KB
// at once.
const steady = 64

// stamped appends the first line of a message that was seen at a time. If its stamp
// has no offset, it gets the one that follows from that time.
func (u *Unwrapper) stamped(dst []byte, line string, seen time.Time) []byte {
	h, ok := record.ParseHeader(line)
	if !ok || h.Stamp.Zoned || seen.IsZero() {
		return append(dst, line...)
	}
	offset, fits := h.Stamp.OffsetAt(seen)
	z := &u.zone
	switch {
	case z.known && fits && offset == z.offset:
		z.others = 0
	case z.known && u.last.Compared && z.others < steady:
		z.others++
		return record.AppendZoned(dst, line, z.offset)
	default:
		*z = zone{offset: offset, known: fits}
	}
	if !fits {
		return record.AppendAt(dst, line, seen)
	}
	return record.AppendZoned(dst, line, offset)
}
