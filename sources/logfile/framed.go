package logfile

import (
	"strings"
	"time"

	"freeswitch-security/engine/event"
)

// Framed returns a reader of log messages that come one by one, as the event
// socket sends them (log/data): a header line and all further lines of one
// message, with or without a UUID before it and a line break behind it. It gives
// the event that the built-in patterns make of a message, with source for its
// Source and stamps read in zone, and nil where a message is none.
//
// Where a message of a file ends is only known from the lines behind it, which a
// caller may have written. Here the frame says it: a line that does not belong to
// the message, whatever it looks like, is a line break that somebody wrote into
// it, and the message is refused. So is one that could name two addresses.
//
// The reader is to be given the messages in their order, by one goroutine at a
// time: it marks repeats as the log's own events are marked.
func Framed(source string, zone *time.Location) func(message string) *event.Event {
	d := builtinDecoder(source, zone)
	var order ordered
	return func(message string) *event.Event {
		f, ok := d.framed(message)
		if !ok {
			return nil
		}
		order.unfold(&f)
		order.mark(f.event)
		return f.event
	}
}

func builtinDecoder(name string, zone *time.Location) decoder {
	s := source{name: name, zone: zone, patterns: catalogue()}
	return s.newDecoder(nil, defaultSizes().maxLine, time.Time{})
}

// framed decodes one whole message.
func (d *decoder) framed(message string) (finding, bool) {
	line, rest, more := strings.Cut(strings.TrimSuffix(message, "\n"), "\n")
	h, ok := parseHeader(line)
	if !ok || len(line) > d.maxLine || d.needsYear(h.stamp) {
		return finding{}, false
	}
	var m match
	p, v := d.find(line, &h, &m)
	if v != matches || more && !areFurther(line[h.message:], rest) {
		return finding{}, false
	}
	f := finding{event: d.event(line, &h, &d.patterns[p], &m), header: h}
	f.event.Time = d.time(h.stamp)
	return f, true
}

// areFurther reports whether the lines in rest are those that FreeSWITCH writes
// after a message's first line msg, or the first of them.
func areFurther(msg, rest string) bool {
	want := expected(msg)
	for line := range strings.SplitSeq(rest, "\n") {
		if len(want) == 0 || want[0].match(line, &match{}) != matches {
			return false
		}
		want = want[1:]
	}
	return true
}
