package logfile

import (
	"time"

	"freeswitch-security/engine/event"
)

// A decoder turns lines into events. It is not safe for use by several
// goroutines; they share the patterns and each have their own.
type decoder struct {
	limits
	clock
	source   string
	patterns []pattern
	use      []use       // what is done with the events of each pattern
	doubts               // what is done about lines that a caller may have written
	near     []neighbour // of the line that is judged: those in the piece before it
	far      []neighbour // and those in more pieces
}

// doubts says what is done about lines that a caller may have written.
type doubts struct {
	detect      bool // they become log_forgery
	report      bool // which is handed on
	corroborate bool // every event needs its sender
}

func (s *source) doubtsFor(want map[string]bool) doubts {
	return doubts{
		detect:      s.detect,
		report:      s.detect && (want == nil || want[event.LogForgery]),
		corroborate: s.witness.ref != "",
	}
}

// newDecoder makes a decoder of a log that was last written to at modTime, zero if
// that is not known.
func (s *source) newDecoder(want map[string]bool, maxLine int, modTime time.Time) decoder {
	d := decoder{
		limits: limits{maxLine: maxLine}, clock: clock{zone: s.zone, modTime: modTime},
		source: s.name, patterns: s.patterns, use: s.uses(want), doubts: s.doubtsFor(want),
	}
	if s.doubts() {
		d.piece = s.piece
	}
	return d
}

// use says what the events of a pattern are good for in a replay.
type use uint8

const (
	unused    use = iota // nobody asked for them
	suspected            // they only matter if they are forged
	auxiliary            // they only tell which other events are repeats
	wanted               // they are handed on
)

// A finding is an event and what must still be settled in the order of the log.
type finding struct {
	event *event.Event
	header
	at     int // where its line begins in the block
	wanted bool
	dated  bool // the event has its time; if not, its line tells no year, and a line before it must
	open   bool // lines that are not there yet may tell that it is forged

	// refused tells that it is no evidence of what it says. It may be one of who
	// forged it, and is nothing otherwise.
	refused bool
}

// uses tells what each pattern is good for when the named events are wanted; nil
// wants all. Only lines with an address are worth forging.
func (s *source) uses(want map[string]bool) []use {
	all := make([]use, len(s.patterns))
	for i, p := range s.patterns {
		switch {
		case want == nil || want[p.event]:
			all[i] = wanted
		case want[event.AuthFailure] && (p.event == event.UnknownUser || p.event == event.ACLReject):
			all[i] = auxiliary
		case s.detect && want[event.LogForgery] && p.addr >= 0:
			all[i] = suspected
		}
	}
	return all
}

// decode reads one line and the input behind it. doubted reports a line that
// looked like a wanted event and is refused as evidence; what it found is to be
// judged then.
func (d *decoder) decode(line string, rest []byte) (f finding, found, doubted bool) {
	if len(line) > d.maxLine {
		return finding{}, false, false
	}
	h, ok := parseHeader(line)
	if !ok {
		return finding{}, false, false
	}
	var m match
	p, v := d.find(line, &h, &m)
	if v == differs || d.use[p] == unused {
		return finding{}, false, false
	}
	refused := v == ambiguous || h.mayBeCut(line) || h.session && isOfNoSession(line[h.file.from:h.file.to]) || !d.explained(line[h.message:], rest, h.prefixed)
	if refused && !d.report {
		return finding{}, false, d.use[p] == wanted
	}
	f = finding{event: d.event(line, &h, &d.patterns[p], &m), header: h, wanted: d.use[p] == wanted && !refused, refused: refused}
	if !d.needsYear(h.stamp) {
		f.event.Time, f.dated = d.time(h.stamp), true
	}
	return f, true, refused && d.use[p] == wanted
}

// isOfNoSession reports whether FreeSWITCH writes no UUID in front of the lines of a
// source file, even about a call. Where a profile takes Call-IDs for UUIDs
// (inbound-use-callid-as-uuid), a caller knows his own, and a line with it would not
// be compared with the others of his session.
func isOfNoSession(file string) bool { return file == "sofia_reg.c" || file == "mod_event_socket.c" }

// judge looks at what stands around a finding's line. If that says that a caller
// wrote it, the event becomes that of a forgery; doubted tells that it looked like
// a wanted one.
func (d *decoder) judge(f *finding, v *vicinity) (doubted bool) {
	if !f.event.IP.IsValid() {
		return false
	}
	s := d.suspect(&f.header, v)
	f.event.Sender, f.open = s.sender, s.open
	if s.doubt == noDoubt || !d.detect {
		return false
	}
	doubted = f.wanted
	f.event, f.wanted, f.refused = s.forged(f.event), d.report, false
	f.dated = f.dated || !f.event.Time.IsZero()
	return doubted
}

// settle dates a finding whose line told no year; with year 0 it stays without.
func (c *clock) settle(f *finding, year int) {
	if f.dated || year == 0 {
		return
	}
	f.stamp.year = year
	f.event.Time, f.dated = c.time(f.stamp), true
}

// find gives the first pattern that the line is of. The others are looked at as
// well: where one of them reads another address, it is open which of the two
// readings is FreeSWITCH's. A caller without a name in his From header, for one,
// could otherwise have the pattern with <user>@<domain> match, beginning with an @
// in his call-id.
func (d *decoder) find(line string, h *header, m *match) (index int, v verdict) {
	msg, file := line[h.message:], line[h.file.from:h.file.to]
	var other match
	for i := range d.patterns {
		p := &d.patterns[i]
		if p.file != "" && p.file != file || p.level != "" && p.level != h.level {
			continue
		}
		switch w := p.match(msg, &other); {
		case w == differs:
		case v == differs:
			index, v, *m = i, w, other
		case w == ambiguous, m.ip.IsValid() && other.ip.IsValid() && m.ip != other.ip:
			return index, ambiguous
		}
	}
	return index, v
}

// event makes the event of a line that matched. Its texts are parts of one copy
// of the line, so that it holds on to nothing else.
func (d *decoder) event(line string, h *header, p *pattern, m *match) *event.Event {
	text := event.Bound(line, event.MaxText)
	e := &event.Event{
		Name: p.event, Source: d.source, IP: m.ip, Port: m.port,
		Level: h.level, Text: text,
	}
	part := func(s span, bound int) string {
		if s.to <= len(text) && s.to-s.from <= bound {
			return text[s.from:s.to]
		}
		return event.Bound(line[s.from:s.to], bound)
	}
	e.Message = part(span{h.message, len(line)}, event.MaxText)
	e.File = part(h.file, event.MaxField)
	for i, hole := range p.holes {
		if hole.kind == textHole {
			s := m.spans[i]
			set(e, hole.name, part(span{s.from + h.message, s.to + h.message}, event.MaxField))
		}
	}
	for _, c := range p.sets {
		set(e, c.name, c.value)
	}
	return e
}

// set gives the named text of the event a value that is bounded already.
func set(e *event.Event, name, value string) {
	if at, known := textFields[name]; known {
		*at(e) = value
		return
	}
	if e.Fields == nil {
		e.Fields = map[string]string{}
	}
	e.Fields[name] = value
}
