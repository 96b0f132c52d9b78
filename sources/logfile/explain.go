package logfile

import (
	"fmt"
	"strings"
	"time"

	"freeswitch-security/engine/event"
)

// Explain says in words how the source reads a line, with the lines that follow
// it: which pattern it is of and what is taken from it, or why it is no event. Of
// the further lines it says which ones are taken for forgeries.
// Whatever the line holds is printed escaped.
func (s *source) Explain(input string) string {
	d := s.newDecoder(nil, defaultSizes().maxLine, time.Time{})
	first, _, _ := strings.Cut(input, "\n")
	d.crlf = strings.HasSuffix(first, "\r")
	line, rest := d.cut([]byte(input))
	var b strings.Builder
	switch h, ok := parseHeader(line); {
	case len(line) > d.maxLine:
		fmt.Fprintf(&b, "No event: the line is longer than %d bytes and is not looked at.\n", d.maxLine)
	case !ok:
		d.explainNoHeader(&b, line)
	default:
		d.explainHeader(&b, line, &h)
		d.explainMessage(&b, line, &h, rest)
	}
	d.explainForgeries(&b, []byte(input))
	return b.String()
}

func (d *decoder) explainNoHeader(b *strings.Builder, line string) {
	b.WriteString("No event: the line does not begin with FreeSWITCH's header at its first byte, \"2006-01-02 15:04:05.000000 [WARNING] file.c:1 \".\n")
	if line != "" && line[0] <= ' ' {
		b.WriteString("It begins with white space, as the second line of a folded SIP header does.\n")
	}
	if beginsRecord(line) {
		b.WriteString("It is the beginning of a record that has none: a dialplan trace, a SIP trace, or a further line of a session's message.\n")
	}
	for i := range d.patterns {
		if p := &d.patterns[i]; p.match(line, &match{}) == matches {
			fmt.Fprintf(b, "Behind a header, its text would be of the pattern %q for %s.\n", p.text, p.event)
			return
		}
	}
}

func (d *decoder) explainHeader(b *strings.Builder, line string, h *header) {
	stamp := "without a year: it takes that of the recording"
	if !d.needsYear(h.stamp) {
		stamp = d.time(h.stamp).Format(time.RFC3339Nano)
	}
	fmt.Fprintf(b, "Header:  %q\n  time   %s\n  level  %s\n  file   %q\n", line[:h.message], stamp, h.level, line[h.file.from:h.file.to])
	fmt.Fprintf(b, "Message: %q\n", line[h.message:])
}

func (d *decoder) explainMessage(b *strings.Builder, line string, h *header, rest []byte) {
	var m match
	msg := line[h.message:]
	p, v := d.find(line, h, &m)
	switch {
	case v == differs:
		d.explainNearest(b, line, h)
	case v == ambiguous:
		fmt.Fprintf(b, "Refused as evidence: it is of the pattern %q for %s, but with more than one address. Somebody wrote an address into one of its fields.\n", d.patterns[p].text, d.patterns[p].event)
	case h.mayBeCut(line):
		fmt.Fprintf(b, "Refused as evidence: it is of the pattern %q for %s, but so long that it may have been cut off, and its end is not FreeSWITCH's own.\n", d.patterns[p].text, d.patterns[p].event)
	case !d.explained(msg, rest, h.prefixed):
		fmt.Fprintf(b, "Refused as evidence: it is of the pattern %q for %s, but a line follows that FreeSWITCH does not write there. Somebody wrote a line break into one of its fields.\n", d.patterns[p].text, d.patterns[p].event)
	default:
		d.explainEvent(b, line, h, &d.patterns[p], &m)
	}
}

func (d *decoder) explainEvent(b *strings.Builder, line string, h *header, p *pattern, m *match) {
	e := d.event(line, h, p, m)
	fmt.Fprintf(b, "Event:   %s, by the pattern %q\n", e.Name, p.text)
	if e.IP.IsValid() {
		fmt.Fprintf(b, "  %-11s %s\n", "ip", e.IP)
	}
	if e.Port != 0 {
		fmt.Fprintf(b, "  %-11s %d\n", "port", e.Port)
	}
	for _, name := range event.FieldNames {
		if at, ok := textFields[name]; ok && *at(e) != "" {
			fmt.Fprintf(b, "  %-11s %q\n", name, *at(e))
		}
	}
	for _, name := range p.raw() {
		fmt.Fprintf(b, "  %-11s %q\n", name, e.Fields[name])
	}
	if !e.IP.IsValid() {
		b.WriteString("It bears no address, so that no ban can come of it alone.\n")
	}
}

// explainNearest names the pattern that the message comes closest to, and where
// it departs from it.
func (d *decoder) explainNearest(b *strings.Builder, line string, h *header) {
	msg, file := line[h.message:], line[h.file.from:h.file.to]
	for i := range d.patterns {
		p := &d.patterns[i]
		if p.match(msg, &match{}) == differs {
			continue
		}
		fmt.Fprintf(b, "No event: its text is of the pattern %q for %s, ", p.text, p.event)
		if p.file != "" && p.file != file {
			fmt.Fprintf(b, "but that counts only from %s, not from %q.\n", p.file, file)
		} else {
			fmt.Fprintf(b, "but that counts only at level %s, not at %s.\n", p.level, h.level)
		}
		return
	}
	var nearest *pattern
	most := reach{}
	for i := range d.patterns {
		if r := d.patterns[i].reach(msg); r.literal > most.literal {
			nearest, most = &d.patterns[i], r
		}
	}
	if nearest == nil {
		b.WriteString("No event: no pattern begins like it.\n")
		return
	}
	fmt.Fprintf(b, "No event. The nearest pattern is %q for %s;\n", nearest.text, nearest.event)
	if most.missing == "" {
		fmt.Fprintf(b, "its fixed text is there, but not as it must stand: what is left at %q is no address, or more than the pattern has.\n", msg[most.at:])
		return
	}
	fmt.Fprintf(b, "it departs from it at %q, where %q must stand.\n", msg[most.at:], most.missing)
}

// A reach is how far a message follows a pattern.
type reach struct {
	literal int    // how many bytes of fixed text were found
	at      int    // where the message departs
	missing string // the fixed text that was not found; "": all was
}

func (p *pattern) reach(msg string) reach {
	first, at := p.lits[0], 0
	for at < len(first) && at < len(msg) && first[at] == msg[at] {
		at++
	}
	if at < len(first) {
		return reach{at, at, first[at:]}
	}
	r := reach{literal: at, at: at}
	for _, lit := range p.lits[1:] {
		i := strings.Index(msg[r.at:], lit)
		if i < 0 {
			r.missing = lit
			return r
		}
		r.at += i + len(lit)
		r.literal += len(lit)
	}
	return r
}
