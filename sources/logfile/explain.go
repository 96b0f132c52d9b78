package logfile

import (
	"fmt"
	"strings"
	"time"

	"freeswitch-security/sources/logfile/carrier"
	"freeswitch-security/sources/logfile/record"
)

// Explain says how the source reads a line with the lines that follow it: its pattern
// and its fields, or why it is no event. It also names the lines that are taken for
// forgeries. All that comes from the input is escaped.
func (s *source) Explain(input string) string {
	e := explainer{decoder: s.newDecoder(nil, defaultSizes().maxLine, time.Time{})}
	input = e.unwrap(input)
	first, _, _ := strings.Cut(input, "\n")
	e.CRLF = strings.HasSuffix(first, "\r")
	line, rest := e.Cut([]byte(input))
	var r reading
	ok := e.read(line, rest, &r)
	switch {
	case e.TooLong(line):
		e.printf("No event: the line is longer than %d bytes and is not examined.\n", e.MaxLine)
	case r.Level == "":
		e.noHeader(line)
	default:
		e.header(line, &r)
		switch p := r.pattern; {
		case !ok:
			e.nearest(line[r.Message:], &r)
		case r.refused != "":
			e.printf("Refused as evidence: it matches the pattern %q for %s, but %s\n", p.Text, p.Event, r.refused)
		default:
			e.fields(line, &r)
		}
	}
	e.forgeries([]byte(input))
	return e.String()
}

// An explainer writes down what its decoder does.
type explainer struct {
	decoder
	strings.Builder
}

func (e *explainer) printf(format string, args ...any) { fmt.Fprintf(e, format, args...) }

// unwrap returns the input without its carrier, which it names.
func (e *explainer) unwrap(input string) string {
	c := carrier.Recognise([]byte(input))
	if c == nil {
		return input
	}
	e.printf("Carrier: %s\n", c.Name)
	e.setCarrier(c)
	f := chunkUnwrapper{Splitter: e.Splitter, carrier: c, others: e.others}
	plain, _ := f.plain([]byte(input))
	return string(plain)
}

func (e *explainer) noHeader(line string) {
	e.printf("No event: the line does not begin with FreeSWITCH's header at its first byte, \"2006-01-02 15:04:05.000000 [WARNING] file.c:1 \".\n")
	switch {
	case line == "":
	case line[0] == '\x1b':
		e.printf("It begins with an escape sequence (ESC), with which a console sets colours.\n")
	case line[0] == ' ', line[0] == '\t':
		e.printf("It begins with white space, as the second line of a folded SIP header does.\n")
	case line[0] < ' ':
		e.printf("It begins with the control character %q.\n", line[0])
	}
	if record.Begins(line) {
		e.printf("It begins a record that has no header: a dialplan trace, a SIP trace, or a further line of a session's message.\n")
	}
	if p := e.patterns.Like(line); p != nil && p.Level == record.Other {
		e.printf("Behind the prefix of syslog, its text would match the pattern %q for %s.\n", p.Text, p.Event)
	} else if p != nil {
		e.printf("Behind a header, its text would match the pattern %q for %s.\n", p.Text, p.Event)
	}
}

func (e *explainer) header(line string, r *reading) {
	stamp := "without a year: it gets that of the recording"
	if r.Stamp.Year != 0 {
		stamp = e.Time(r.Stamp).Format(time.RFC3339Nano)
	}
	e.printf("Header:  %q\n  time   %s\n  level  %s\n  file   %q\n", line[:r.Message], stamp, r.Level, r.File)
	e.printf("Message: %q\n", line[r.Message:])
}

func (e *explainer) fields(line string, r *reading) {
	ev := e.event(line, r)
	e.printf("Event:   %s, by the pattern %q\n", ev.Name, r.pattern.Text)
	ev.Explain(e, "level", "file", "message")
	if !ev.IP.IsValid() {
		e.printf("It has no address, so that no ban can follow from it alone.\n")
	}
}

// nearest names the pattern that the message comes closest to, and where they differ.
func (e *explainer) nearest(msg string, r *reading) {
	if p := e.patterns.Like(msg); p != nil {
		where := fmt.Sprintf("at level %s, not at %s", p.Level, r.Level)
		if p.File != "" && p.File != r.File {
			where = fmt.Sprintf("from %s, not from %q", p.File, r.File)
		}
		e.printf("No event: its text matches the pattern %q for %s, but that counts only %s.\n", p.Text, p.Event, where)
		return
	}
	p, at, missing := e.patterns.Nearest(msg)
	if p == nil {
		e.printf("No event: no pattern begins like it.\n")
		return
	}
	e.printf("No event. The nearest pattern is %q for %s;\n", p.Text, p.Event)
	if missing == "" {
		e.printf("its fixed text is there, but what is left at %q is no address, or more than the pattern has.\n", msg[at:])
		return
	}
	e.printf("it differs at %q, where %q must stand.\n", msg[at:], missing)
}

// forgeries says for each line that is taken for a forgery what speaks against it.
// That is known only if the lines around it were given too.
func (e *explainer) forgeries(input []byte) {
	if !e.detect {
		return
	}
	number := 0
	for rest := input; len(rest) > 0; {
		number++
		at := len(input) - len(rest)
		var line string
		line, rest = e.Cut(rest)
		f, found, _ := e.decode(line, rest)
		if !found || !f.event.IP.IsValid() {
			continue
		}
		c := contextOf(input, at, line, len(input)-len(rest))
		s := e.Judge(&f.Header, &c)
		if s.Doubt == "" {
			continue
		}
		e.printf("Line %d is taken for a forgery, not for %s: %s,\n  %q\n", number, f.event.Name, s.Doubt, s.Against)
		if s.Sender.IsValid() {
			e.printf("It was written by %s, whose request FreeSWITCH was logging there.\n", s.Sender)
		} else {
			e.printf("The given lines do not prove who wrote it.\n")
		}
	}
}
