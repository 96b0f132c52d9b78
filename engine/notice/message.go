package notice

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/event"
)

// A Kind says what a notice is about. Others than these may follow: they are ignored.
type Kind uint8

const (
	Matched   Kind = 1 + iota // rules counted the event
	Fired                     // a rule fired at it, and counts from zero
	FiredKept                 // a rule fired at it, and the next match fires again
	Known                     // the switch reported a registration or a gateway
	Asked                     // the node asks for what is Known
)

// A Notice is one event of a node that concerns the others.
type Notice struct {
	Kind  Kind
	Rules []uint64     // of Matched, Fired and FiredKept: what they count, see rule.ID
	Event *event.Event // with the fields that the kind needs; without its node
}

// A Message is notices of one run of a node, in their order.
type Message struct {
	Run     uint64 // differs at every start of the node
	First   uint64 // the number of the first notice: they are numbered from 1
	Notices []Notice
}

// Bounds of a message.
const (
	MaxBytes   = 4 << 10
	maxNotices = 256
	maxRules   = 64
	maxFields  = 24
	maxName    = 64
)

// version is that of the form. A node refuses messages of others.
const version = 1

// errShort says that a message ends early.
var errShort = errors.New("the message ends early")

// appendNotice appends a notice with the named fields of its event, as far as they are set. A name
// that begins with "fields." is that of a raw field.
func appendNotice(b []byte, n Notice, fields []string) []byte {
	b = append(b, byte(n.Kind), byte(len(n.Rules)))
	for _, r := range n.Rules {
		b = binary.BigEndian.AppendUint64(b, r)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(n.Event.Time.UnixMicro()))
	count := len(b)
	b = append(b, 0)
	for _, name := range fields {
		if value := get(n.Event, name); value != "" && b[count] < maxFields {
			b = appendText(appendText(b, name), value)
			b[count]++
		}
	}
	return b
}

// raw begins the name of a raw field in a message.
const raw = "fields."

func get(ev *event.Event, name string) string {
	if key, is := strings.CutPrefix(name, raw); is {
		return ev.Fields[key]
	}
	if f := event.FieldNamed(name); f != nil {
		return f.Get(ev)
	}
	return ""
}

func appendText(b []byte, text string) []byte {
	text = text[:min(len(text), event.MaxField)]
	return append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
}

// Decode reads a message. All of it is refused if a part is out of bounds.
func Decode(b []byte) (m Message, err error) {
	if len(b) > MaxBytes {
		return m, fmt.Errorf("the message has %d bytes, more than %d", len(b), MaxBytes)
	}
	r := reader{b}
	if v := r.byte(); v != version && r.rest != nil {
		return m, fmt.Errorf("the message is of version %d: this node reads version %d; run the same version of the guard on all nodes", v, version)
	}
	m.Run, m.First = r.uint64(), r.uint64()
	for len(r.rest) > 0 {
		if len(m.Notices) == maxNotices {
			return Message{}, fmt.Errorf("the message has more than %d notices", maxNotices)
		}
		n, err := r.notice()
		if err != nil {
			return Message{}, err
		}
		m.Notices = append(m.Notices, n)
	}
	if r.rest == nil || len(m.Notices) == 0 || m.First == 0 || m.First+maxNotices < m.First {
		return Message{}, errShort
	}
	return m, nil
}

// A reader takes values off a message. Once it is short, rest is nil and all values are zero.
type reader struct{ rest []byte }

func (r *reader) take(n int) []byte {
	if r.rest == nil || len(r.rest) < n {
		r.rest = nil
		return make([]byte, min(n, 8))
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) byte() byte     { return r.take(1)[0] }
func (r *reader) uint64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

func (r *reader) text(longest int) (string, error) {
	n := int(binary.BigEndian.Uint16(r.take(2)))
	if n > longest {
		return "", fmt.Errorf("a text has %d bytes, more than %d", n, longest)
	}
	return string(r.take(n)), nil
}

func (r *reader) notice() (n Notice, err error) {
	n.Kind = Kind(r.byte())
	rules := int(r.byte())
	if rules > maxRules {
		return n, fmt.Errorf("a notice names %d rules, more than %d", rules, maxRules)
	}
	for range rules {
		id := r.uint64()
		if slices.Contains(n.Rules, id) && r.rest != nil {
			return n, errors.New("a notice names a rule twice, which would count it twice")
		}
		n.Rules = append(n.Rules, id)
	}
	stamp := int64(r.uint64())
	if stamp < 0 { // differences of such times would overflow
		return n, errors.New("an event is of before 1970")
	}
	n.Event = &event.Event{Time: time.UnixMicro(stamp).UTC()}
	fields := int(r.byte())
	if fields > maxFields {
		return n, fmt.Errorf("an event has %d fields, more than %d", fields, maxFields)
	}
	for range fields {
		name, err := r.text(maxName)
		if err != nil {
			return n, err
		}
		value, err := r.text(event.MaxField)
		if err != nil {
			return n, err
		}
		if r.rest == nil {
			return n, errShort
		}
		if key, is := strings.CutPrefix(name, raw); is {
			n.Event.SetRaw(key, value)
		} else if event.FieldNamed(name) != nil {
			err = n.Event.Restore(name, value)
		}
		if err != nil {
			return n, fmt.Errorf("field %s: %w", event.Printable(name), err)
		}
	}
	if r.rest == nil {
		return n, errShort
	}
	return n, nil
}
