package esl

import (
	"regexp"
	"strconv"
)

// A Message is an event or a log record of the switch. Its texts are valid UTF-8:
// U+FFFD replaces each invalid byte.
type Message struct {
	// Headers are those of the event, unescaped and with FreeSWITCH's spelling. The
	// last of several values counts; arrays are left out. A log record has Log-Level,
	// Log-File, Log-Func, Log-Line, User-Data and Text-Channel.
	Headers map[string]string
	// Body is that of an event, or the text of a log record: all lines of one
	// message, without the last line break.
	Body string
	// Record marks a log record.
	Record bool
}

// message decodes an event or log record.
func (f *frame) message() (Message, bool) {
	if !f.kind.isReport() {
		return Message{}, false
	}
	m := Message{Headers: make(map[string]string, 32), Record: f.kind == kindRecord}
	ok := f.each(func(name, value []byte) {
		if string(name) == bodyName {
			m.Body = string(value)
			return
		}
		m.Headers[string(name)] = string(value)
	})
	return m, ok
}

// Name returns the name of an event, or the subclass of a CUSTOM event:
// "HEARTBEAT", "sofia::register_failure". A log record has none.
func (m *Message) Name() string {
	if name := m.Headers["Event-Name"]; m.Record || name != "CUSTOM" {
		return name
	}
	return m.Headers["Event-Subclass"]
}

// lostRecord is how the switch reports, in a log record, the sum of what it could
// not queue for a listener. It reports each single loss as well ("Event enqueue
// ERROR"), which does not count.
var lostRecord = regexp.MustCompile(`^[^]]*\] mod_event_socket\.c:\d+ (?:Killing listener because of too many lost (?:events|log lines)\. )?Lost \[(\d{1,9})\]`)

// Lost returns how many events or log records the switch says it could not queue
// for a listener, which may be another one.
func Lost(m Message) uint64 {
	if !m.Record || m.Headers["Log-File"] != "mod_event_socket.c" {
		return 0
	}
	found := lostRecord.FindStringSubmatch(m.Body)
	if found == nil {
		return 0
	}
	n, _ := strconv.ParseUint(found[1], 10, 64)
	return n
}
