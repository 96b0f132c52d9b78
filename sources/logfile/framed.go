package logfile

import (
	"strings"
	"time"

	"freeswitch-security/engine/event"
)

// Framed returns a reader of log messages that arrive one by one, as the event
// socket sends them (log/data): the header line and all further lines of one message,
// with or without a UUID in front and a line break at the end. The reader returns the
// event of a message by the built-in patterns, or nil. name becomes the event's
// Source, and stamps are read in zone.
//
// In a file, the end of a message is known only from the lines behind it, which an
// attacker may have written. Here the end of the frame is the end. A line that does not belong to
// the message is a line break that an attacker wrote into it, and the event is doubted:
// it is no evidence. So is that of a message that can be read with two addresses.
//
// The messages must come in their order, because the reader marks repeats. It is not
// safe for concurrent use.
func Framed(name string, zone *time.Location) func(message string) (e *event.Event, doubted bool) {
	s := &source{name: name, zone: zone, patterns: catalogue()}
	d := s.newDecoder(nil, defaultSizes().maxLine, time.Time{})
	var order ordered
	return func(message string) (*event.Event, bool) {
		line, rest, more := strings.Cut(strings.TrimSuffix(message, "\n"), "\n")
		var r reading
		if !d.read(line, nil, &r) || r.Stamp.Year == 0 {
			return nil, false
		}
		f := finding{event: d.event(line, &r), Header: r.Header, refused: r.refused == ambiguous}
		f.event.Time = d.Time(r.Stamp)
		want := expected(line[r.Message:])
		for further := range strings.SplitSeq(rest, "\n") {
			f.refused = f.refused || more && !takeFurther(&want, further)
		}
		if !f.refused {
			order.settle(&f)
		}
		return f.event, f.refused
	}
}
