package pattern

import (
	"slices"
	"strings"

	"freeswitch-security/engine/event"
	"freeswitch-security/sources/logfile/record"
)

// A Pattern is a compiled pasted message: literals with holes between them, which
// together cover the first line of a message.
type Pattern struct {
	Event string // the name of the event it makes
	File  string // the source file that must have written the line; "": any
	Level string // the level that the line must have; "": any of FreeSWITCH's
	Text  string // as written, without a pasted header

	Proven  bool // the peer sent it over a connection
	Further Set  // the further lines of the message

	lits  []string // one more than holes; only the first and the last may be empty
	holes []hole
	addr  int        // the hole that takes the address, or -1
	last  bool       // the message ends in the address, behind a blank
	sets  []constant // the values of <name:literal>
}

// A hole is a part of the message that varies.
type hole struct {
	name string
	at   func(*event.Event) *string // the text that it sets; nil: a raw field, an address or a port
	kind holeKind
	// foreign marks a hole whose text an attacker may have written. If a message can
	// be divided in several ways, it takes the longest text.
	foreign bool
}

type holeKind uint8

const (
	textHole     holeKind = iota // any text without a line break, also none
	addrHole                     // an address that event.ParseAddr reads
	addrPortHole                 // <ip>:<port>: the last ":digits" is the port
	portHole                     // a decimal number below 65536
)

// A constant is the value that a field has if the pattern matches.
type constant struct {
	name, value string
	at          func(*event.Event) *string // as in hole
}

// maxHoles bounds a pattern, so that a match needs no allocation.
const maxHoles = 16

// headerFields are the fields of an event that do not come from the message.
var headerFields = notFromMessage()

func notFromMessage() []string {
	names := []string{"event", "level", "file", "message", "answer", "proven", "nonce_ip", "repeat"}
	for _, f := range event.Fields {
		if !f.Settable && f.Name != "event" {
			names = append(names, f.Name)
		}
	}
	return names
}

// trustedFields are the fields whose text FreeSWITCH or its operator chose. An
// attacker cannot make them longer.
var trustedFields = []string{"profile", "method", "transport", "acl", "channel", "count", "filter", "version"}

// field returns the field of an event that a hole of this name sets; nil for a raw
// field.
func field(name string) *event.Field {
	if slices.Contains(headerFields, name) {
		return nil
	}
	return event.FieldNamed(name)
}

// holeNames are the fields of an event that a hole may set.
func holeNames() []string {
	return slices.DeleteFunc(slices.Clone(event.FieldNames), func(name string) bool { return slices.Contains(headerFields, name) })
}

// Fields returns the names of the fields of an event that the pattern sets, and those
// of its raw fields.
func (p *Pattern) Fields() (fields, raw []string) {
	add := func(name string) {
		if field(name) != nil {
			fields = append(fields, name)
		} else {
			raw = append(raw, name)
		}
	}
	for _, h := range p.holes {
		add(h.name)
		if h.kind == addrPortHole {
			add("port")
		}
	}
	for _, s := range p.sets {
		add(s.name)
	}
	if p.Proven {
		fields = append(fields, "proven")
	}
	return fields, raw
}

// HasAddress reports whether the pattern takes an address.
func (p *Pattern) HasAddress() bool { return p.addr >= 0 }

// Start is the literal that every message of the pattern begins with.
func (p *Pattern) Start() string { return p.lits[0] }

// Of reports whether a line with this header is one that the pattern may match.
func (p *Pattern) Of(file, level string) bool {
	return (p.File == "" || p.File == file) && (p.Level == level || p.Level == "" && level != record.Other)
}

// Fill sets the fields of an event from a match. text returns a bounded copy of a
// part of the message.
func (p *Pattern) Fill(e *event.Event, m *Match, text func(from, to int) string) {
	e.IP, e.Port, e.Proven = m.IP, m.Port, p.Proven
	for i, hole := range p.holes {
		if hole.kind == textHole {
			set(e, hole.name, hole.at, text(m.spans[i].from, m.spans[i].to))
		}
	}
	for _, c := range p.sets {
		set(e, c.name, c.at, c.value)
	}
}

// set sets a field to a text that is bounded already.
func set(e *event.Event, name string, at func(*event.Event) *string, value string) {
	if at != nil {
		*at(e) = value
		return
	}
	if e.Fields == nil {
		e.Fields = map[string]string{}
	}
	e.Fields[name] = value
}

// A Set is a list of patterns. Of several that match a message, the first names
// its event.
type Set []Pattern

// Like returns the first pattern that a message matches with any header, or nil.
func (s Set) Like(msg string) *Pattern {
	for i := range s {
		if s[i].Match(msg, &Match{}) != Differs {
			return &s[i]
		}
	}
	return nil
}

// Nearest returns the pattern that shares the most literal text with a message, and the
// place from which on they differ. p is nil if no pattern begins like the message.
// missing is the literal that is not there; "" if all are.
func (s Set) Nearest(msg string) (p *Pattern, at int, missing string) {
	most := 0
	for i := range s {
		if place, literal, lit := s[i].departure(msg); literal > most {
			most, p, at, missing = literal, &s[i], place, lit
		}
	}
	return p, at, missing
}

// departure returns where a message differs from the pattern, how many bytes of literals
// it has before, and the literal that is missing there.
func (p *Pattern) departure(msg string) (at, literal int, missing string) {
	first := p.lits[0]
	for at < len(first) && at < len(msg) && first[at] == msg[at] {
		at++
	}
	literal = at
	if at < len(first) {
		return at, literal, first[at:]
	}
	for _, lit := range p.lits[1:] {
		i := strings.Index(msg[at:], lit)
		if i < 0 {
			return at, literal, lit
		}
		at += i + len(lit)
		literal += len(lit)
	}
	return at, literal, ""
}
