package forgery

import (
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/sources/logfile/lines"
	"freeswitch-security/sources/logfile/record"
)

// clockStep is by how much stamps may run backwards from one true line to the next:
// the step of FreeSWITCH's clock. A thread may take the time just before a step and
// write behind another that took it after. Of 33,000 recorded messages under load
// one did, by 20.1 ms.
const clockStep = 21 * time.Millisecond

// sameMoment is how far apart two lines with the same idle time may be stamped for a
// line between them to have it too. FreeSWITCH measures it a few times a second at
// most.
const sameMoment = 100 * time.Millisecond

// A Doubt is what speaks against a line, in words. It is empty if nothing does.
type Doubt string

const (
	TooEarly    Doubt = "a session wrote a line before it that is stamped later"
	TooLate     Doubt = "the line behind it is stamped earlier"
	OtherIdle   Doubt = "the lines before and behind it were written at the same moment with another idle time"
	InsideLogin Doubt = "it stands in the user name of a verto login"
	InsideTrace Doubt = "it stands in a packet of a SIP trace"
)

// A Suspicion is the result of judging a line.
type Suspicion struct {
	Doubt   Doubt
	Against string     // the line that speaks against it
	Sender  netip.Addr // who sent what FreeSWITCH logs just before; invalid if not proven
	Written time.Time  // when it was written, by the lines around it; zero: unknown
	// OwnSession tells that the session of the line wrote one before it, too.
	OwnSession bool
	Open       bool // the input ended too soon: more of it may change the doubt or the sender

	// disputable tells that an attacker may have caused a true line to be doubted. The
	// sender of what stands before it is not to be named then.
	disputable bool
}

// doubt records what speaks against the line.
func (s *Suspicion) doubt(d Doubt, against string, disputable bool) {
	s.Doubt, s.Against, s.disputable = d, against, disputable
}

// A Detector judges lines. It is not safe for concurrent use.
type Detector struct {
	lines.Splitter
	record.Clock
	Piece      int  // [PieceLength]; smaller in tests; 0: nothing is judged
	FindSender bool // of every line, not of doubted ones alone

	// Caller returns the address that an INVITE line of a session holds. The address is
	// invalid if the line is ambiguous. It reports false for any other line.
	Caller func(line string) (caller netip.Addr, ok bool)

	// Further reports whether a line is one that FreeSWITCH writes as a further line of a
	// message.
	Further func(line string) bool

	parseAll bool // in tests: no line is judged by the text of its stamp

	near []neighbour // the lines in the piece before the line that is judged
	far  []neighbour // the lines in more pieces, reused

	order order
}

// Judge compares a line that has a header with the lines around it.
//
// FreeSWITCH's clock goes in steps of about 20 ms at odd microseconds, which an
// attacker cannot see. An attacker who adds a line by a line break must guess the
// stamps of the lines around it. Only a line is judged that stands where an
// attacker's may, at most a piece behind a line of a session. It is compared only
// with lines that would be FreeSWITCH's own if it were:
//
//   - The next line, or of several the next one of a session. An attacker who wrote
//     that line wrote the judged one too, because an attacker's text follows upon a
//     line of a session.
//   - If an attacker wrote the next line, it may have made it fit. So lines that are
//     too far behind to be in the same piece count too; see [Detector.compareFar].
//   - The lines of sessions in the piece before it. An attacker may have written one
//     of them to have a true line doubted. It does not count if it contradicts the
//     next line too and that is of a session that is proven.
func (d *Detector) Judge(h *record.Header, c *LineContext) (s Suspicion) {
	d.near = d.linesBefore(c.Before, d.Piece, d.near[:0])
	own := record.UUID(c.Line)
	s.OwnSession = own != "" && slices.ContainsFunc(d.near, func(n neighbour) bool { return n.uuid == own })
	opening := d.opening(own)
	if opening == nil {
		if d.behindText() {
			d.inTrace(c, &s)
		}
		return s
	}
	next := d.next(own, c)
	s.Open = next.ended
	d.compare(h, own, &next, c, &s)
	switch {
	case opening.uuid != "":
	case record.IsTrace(opening.line):
		d.inTrace(c, &s)
	default:
		d.inLogin(c, &s)
	}
	if (s.Doubt == "" || s.disputable) && !d.FindSender {
		return s
	}
	var ended bool
	s.Sender, ended = d.sender(opening, c)
	s.Open = s.Open || ended
	return s
}

// opening returns the nearest line before, of another session than the judged line,
// that lines of an attacker may follow; nil if there is none.
func (d *Detector) opening(own string) *neighbour {
	for i := len(d.near) - 1; i >= 0; i-- {
		if n := &d.near[i]; n.uuid != "" && n.uuid != own || n.uuid == "" && isOpening(n.line) {
			return n
		}
	}
	return nil
}

// sender returns who sent what FreeSWITCH logs in the line that an attacker's would
// follow. A ban may follow, so a sender is named only if an attacker could
// not have caused another to be named. Inside a verto login and a packet of a SIP
// trace it could: they have any length, so the line that names a client may be the
// attacker's own.
func (d *Detector) sender(opening *neighbour, c *LineContext) (sender netip.Addr, ended bool) {
	if opening.uuid == "" {
		return netip.Addr{}, false
	}
	proven, ended := d.isProven(opening.uuid, c)
	if !proven {
		return netip.Addr{}, ended
	}
	return d.caller(opening.uuid, c), false
}

// caller returns the address that all INVITEs of a session came from.
func (d *Detector) caller(uuid string, c *LineContext) (caller netip.Addr) {
	for _, n := range d.farBefore(c, piecesBefore) {
		if n.uuid != uuid {
			continue
		}
		addr, ok := d.Caller(n.line)
		switch {
		case !ok:
		case !addr.IsValid(), caller.IsValid() && caller != addr:
			return netip.Addr{}
		default:
			caller = addr
		}
	}
	return caller
}

// isProven reports whether a session is one of FreeSWITCH's. An attacker does not
// know the UUID of a session. It can invent one, but lines with an invented UUID are
// in a piece that begins with a true one. So a line proves its session if no line of
// another session begins within a piece before it. Behind an opening, where pieces may
// be longer, nothing is proven. ended tells that more of the input may prove it.
func (d *Detector) isProven(uuid string, c *LineContext) (proven, ended bool) {
	lines := append(d.farBefore(c, piecesBefore/2), newNeighbour(0, c.Line))
	other, opened := lines[0].at, false
	look := func(n neighbour) bool {
		switch {
		case n.uuid != "" && n.uuid != uuid:
			other = n.at
		case n.uuid == uuid:
			proven = n.at-other > d.Piece
		default:
			opened = isOpening(n.line)
		}
		return !opened && !proven
	}
	for _, n := range lines {
		if !look(n) {
			return proven, false
		}
	}
	ended = d.linesBehind(c, d.Behind(), look)
	return proven, ended && !proven
}
