package logfile

import (
	"net/netip"
	"sync"
	"time"

	"freeswitch-security/engine/event"
)

// clockStep is by how much stamps may run backwards from one true line to the next:
// the steps in which FreeSWITCH's clock goes. A thread may take the time just
// before a step and write just behind another that took it after. Of 33,000
// recorded messages under load one did, by 20.1 ms.
const clockStep = 21 * time.Millisecond

// sameMoment is how far apart two lines may be stamped that bear the same share of
// idle time, for one between them to bear it as well. FreeSWITCH measures it a few
// times a second at the most.
const sameMoment = 100 * time.Millisecond

// A doubt is what speaks against a line: it is a caller's.
type doubt uint8

const (
	noDoubt     doubt = iota
	tooEarly          // a line before it that was written by a session is stamped later
	tooLate           // the next line is stamped earlier
	otherIdle         // lines before and behind it agree on the idle time, and not with it
	insideLogin       // it stands in the user name of a verto login
	insideTrace       // it stands in a packet of a SIP trace
)

// A suspicion is what the vicinity says of a line.
type suspicion struct {
	doubt   doubt
	against string     // the line that speaks against it
	sender  netip.Addr // who sent what FreeSWITCH wrote about just before; invalid if that is not told
	written time.Time  // when it was written, as far as the lines around it tell
	// disputable tells that a caller may have had a true line doubted: then who wrote
	// what stands before it is not to be blamed.
	disputable bool
	open       bool // the input ended too soon: more of it may speak against the line, or tell the sender
}

// suspect judges a line with a header by what stands around it.
//
// FreeSWITCH's clock goes in steps of about 20 ms, at odd microseconds, and nobody
// outside knows when. Whoever gets a line of his own into the log by a line break
// must guess what the lines around it are stamped. Only such a line is compared
// that stands where a caller's may, at most a piece behind a line of a session's,
// and only with lines that would be FreeSWITCH's own if it were:
//
//   - The next line, or of several the next one of a session: had a caller written
//     that, so he had this, since what he writes follows upon a line of a session.
//   - If a caller wrote that next line, he can have made it fit. So those count as
//     well that are too far behind to be in the same piece; see [decoder.compareFar].
//   - The lines of sessions in the piece before it. Here a caller may have written
//     a wrong one just to make a true line doubted. It is left out if it
//     contradicts the line behind as well, and that is of a session that is proven.
func (d *decoder) suspect(h *header, v *vicinity) (s suspicion) {
	if !d.corroborate && d.fits(v) {
		return s
	}
	d.near = d.linesBefore(v.before, d.piece, d.near[:0])
	own := newNeighbour(0, v.line).uuid
	carrier := d.carrier(own)
	if carrier == nil {
		if !d.behindText() {
			return s
		}
		d.inTrace(v, &s)
		return s
	}
	next := d.next(own, v)
	s.open = next.ended
	d.compare(h, own, &next, v, &s)
	switch {
	case carrier.uuid != "":
	case isTrace(carrier.line):
		d.inTrace(v, &s)
	default:
		d.inLogin(v, &s)
	}
	if (s.doubt == noDoubt || s.disputable) && !d.corroborate {
		return s
	}
	var ended bool
	s.sender, ended = d.sender(carrier, v)
	s.open = s.open || ended
	return s
}

// carrier gives the nearest line before, of another session than the line's own,
// behind which a caller's may stand; nil if there is none.
func (d *decoder) carrier(own string) *neighbour {
	for i := len(d.near) - 1; i >= 0; i-- {
		if n := &d.near[i]; n.uuid != "" && n.uuid != own || n.uuid == "" && isCarrier(n.line) {
			return n
		}
	}
	return nil
}

// compare looks for a line that is stamped in another order than it stands, or for
// a disagreement about the idle time, and dates the line.
func (d *decoder) compare(h *header, own string, next *following, v *vicinity, s *suspicion) {
	switch {
	case next.found && d.isLater(&h.stamp, &next.stamp):
		s.doubt, s.against = tooLate, next.line
	case next.refutes != "":
		s.doubt, s.against = tooLate, next.refutes
	}
	proven := sync.OnceValue(func() bool { return d.isOfProven(next, v, s) })
	text := stampText(v.line, own)
	var last header
	lastLine := ""
	for i := len(d.near) - 1; i >= 0; i-- {
		n := &d.near[i]
		if n.uuid == "" && !isVertoLogin(n.line) || n.uuid != "" && n.uuid == own ||
			lastLine != "" && stampText(n.line, n.uuid) <= text {
			continue // in most logs all are, so that one is parsed
		}
		before, ok := parseHeader(n.line)
		if !ok {
			continue
		}
		if s.doubt == noDoubt && d.isLater(&before.stamp, &h.stamp) &&
			!(next.found && d.isLater(&before.stamp, &next.stamp) && proven()) {
			s.doubt, s.against = tooEarly, n.line
		}
		if lastLine == "" {
			last, lastLine = before, n.line
		}
	}
	d.compareFar(h, &last, lastLine != "", v, s)
	switch {
	case lastLine == "" && !next.found:
		return
	case lastLine == "" || next.found && d.isLater(&last.stamp, &next.stamp):
		s.written = d.dated(&next.stamp)
		return
	}
	s.written = d.dated(&last.stamp)
	if s.doubt == noDoubt && next.found && next.idle != "" && next.idle == last.idle && next.idle != h.idle &&
		d.date(next.stamp).Sub(d.date(last.stamp)).Abs() <= sameMoment {
		s.doubt, s.against = otherIdle, lastLine
	}
}

// compareFar compares the line with those so far behind it that the piece, in which
// it would stand if it were a caller's, has ended before them. In a piece of their
// own, callers may have written some of them too, to have a true line doubted. So
// a line that is stamped earlier only counts if no other session could have written
// it, or if all are; and in a login or a packet, which may be longer, callers could
// still. For that nobody is blamed. last is the last line of a session before, where
// there is one.
func (d *decoder) compareFar(h, last *header, hasLast bool, v *vicinity, s *suspicion) {
	if s.doubt != noDoubt {
		return
	}
	other, session, carried := 0, "", false // where a session's line began last, before those of this one
	from := 0                               // where these began
	allEarlier := ""
	later := false
	ended := d.linesBehind(v, d.behind(), func(n neighbour) bool {
		if n.uuid == "" && isCarrier(n.line) {
			carried = true // how much of what follows is a caller's is open
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
		before, ok := parseHeader(n.line)
		if !ok || n.at <= d.piece {
			return true
		}
		sure := n.at-writer > d.piece
		switch {
		case !d.isLater(&h.stamp, &before.stamp):
			later = true
		case sure:
			s.doubt, s.against, s.disputable = tooLate, n.line, carried
		case allEarlier == "":
			allEarlier = n.line
		}
		if s.doubt == noDoubt && sure && hasLast && before.idle != "" && before.idle == last.idle && before.idle != h.idle &&
			d.date(before.stamp).Sub(d.date(last.stamp)).Abs() <= sameMoment {
			s.doubt, s.against, s.disputable = otherIdle, n.line, carried
		}
		// Once a line that no caller can have written agrees, those behind it, which are
		// stamped later still, tell no more.
		return s.doubt == noDoubt && !(sure && later)
	})
	if s.doubt != noDoubt {
		return
	}
	if !later && allEarlier != "" {
		s.doubt, s.against, s.disputable = tooLate, allEarlier, true
	}
	s.open = s.open || ended
}

// stampText is where a stamp stands in a line. Of the same form they are in the
// order of their texts.
func stampText(line, uuid string) string {
	from := 0
	if uuid != "" {
		from = len(uuid) + 1
	}
	return line[from:min(from+stampLength, len(line))]
}

// dated gives the time of a stamp, zero where it has no year.
func (d *decoder) dated(t *stamp) time.Time {
	if d.needsYear(*t) {
		return time.Time{}
	}
	return d.time(*t)
}

// isOfProven reports whether the line behind is of a session that is proven.
func (d *decoder) isOfProven(next *following, v *vicinity, s *suspicion) bool {
	if next.uuid == "" {
		return false
	}
	proven, ended := d.isProven(next.uuid, v)
	s.open = s.open || ended
	return proven
}

// A following is the line behind one that its stamp is compared with.
type following struct {
	header
	line  string
	uuid  string
	found bool
	// refutes is a session's line that is stamped earlier than one without a session
	// between the two. No piece begins between them, so that whoever wrote that one
	// wrote all of them.
	refutes string
	ended   bool // the end of the input was reached without one that a session wrote
}

// next finds the line behind: of a session's line the next one of the same
// session, of others the first one of a session or, if that is stamped earlier,
// the first one with a header. Where a caller's lines may come between, it ends.
func (d *decoder) next(own string, v *vicinity) (next following) {
	session := own // whose line is waited for
	var latest *stamp
	next.ended = d.linesBehind(v, d.piece, func(n neighbour) bool {
		switch {
		case n.uuid == "" && session != "":
			return true
		case n.uuid == "" && isCarrier(n.line):
			return false
		case session != "" && n.uuid != session:
			return true
		}
		h, ok := parseHeader(n.line)
		if !ok {
			session = n.uuid // what follows in its piece may be a caller's
			return true
		}
		if !next.found || d.date(h.stamp).Before(d.date(next.stamp)) {
			next = following{header: h, line: n.line, found: true}
		}
		switch {
		case n.uuid == "" && (latest == nil || d.isLater(&h.stamp, latest)):
			latest = &h.stamp
		case n.uuid != "" && latest != nil && d.isLater(latest, &h.stamp):
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
// hour that comes twice nobody can tell.
func (d *decoder) isLater(a, b *stamp) bool {
	x, y := *a, *b
	if x.year == 0 || y.year == 0 {
		x.year = max(x.year, y.year)
		if x.year == 0 {
			x.year = 2000
		}
		y.year = x.year
	}
	from, to := d.date(y), d.date(x)
	if to.Sub(from) <= clockStep {
		return false
	}
	if first, _, twice := passes(to); twice {
		to = first
	}
	if _, second, twice := passes(from); twice {
		from = second
	}
	const half = 182 * 24 * time.Hour
	gap := to.Sub(from)
	return gap > clockStep && (a.year != 0 || b.year != 0 || gap < half)
}

// forged makes of an event, whose line a caller wrote, what it is.
func (s *suspicion) forged(e *event.Event) *event.Event {
	f := event.Forgery(e)
	if !s.written.IsZero() {
		f.Time = s.written
	}
	return f
}
