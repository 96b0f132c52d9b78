package esl

import (
	"strconv"
	"strings"
)

// A Message is one thing that the switch reported: an event, or a record of its
// log. The reader keeps nothing of it. All of it is UTF-8: a byte that was not is
// U+FFFD.
type Message struct {
	// Headers are the event's own, in FreeSWITCH's spelling and unescaped. Of a
	// name that stands there twice the last one counts; an array is left out. A
	// log record has Log-Level, Log-File, Log-Func, Log-Line, User-Data and
	// Text-Channel.
	Headers map[string]string
	// Body is an event's body, and the text of a log record: all lines of one
	// message, without the last line break.
	Body string
	// Record says that this is a log record.
	Record bool
}

// Name is the event's name, "" for a log record: "HEARTBEAT", or for an event of
// its own kind the subclass, "sofia::register_failure".
func (m *Message) Name() string {
	if m.Record {
		return ""
	}
	if name := m.Headers["Event-Name"]; name != "CUSTOM" {
		return name
	}
	return m.Headers["Event-Subclass"]
}

// Lost returns how many events or log records the switch says, in a record of its
// log, that it could not queue for a listener; the listener may be another one. A
// switch reports every single loss ("Event enqueue ERROR"), and then their sum:
// only the sum counts.
func Lost(m Message) int64 {
	if !m.Record || m.Headers["Log-File"] != "mod_event_socket.c" {
		return 0
	}
	_, rest, _ := strings.Cut(m.Body, "mod_event_socket.c:")
	_, text, _ := strings.Cut(rest, " ")
	for _, start := range []string{
		"Lost [",
		"Killing listener because of too many lost events. Lost [",
		"Killing listener because of too many lost log lines. Lost [",
	} {
		if after, ok := strings.CutPrefix(text, start); ok {
			digits, _, _ := strings.Cut(after, "]")
			n, err := strconv.ParseInt(digits, 10, 32)
			if err != nil || n < 0 {
				return 0
			}
			return n
		}
	}
	return 0
}
