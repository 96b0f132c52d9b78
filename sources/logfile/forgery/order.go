package forgery

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"freeswitch-security/sources/logfile/record"
)

// An order is what is known of the order of a log's lines. Each line is looked at once, so
// that most lines need not be judged.
type order struct {
	log    []byte
	starts []int // of the lines that were looked at
	end    int   // of these lines
	breaks []int // a line that begins before such a place is not in order with those from it on
	last   moment

	line, next int // the line that was asked about last, and the first break that matters to it
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
	if s[4] != '-' || s[10] != ' ' || s[19] != '.' || s[stampLength] != ' ' || !record.IsDigit(s[0]) || !record.IsDigit(s[21]) || !record.IsDigit(s[25]) {
		return m, false
	}
	return moment{
		binary.BigEndian.Uint64(s), binary.BigEndian.Uint64(s[5:]), binary.BigEndian.Uint64(s[13:]), binary.BigEndian.Uint64(s[18:]),
	}, true
}

// isBefore reports whether b is as late as m or later, in the same hour.
func (m *moment) isBefore(b *moment) bool {
	return m.date == b.date && m.hour == b.hour && (m.minute < b.minute || m.minute == b.minute && m.second <= b.second)
}

// Over prepares for a log. [Detector.InOrder] may be called then, with lines in their order.
func (d *Detector) Over(log []byte) {
	d.order = order{log: log, starts: d.order.starts[:0], breaks: d.order.breaks[:0], end: -1}
}

// Look adds the lines between two places, as far as they were not added. Lines that were left out are
// only those that were never added before.
func (d *Detector) Look(from, to int) {
	o := &d.order
	if from = max(0, from); o.end < from {
		start := from
		if from > 0 {
			start += bytes.IndexByte(o.log[from-1:], '\n')
		}
		*o = order{log: o.log, starts: o.starts[:0], breaks: o.breaks[:0], end: start}
	}
	for o.end < to {
		length := bytes.IndexByte(o.log[o.end:], '\n')
		if length < 0 {
			length = len(o.log) - o.end
		}
		d.Add(o.log[o.end : o.end+length])
	}
}

// Add looks at the line behind those that were looked at. known tells that the line begins as those of a
// session, so that it has no carrier; header is where its header goes on behind a stamp in the usual
// form, 0 if it has no header.
func (d *Detector) Add(line []byte) (header int, known bool) {
	o := &d.order
	start := o.end
	o.starts, o.end = append(o.starts, start), start+len(line)+1
	text := unsafe.String(unsafe.SliceData(line), len(line))
	stamp := 0
	if uuid := record.UUID(text); uuid != "" {
		stamp = len(uuid) + 1
	}
	m, ok := momentOf(line, stamp)
	switch {
	case stamp > 0 && !ok:
		if len(line) > stamp && record.IsDigit(line[stamp]) { // it may have a header
			o.breakBehind(start)
			return 0, false
		}
		return 0, record.IsSessions(text)
	case stamp == 0 && (!ok || isVertoLogin(text)):
		if _, ok := record.ParseHeader(text); ok || isOpening(text) {
			o.breakBehind(start)
		}
		return 0, false
	case o.last.date > 0 && !o.last.isBefore(&m):
		o.breaks = append(o.breaks, start)
	}
	o.last = m
	return stamp + stampLength, stamp > 0 && record.IsSessions(text)
}

// breakBehind notes that nothing is in order with the line that begins at a place.
func (o *order) breakBehind(start int) {
	o.breaks, o.last = append(o.breaks, start+1), moment{}
}

// InOrder reports for certain that [Detector.Judge] finds nothing against the line at log[from:to]:
// all lines to compare it with are stamped in the order in which they stand, within an hour in which
// the zone's clocks run evenly, and no line is among them that text of an attacker may follow
// unless a session wrote it. It does not tell whether the session of the line wrote one before it.
func (d *Detector) InOrder(h *record.Header, from int, line string, to int) bool {
	o := &d.order
	if d.FindSender || len(o.log)-to <= d.Behind() {
		return false
	}
	first := max(0, from-d.Piece)
	d.Look(first, to+d.Behind())
	for o.next < len(o.breaks) && o.breaks[o.next] <= first {
		o.next++
	}
	if o.next < len(o.breaks) && o.breaks[o.next] <= to+d.Behind() {
		return false
	}
	return d.IsEven(h.Stamp) && d.fits(h, from, record.UUID(line))
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
		before, ok := record.ParseHeader(line)
		if i == o.line-1 && !ok && !record.Begins(line) {
			return false
		}
		if uuid := record.UUID(line); ok && uuid != "" && uuid != own {
			return before.Idle == h.Idle
		}
	}
	return true
}
