package forgery

import (
	"time"
	"unsafe"

	"freeswitch-security/sources/logfile/record"
)

// compare searches for a line that is stamped in another order than it stands, or
// for a disagreement about the idle time. It also dates the judged line.
func (d *Detector) compare(h *record.Header, own string, next *following, c *LineContext, s *Suspicion) {
	switch {
	case next.found && d.isLater(&h.Stamp, &next.Stamp):
		s.doubt(TooLate, next.line, false)
	case next.refutes != "":
		s.doubt(TooLate, next.refutes, false)
	}
	asked, isProven := false, false
	proven := func() bool { // no sync.OnceValue, which allocates for each line
		if !asked {
			var ended bool
			isProven, ended = d.isProven(next.uuid, c)
			asked, s.Open = true, s.Open || ended
		}
		return isProven
	}
	text := d.stampText(c.Line, own)
	var last record.Header
	lastLine := ""
	for i := len(d.near) - 1; i >= 0; i-- {
		n := &d.near[i]
		if n.uuid == "" && !isVertoLogin(n.line) || n.uuid != "" && n.uuid == own ||
			lastLine != "" && inOrder(d.stampText(n.line, n.uuid), text) {
			continue
		}
		before, ok := record.ParseHeader(n.line)
		if !ok {
			continue
		}
		if s.Doubt == "" && d.isLater(&before.Stamp, &h.Stamp) &&
			!(next.found && d.isLater(&before.Stamp, &next.Stamp) && next.uuid != "" && proven()) {
			s.doubt(TooEarly, n.line, false)
		}
		if lastLine == "" {
			last, lastLine = before, n.line
		}
	}
	d.compareFar(h, &last, text, c, s)
	switch {
	case lastLine == "" && !next.found:
		return
	case lastLine == "" || next.found && d.isLater(&last.Stamp, &next.Stamp):
		s.Written = d.Time(next.Stamp)
		return
	}
	s.Written = d.Time(last.Stamp)
	if s.Doubt == "" && next.found && d.idleDiffers(h, &last, &next.Header) {
		s.doubt(OtherIdle, lastLine, false)
	}
}

// compareFar compares the line with those that are so far behind it that the piece
// in which it would stand, if it were an attacker's, has ended before them. last is
// the header of the last line of a session before it, if there is one.
//
// Attackers may have written some of those lines too, in pieces of their own, to
// have a true line doubted. So a line that is stamped earlier counts only if no
// other session could have written it, or if all of them are. In a login or a
// packet, which may be longer, an attacker still could, so no sender is named then.
func (d *Detector) compareFar(h, last *record.Header, text string, c *LineContext, s *Suspicion) {
	if s.Doubt != "" {
		return
	}
	other, session, opened := 0, "", false // where the last line of another session than that of the current lines began
	from := 0                              // where the current lines began
	allEarlier := ""
	later := false
	ended := d.linesBehind(c, d.Behind(), func(n neighbour) bool {
		if n.uuid == "" && isOpening(n.line) {
			opened = true // it is open how much of what follows is an attacker's
		}
		if n.uuid != "" {
			if n.uuid != session {
				other, session = from, n.uuid
			}
			from = n.at
		}
		writer := other // the last line whose piece this one could be in
		if n.uuid == "" {
			writer = from
		}
		sure := n.at-writer > d.Piece
		if n.at <= d.Piece || later && !sure && (last.Idle == "" || last.Idle == h.Idle) && inOrder(text, d.stampText(n.line, n.uuid)) {
			return true
		}
		behind, ok := record.ParseHeader(n.line)
		if !ok {
			return true
		}
		switch {
		case !d.isLater(&h.Stamp, &behind.Stamp):
			later = true
		case sure:
			s.doubt(TooLate, n.line, opened)
		case allEarlier == "":
			allEarlier = n.line
		}
		if s.Doubt == "" && sure && d.idleDiffers(h, last, &behind) {
			s.doubt(OtherIdle, n.line, opened)
		}
		// Once a line that no attacker can have written agrees, those behind it, which are
		// stamped later still, add nothing.
		return s.Doubt == "" && !(sure && later)
	})
	if s.Doubt != "" {
		return
	}
	if !later && allEarlier != "" {
		s.doubt(TooLate, allEarlier, true)
	}
	s.Open = s.Open || ended
}

// idleDiffers reports whether the lines before and behind were written at the same
// moment with an idle time that the judged line does not have.
func (d *Detector) idleDiffers(h, before, behind *record.Header) bool {
	return behind.Idle != "" && behind.Idle == before.Idle && behind.Idle != h.Idle &&
		d.Date(behind.Stamp).Sub(d.Date(before.Stamp)).Abs() <= sameMoment
}

const stampLength = len("2026-05-04 10:11:12.131415")

// stampText returns the text of a line's stamp, "" if it is not of the usual form. The
// order of such texts is that of time, so that in most logs few lines are parsed.
func (d *Detector) stampText(line, uuid string) string {
	if uuid != "" {
		line = line[len(uuid)+1:]
	}
	if _, ok := momentOf(unsafe.Slice(unsafe.StringData(line), len(line)), 0); !ok || d.parseAll {
		return ""
	}
	return line[:stampLength]
}

// inOrder reports whether two texts of stamps are in the order of time for certain.
func inOrder(before, behind string) bool { return before != "" && before <= behind }

// A following is the line behind that the stamp of the judged one is compared with.
type following struct {
	record.Header
	line  string
	uuid  string
	found bool
	// refutes is a session's line that is stamped earlier than one without a session
	// between the two. No piece begins between them, so one writer wrote all of them.
	refutes string
	ended   bool // the input ended without a line that a session wrote
}

// next finds the line behind to compare with. For a session's line it is the next
// one of the same session. For others it is the first one of a session or, if that
// is stamped earlier, the first one with a header. It stops where an attacker's
// lines may come between.
func (d *Detector) next(own string, c *LineContext) (next following) {
	session := own // the session whose line it searches for
	var latest *record.Stamp
	next.ended = d.linesBehind(c, d.Piece, func(n neighbour) bool {
		switch {
		case n.uuid == "" && session != "":
			return true
		case n.uuid == "" && isOpening(n.line):
			return false
		case session != "" && n.uuid != session:
			return true
		}
		h, ok := record.ParseHeader(n.line)
		if !ok {
			session = n.uuid // what follows in its piece may be an attacker's
			return true
		}
		if !next.found || d.Date(h.Stamp).Before(d.Date(next.Stamp)) {
			next = following{Header: h, line: n.line, found: true}
		}
		switch {
		case n.uuid == "" && (latest == nil || d.isLater(&h.Stamp, latest)):
			latest = &h.Stamp
		case n.uuid != "" && latest != nil && d.isLater(latest, &h.Stamp):
			next.refutes = n.line
		}
		if n.uuid != "" && next.line == n.line {
			next.uuid = n.uuid
		}
		return n.uuid == ""
	})
	return next
}

// isLater reports whether a is later than b by more than the clock's steps. In an
// hour that a zone repeats it reports false.
func (d *Detector) isLater(a, b *record.Stamp) bool {
	x, y := *a, *b
	if x.Year == 0 || y.Year == 0 {
		x.Year = max(x.Year, y.Year)
		if x.Year == 0 {
			x.Year = 2000
		}
		y.Year = x.Year
	}
	from, to := d.Date(y), d.Date(x)
	if to.Sub(from) <= clockStep {
		return false
	}
	if first, _, twice := record.Readings(to); twice {
		to = first
	}
	if _, second, twice := record.Readings(from); twice {
		from = second
	}
	const half = 182 * 24 * time.Hour
	gap := to.Sub(from)
	return gap > clockStep && (a.Year != 0 || b.Year != 0 || gap < half)
}
