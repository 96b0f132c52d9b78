package event

import (
	"net/netip"
	"strings"
	"time"
)

// Bounds of what is kept of a text that an attacker may have written, in bytes.
const (
	MaxField = 256
	MaxText  = 1024
)

// Event is one thing that happened at the switch. The zero value of a field
// means that the source did not tell it.
type Event struct {
	Time   time.Time  // the source's own stamp
	Name   string     // what happened: a word of the vocabulary, or of the source's own
	Source string     // who told it: "log.freeswitch"
	IP     netip.Addr // unmapped and without zone; invalid if no address was told
	Port   uint16

	User        string // the account that was tried
	Domain      string // the realm or host that the account belongs to
	Profile     string // the sofia profile
	Method      string // REGISTER, INVITE, …
	UserAgent   string
	CallID      string
	ToUser      string
	Destination string // the number that was dialled
	Transport   string // udp, tcp, tls, ws, wss
	Level       string // of the log line: WARNING, ERR, …
	File        string // FreeSWITCH's source file: sofia_reg.c
	Message     string // the log line without its header; bounded by MaxText

	// Repeat marks the second report of one attempt: rules skip it unless
	// they ask for it by name.
	Repeat bool

	// Sender is, of a line of a log that callers can write lines into, who sent
	// what the switch wrote about just before it: if the line is a forgery, he is
	// the forger. Invalid where the log does not tell.
	Sender netip.Addr

	// Fields holds what has no field of its own, by its raw name.
	Fields map[string]string

	// Text is the report as the source gave it, for people to read as
	// evidence; bounded by MaxText, not escaped.
	Text string
}

// Proven reports whether the switch had seen the password of the account when it
// reported the event. Else a caller may have written any name: whatever is done to an
// account that only a caller named is done to whom he chose.
func (e *Event) Proven() bool {
	switch e.Name {
	case AuthSuccess:
		return true
	case Registered:
		return e.Fields["authenticated"] == "true"
	case Call:
		return e.Fields["variable_sip_authorized"] == "true"
	}
	return false
}

// Bound cuts s to at most n bytes and copies what it keeps, so that an event
// never holds on to the block of input it was found in.
func Bound(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.Clone(s)
}
