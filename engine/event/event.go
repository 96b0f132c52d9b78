package event

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Bounds of a text that an attacker may have written, in bytes.
const (
	MaxField = 256
	MaxText  = 1024
)

// Event is one thing that happened at the switch. A field with its zero value was
// not reported.
//
// [Fields] documents the fields that have a name in rules.
type Event struct {
	Time   time.Time
	Name   string
	Source string
	Node   string     // of a fleet, which reported it; "": this one. The engine sets it
	IP     netip.Addr // unmapped and without zone; invalid if not reported
	Place             // of IP. The configuration fills it in, as far as a rule uses it

	User        string
	Domain      string
	Profile     string
	Method      string
	UserAgent   string
	CallID      string
	UUID        string
	ToUser      string
	Destination string
	Transport   string
	Level       string
	File        string
	Message     string

	// Where the call goes, read by the site's numbering plan, and when, in its zone. The
	// configuration fills them in, as far as a rule uses them. Hour means nothing without Weekday.
	DestinationNumber  string // E.164: +49301234567
	DestinationCountry string // ISO 3166: DE; 001 for international networks
	DestinationType    string // one of DestinationTypes
	DestinationTail    string // the last digits of Destination
	DestinationStart   string // its first two characters
	Weekday            string // one of Weekdays
	Abroad             bool   // of another country than the site, and not toll-free
	Hour               uint8  // 0 to 23
	Night              bool

	// Proven is set if the peer is at IP: it sent the report over a connection, or it used
	// what the switch had sent to that address. The sender of any other datagram may be forged.
	Proven bool

	// Repeat marks a further report of one attempt. A rule skips it unless its expression
	// names the field, or names answer and the event has one.
	Repeat bool

	// Live marks a report that was read as soon as it was written: it has just happened,
	// whatever Time says.
	Live   bool
	Answer uint16 // the code of the SIP answer: 401
	Port   uint16

	// The engine sets these from the history of the account, if a rule uses one of them: see
	// package accounts.
	NewNetwork     bool
	NewDestination bool
	Guessed        bool
	HistoryDays    uint16

	Shifted time.Duration // what the engine added to the source's stamp to get Time

	// NonceIP is the address to which the switch sent the nonce of the credentials.
	NonceIP netip.Addr

	// Fields holds the raw fields: everything without a field of its own.
	Fields map[string]string

	// Sender is the caller whose text stands next to this line in a log that
	// callers can write to. If the line is forged, the sender forged it. Invalid
	// where the log does not tell.
	Sender netip.Addr

	// Text is the original report, kept as evidence. It is bounded by MaxText and
	// not escaped.
	Text string
}

// A Place is where an address is, as databases say. A text is "" if they do not.
type Place struct {
	Country string `json:"country,omitempty"` // ISO 3166: DE
	ASN     string `json:"asn,omitempty"`     // the number of its network (autonomous system): AS64500
	ASName  string `json:"asName,omitempty"`  // the name of that, as its owner chose it
}

// Verified reports whether the switch had verified the account's password when it
// reported the event. Otherwise the attacker may have chosen the account, and with
// it the victim of whatever is done to that account. A phone may register another account than that
// of its password.
func (e *Event) Verified() bool {
	switch e.Name {
	case AuthSuccess:
		return true
	case Registered:
		by, shown := e.Fields["username"]
		return e.Fields["authenticated"] == "true" && (!shown || Fold(by) == Fold(e.User))
	case Call, CallAnswered:
		return e.Fields["variable_sip_authorized"] == "true" && e.Fields["authenticated"] != "false"
	}
	return false
}

// VerifiedEvents are the names of the events that can be [Event.Verified].
var VerifiedEvents = []string{AuthSuccess, Registered, Call, CallAnswered}

// Peer returns where the packet came from that caused the report; the zero AddrPort if that is not
// known, or no packet of the address did: the switch lists registrations and ends them, and calls, by itself, and a
// gateway's address is the one that the switch uses. Credentials count where their nonce was sent,
// and the packet came from its sender. The port is 0 if it is not known.
func (e *Event) Peer() netip.AddrPort {
	switch {
	case e.Name == Unregistered, e.Name == Registered && e.Repeat, e.Name == CallEnded, e.Name == Gateway, e.Name == GatewayRemoved, e.Name == Listed:
		return netip.AddrPort{}
	case e.NonceIP.IsValid() && e.Fields["sender"] != "":
		sender, _, _ := ParseAddr(e.Fields["sender"])
		return netip.AddrPortFrom(sender, 0)
	}
	return netip.AddrPortFrom(e.IP, e.Port)
}

// From returns the source with its node: "log.freeswitch", "sbc2/log.freeswitch".
func (e *Event) From() string {
	if e.Node == "" {
		return e.Source
	}
	return e.Node + "/" + e.Source
}

// Printable bounds a text that an attacker may have written, and escapes it if it has a
// character that is not printable.
func Printable(s string) string {
	s = s[:min(len(s), MaxField)]
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return s // in a tenth of the time
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }) {
		quoted := strconv.Quote(s)
		return quoted[1 : len(quoted)-1]
	}
	return s
}

// Bound cuts s to at most n bytes and copies the result, so that an event does not
// retain the input block it was found in.
func Bound(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.Clone(s)
}
