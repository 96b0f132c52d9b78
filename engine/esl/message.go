package esl

import (
	"io"
	"strconv"

	"freeswitch-security/engine/regex"
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
	// Size is that of the frame, in bytes.
	Size int
}

// A decoder decodes the frames of one stream.
type decoder struct {
	wanted  *headerSet
	headers map[string]string // of the latest message; unused where all headers are wanted
	latest  map[string]string // values of wanted headers: most are those of the message before, of the same switch, profile or caller
}

// maxLatest bounds such a value, in bytes.
const maxLatest = 256

// newDecoder returns a decoder of the named headers; without names, of all.
func newDecoder(headers []string) *decoder {
	if len(headers) == 0 {
		return &decoder{}
	}
	return &decoder{wanted: newHeaderSet(headers), headers: map[string]string{}, latest: map[string]string{}}
}

// message decodes an event or log record. Its map is used again for the next one, unless all
// headers are wanted.
func (d *decoder) message(f *frame) (Message, bool) {
	if !f.kind.isReport() {
		return Message{}, false
	}
	m := Message{Headers: d.headers, Record: f.kind == kindRecord, Size: len(f.head) + len(f.body)}
	if d.wanted == nil {
		m.Headers = make(map[string]string, 32)
	}
	clear(d.headers)
	ok := f.each(d.wanted, func(name string, value []byte) {
		if name == bodyName {
			m.Body = string(value)
			return
		}
		m.Headers[name] = d.text(name, value)
	})
	return m, ok
}

// text returns the value of a header as a string, without a copy if it is the latest.
func (d *decoder) text(name string, value []byte) string {
	if d.wanted == nil || len(value) > maxLatest {
		return string(value)
	}
	text := d.latest[name]
	if text != string(value) {
		text = string(value)
		d.latest[name] = text
	}
	return text
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
var lostRecord = regex.New(`^[^]]*\] mod_event_socket\.c:\d+ (?:Killing listener because of too many lost (?:events|log lines)\. )?Lost \[(\d{1,9})\]`)

// Lost returns how many events or log records the switch says it could not queue
// for a listener, which may be another one.
func Lost(m Message) uint64 {
	if !m.Record || m.Headers["Log-File"] != "mod_event_socket.c" {
		return 0
	}
	found := lostRecord.Use().FindStringSubmatch(m.Body)
	if found == nil {
		return 0
	}
	n, _ := strconv.ParseUint(found[1], 10, 64)
	return n
}

// A Reader reads a recorded stream: the bytes that a switch sent on one connection,
// from any frame on.
type Reader struct {
	frames  *frames
	decoder *decoder
	skipped int64
}

// NewReader returns a reader of JSON events, plain events and log records, in any mix. It reads
// the named headers; without names, all.
func NewReader(r io.Reader, headers ...string) *Reader {
	return &Reader{frames: newFrames(r), decoder: newDecoder(headers)}
}

// Next returns the next event or log record. If headers were named, those of the message are
// valid until the next call. It skips replies and notices, and
// counts the frames that cannot be decoded. It returns io.EOF at the end, also in a
// frame; ErrProtocol where r is another kind of stream; and else the error of r.
func (r *Reader) Next() (Message, error) {
	for {
		f, err := r.frames.next()
		if err != nil && r.frames.ended(err) {
			return Message{}, io.EOF
		}
		if err != nil {
			return Message{}, err
		}
		if m, ok := r.decoder.message(&f); ok {
			return m, nil
		}
		if f.kind.isReport() {
			r.skipped++
		}
	}
}

// Skipped returns how many frames could not be decoded: events that are not a JSON
// object, and unknown content types.
func (r *Reader) Skipped() int64 { return r.skipped }

// Bytes returns how many bytes were read.
func (r *Reader) Bytes() int64 { return r.frames.tail.read }
