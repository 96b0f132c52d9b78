package forgery

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"freeswitch-security/sources/logfile/record"
)

// An order is what is known of the order of a log's lines. It looks at each line once, so
// that most lines need not be judged.
type order struct {
	log    []byte
	starts []int // of the lines that were looked at, and of the next one
	line   int   // the index of the line that was asked about last
	since  int   // from here on the lines are in order
	last   moment
}

// A moment is the text of a stamp in the usual form, in numbers that compare as the text does.
// They overlap.
type moment struct{ date, hour, minute, second uint64 }

// momentOf returns the moment that a line shows at a place; ok is false if it has another form.
func momentOf(line []byte, at int) (m moment, ok bool) {
	if len(line) <= at+stampLength {
		return m, false
	}
	s := line[at : at+stampLength+1]
	if s[4] != '-' || s[10] != ' ' || s[19] != '.' || s[stampLength] != ' ' || !record.IsDigit(s[0]) {
		return m, false
	}
	number := binary.BigEndian.Uint64
	return moment{number(s), number(s[5:]), number(s[13:]), number(s[18:])}, true
}

// isBefore reports whether b is as late as m or later, in the same hour.
func (m *moment) isBefore(b *moment) bool {
	return m.date == b.date && m.hour == b.hour && (m.minute < b.minute || m.minute == b.minute && m.second <= b.second)
}

// Over prepares for lines of a log, which are asked about in their order; see [Detector.InOrder].
func (d *Detector) Over(log []byte) {
	d.order = order{log: log, starts: append(d.order.starts[:0], 0)}
}

// InOrder reports for certain that [Detector.Judge] finds nothing against the line at log[from:to]:
// all lines to compare it with are stamped in the order in which they stand, within an hour in which
// the zone's clocks run evenly, and no line is among them that text of an attacker may follow
// unless a session wrote it. It does not find the sender, nor whether the session of the line
// wrote one before it.
func (d *Detector) InOrder(h *record.Header, from int, line string, to int) bool {
	o := &d.order
	if d.FindSender || len(o.log)-to <= d.Behind() {
		return false
	}
	first := max(0, from-d.Piece)
	o.look(first, to+d.Behind())
	return o.since <= first && d.IsEven(h.Stamp) && d.fits(h, from, record.UUID(line))
}

// look looks at the lines from one place on that end before another.
func (o *order) look(from, to int) {
	next := o.starts[len(o.starts)-1]
	if next < from {
		i := bytes.IndexByte(o.log[from-1:], '\n')
		next = from + i
		o.starts, o.line, o.since, o.last = append(o.starts[:0], next), 0, from, moment{}
	}
	for next < to {
		length := bytes.IndexByte(o.log[next:], '\n')
		if length < 0 {
			length = len(o.log) - next - 1
		}
		o.add(next, o.log[next:next+length])
		next += length + 1
		o.starts = append(o.starts, next)
	}
}

// add looks at the line that begins at a place.
func (o *order) add(start int, line []byte) {
	text := unsafe.String(unsafe.SliceData(line), len(line))
	stamp := 0
	if record.UUID(text) != "" {
		stamp = len(record.UUID(text)) + 1
	}
	m, ok := momentOf(line, stamp)
	switch {
	case !ok && stamp > 0:
		if len(line) == stamp || !record.IsDigit(line[stamp]) {
			return // it has no header
		}
		o.since, o.last = start+1, moment{}
	case !ok || stamp == 0 && isVertoLogin(text):
		if _, ok := record.ParseHeader(text); ok || isOpening(text) {
			o.since, o.last = start+1, moment{}
		}
	case o.last == moment{}:
		o.last = m
	case !o.last.isBefore(&m):
		o.since, o.last = start, m
	default:
		o.last = m
	}
}

// fits reports whether the line before begins a record, and the nearest line of another session
// tells the same idle time.
func (d *Detector) fits(h *record.Header, from int, own string) bool {
	o := &d.order
	for o.starts[o.line] < from {
		o.line++
	}
	for i := o.line - 1; i >= 0 && o.starts[i] >= from-d.Piece; i-- {
		line := d.Line(o.log[o.starts[i] : o.starts[i+1]-1])
		if i == o.line-1 && !record.Begins(line) {
			return false
		}
		uuid := record.UUID(line)
		if uuid == "" || uuid == own {
			continue
		}
		if before, ok := record.ParseHeader(line); ok {
			return before.Idle == h.Idle
		}
	}
	return true
}
