package logfile

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/sources/logfile/carrier"
	"freeswitch-security/sources/logfile/forgery"
	"freeswitch-security/sources/logfile/lines"
	"freeswitch-security/sources/logfile/pattern"
	"freeswitch-security/sources/logfile/record"
)

// A decoder turns lines into events, wherever the lines come from. It is not safe
// for concurrent use; decoders share their patterns.
type decoder struct {
	forgery.Detector
	source   string
	patterns *pattern.Index
	filter   *pattern.Filter // of the patterns in use; nil: the plan is used alone
	use      []use           // what the events of each pattern are for
	detect   bool            // a line that an attacker wrote becomes a log_forgery
	report   bool            // which is wanted
	others   bool            // lines without FreeSWITCH's header are looked at
	piece    int             // of a log whose lines can be compared
}

// newDecoder returns a decoder of a log that was last written to at modTime. want names
// the events to report; nil wants all.
func (s *source) newDecoder(want map[string]bool, maxLine int, modTime time.Time) decoder {
	d := decoder{
		Detector: forgery.Detector{
			Splitter:   lines.Splitter{MaxLine: maxLine},
			Clock:      record.Clock{Zone: s.zone, ModTime: modTime},
			FindSender: s.corroborate.Value != "",
			Caller:     inviteFrom,
			Further:    isFurther,
		},
		source: s.name, patterns: s.index(), use: s.uses(want),
		detect: s.detect, report: s.detect && (want == nil || want[event.LogForgery]),
		others: slices.ContainsFunc(s.patterns, func(p pattern.Pattern) bool { return !hasHeader(p) }),
	}
	if s.doubts() {
		d.piece = s.piece
	}
	d.setCarrier(nil)
	return d
}

// index returns the index of the patterns.
func (s *source) index() *pattern.Index {
	s.indexing.Do(func() { s.indexed = pattern.NewIndex(s.patterns) })
	return s.indexed
}

// setCarrier sets the carrier of the log; nil: it is plain.
func (d *decoder) setCarrier(c *carrier.Carrier) {
	d.Piece = d.piece
	if c != nil && !c.Compared {
		d.Piece = 0
	}
}

// use says what the events of a pattern are for.
type use uint8

const (
	unused    use = iota
	auxiliary     // they tell which other events are repeats, or matter if they are forged
	wanted        // they are reported
)

// A finding is an event and what is still open about it.
type finding struct {
	event *event.Event
	record.Header
	at     int  // where its line begins in the block
	wanted bool // it is reported
	open   bool // later lines may tell that it is forged

	// refused tells that it is no evidence of what it says. It may still be a forgery.
	refused bool
}

// uses says what each pattern is for if the named events are wanted. Only lines with
// an address are worth forging.
func (s *source) uses(want map[string]bool) []use {
	all := make([]use, len(s.patterns))
	for i := range s.patterns {
		p := &s.patterns[i]
		switch {
		case want == nil || want[p.Event]:
			all[i] = wanted
		case want[event.AuthFailure] && announces(p.Event), s.detect && want[event.LogForgery] && p.HasAddress():
			all[i] = auxiliary
		}
	}
	return all
}

// plan makes the plan to find lines of the patterns that are in use, and the filter if it pays to look at
// each line: if most lines are near one that is to be compared with them.
func (d *decoder) plan(sample []byte) *pattern.Plan {
	var used []*pattern.Pattern
	for i := range d.patterns.Set {
		if d.use[i] != unused {
			used = append(used, &d.patterns.Set[i])
		}
	}
	p := pattern.NewPlan(used, sample)
	sample = sample[:min(len(sample), pattern.SampleLength)]
	if d.filter = nil; d.Piece > 0 && len(p.Candidates(sample, 0, len(sample), nil))*(d.Piece+d.Behind()) > len(sample) {
		d.filter = pattern.NewFilter(used)
	}
	return p
}

// A reading is what a line says by the patterns.
type reading struct {
	record.Header
	pattern *pattern.Pattern
	use     use
	match   pattern.Match
	refused refusal
}

// A refusal says why a line that matches a pattern is no evidence; "" if it is.
type refusal string

const (
	ambiguous   refusal = "with more than one address. An attacker wrote an address into one of its fields."
	mayBeCut    refusal = "so long that it may have been cut off, so that its end may not be FreeSWITCH's own."
	hasSession  refusal = "with a session's UUID, which FreeSWITCH does not write there."
	isCarried   refusal = "behind the prefix of another program, which the log does not have. An attacker wrote it."
	isContinued refusal = "with a further line that FreeSWITCH does not write there. An attacker wrote a line break into one of its fields."
)

// read reads one line and the input behind it. It fails if no pattern in use matches.
func (d *decoder) read(line string, rest []byte, r *reading) (ok bool) {
	if d.TooLong(line) {
		return false
	}
	prefix := 0
	if r.Header, ok = record.ParseHeader(line); !ok {
		if prefix = carrier.PrefixLength(line); prefix == 0 {
			return false
		}
		r.Header, _ = record.ParseHeader(line[prefix:])
		r.Message += prefix
	}
	msg := line[r.Message:]
	i, v := d.patterns.Find(r.File, r.Level, msg, &r.match)
	if v == pattern.Differs || d.use[i] == unused {
		return false
	}
	r.pattern, r.use = &d.patterns.Set[i], d.use[i]
	switch {
	case v == pattern.Ambiguous:
		r.refused = ambiguous
	case r.MayBeCut(line):
		r.refused = mayBeCut
	case r.Session && d.Piece == 0 && hasNoSession(r.File):
		r.refused = hasSession
	case prefix > 0:
		r.refused = isCarried
	case bytes.HasPrefix(rest, []byte(carrier.CutOff)):
		r.refused = mayBeCut
	case !d.complete(msg, rest):
		r.refused = isContinued
	}
	return true
}

// decode makes a finding of one line and the input behind it. doubted reports a line
// that looks like a wanted event and is refused as evidence.
func (d *decoder) decode(line string, rest []byte) (f finding, found, doubted bool) {
	var r reading
	ok := d.read(line, rest, &r)
	refused := r.refused != ""
	if !ok || refused && !d.report {
		return finding{}, false, ok && r.use == wanted
	}
	f = finding{event: d.event(line, &r), Header: r.Header, wanted: r.use == wanted && !refused, refused: refused}
	f.event.Time = d.Time(r.Stamp)
	return f, true, refused && r.use == wanted
}

// hasNoSession reports whether FreeSWITCH writes no UUID in front of the lines of a
// source file, even about a call. If a profile uses Call-IDs as UUIDs
// (inbound-use-callid-as-uuid), an attacker knows its own, and a line with it is not
// compared with the others of its session. With another UUID it is.
func hasNoSession(file string) bool { return file == "sofia_reg.c" || file == "mod_event_socket.c" }

// complete reports whether every further line of a message is one that FreeSWITCH
// writes after the first line msg. Any other further line holds a line break that an
// attacker wrote, so that the first line is not what it seems. rest is the input
// behind the first line.
func (d *decoder) complete(msg string, rest []byte) bool {
	want := expected(msg)
	forged, last := false, ""
	for len(rest) > 0 {
		var line string
		finished := bytes.IndexByte(rest, '\n') >= 0
		line, rest = d.Cut(rest)
		if record.Begins(line) || !finished && record.MayBegin(line) || d.isDamage(line) {
			break
		}
		if isMirrorError(line) {
			continue
		}
		if forged = forged || !takeFurther(&want, line); d.TooLong(line) {
			return false
		}
		last = line
	}
	// The end of a message is FreeSWITCH's own. If it names the same address, nothing else
	// that an attacker wrote in between matters.
	return !forged || strings.Contains(msg, " from ") && strings.HasSuffix(last, msg[strings.LastIndex(msg, " from "):])
}

// isMirrorError reports whether FreeSWITCH's SIP library wrote a line because nothing listens
// where it mirrors packets. It has no header, and comes after every message meanwhile. An attacker
// cannot end a message with it: FreeSWITCH's own end, with an address, would follow.
func isMirrorError(line string) bool {
	reason, ok := strings.CutPrefix(line, "error: tport_logging: capture socket error: ")
	return ok && !strings.ContainsFunc(reason, func(r rune) bool { return r != ' ' && (r < 'A' || r > 'z') })
}

// isDamage reports whether a line is too long to be part of a message. A folded line
// of an attacker, however long, begins with white space.
func (d *decoder) isDamage(line string) bool {
	return d.TooLong(line) && line[0] != ' ' && line[0] != '\t'
}

// takeFurther takes the next expected further line. It fails if line is another.
func takeFurther(want *pattern.Set, line string) bool {
	if len(*want) == 0 || (*want)[0].Match(line, &pattern.Match{}) != pattern.Matches {
		return false
	}
	*want = (*want)[1:]
	return true
}

// judge compares a finding's line with the lines around it. If an attacker wrote the
// line, the event becomes a log_forgery. doubted reports that it looked like a wanted
// event.
func (d *decoder) judge(f *finding, c *forgery.LineContext) (doubted bool) {
	if !f.event.IP.IsValid() {
		return false
	}
	s := d.Judge(&f.Header, c)
	if s.OwnSession && hasNoSession(f.File) {
		doubted, f.wanted, f.refused = f.wanted, false, true
	}
	f.event.Sender, f.open = s.Sender, s.Open
	if s.Doubt == "" || !d.detect {
		return doubted
	}
	doubted = doubted || f.wanted
	f.event, f.wanted, f.refused = event.Forgery(f.event), d.report, false
	if !s.Written.IsZero() {
		f.event.Time = s.Written
	}
	return doubted
}

// event makes the event of a line. Its texts are parts of one copy of the line, so that
// it keeps nothing else in memory.
func (d *decoder) event(line string, r *reading) *event.Event {
	text := event.Bound(line, event.MaxText)
	part := func(from, to, bound int) string {
		if to <= len(text) && to-from <= bound {
			return text[from:to]
		}
		return event.Bound(line[from:to], bound)
	}
	e := &event.Event{
		Name: r.pattern.Event, Source: d.source, Level: r.Level, File: r.pattern.File, Text: text,
		Message: part(r.Message, len(line), event.MaxText),
	}
	if e.File != r.File {
		e.File = event.Bound(r.File, event.MaxField)
	}
	r.pattern.Fill(e, &r.match, func(from, to int) string { return part(r.Message+from, r.Message+to, event.MaxField) })
	return e
}

// inviteFrom returns the address that the INVITE line of a session holds; see
// [forgery.Detector].
func inviteFrom(line string) (caller netip.Addr, ok bool) {
	if !strings.Contains(line, " receiving invite from ") {
		return netip.Addr{}, false
	}
	h, _ := record.ParseHeader(line)
	var m pattern.Match
	_, v := invites().Find(h.File, h.Level, line[h.Message:], &m)
	if v == pattern.Ambiguous {
		m.IP = netip.Addr{}
	}
	return m.IP, v != pattern.Differs
}
