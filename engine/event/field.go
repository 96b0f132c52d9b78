package event

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Kind is the type of a field's value.
type Kind string

// The kinds of fields.
const (
	Text    Kind = "text"
	Address Kind = "address"
	Number  Kind = "number"
	Flag    Kind = "true or false"
	Time    Kind = "time"
	Map     Kind = "map of texts"
)

// A Field is a named part of an event.
type Field struct {
	Name  string // in rules, tests, patterns and the API
	Doc   string
	Kind  Kind
	Bound int // bytes kept of a text

	// At returns the place of a text in an event. Flag, Number and Addr return the value of a field of
	// their kind. All others are nil.
	At     func(*Event) *string
	Flag   func(*Event) bool
	Number func(*Event) int
	Addr   func(*Event) netip.Addr

	// NoKey says why `per` and `distinct` refuse the field. It is empty for a
	// field that they accept.
	NoKey string

	// Folded is set if the field names an account or a domain: values are counted as the same
	// if [Fold] makes them equal.
	Folded bool

	// Private is set if the field holds an account or what was dialled, or texts with them.
	Private bool

	// Values are all that the field can have; nil: any.
	Values []string

	// Settable is false for a field that the engine sets, not a report.
	Settable bool

	// Needs is the attribute of the geoip block without which the engine does not set the field; "": none.
	// The tests of rules set such a field.
	Needs string

	set func(*Event, string) error // of a kind other than Text
}

// Fields is the table of all fields, in the order of the documentation. A new
// field is a line of [Event] and a row here.
var Fields = []Field{
	text("event", "what happened: a name of the vocabulary or of the source", func(e *Event) *string { return &e.Name }),
	{Name: "source", Doc: "the source that reported it: log.freeswitch", Kind: Text, Bound: MaxField,
		At: func(e *Event) *string { return &e.Source }, NoKey: "every source has windows of its own"},
	{Name: "time", Doc: "when it happened: the stamp of the source, corrected if its clock is wrong", Kind: Time, NoKey: "it is different in nearly every event"},
	{Name: "ip", Doc: "the peer's address", Kind: Address, Settable: true, Addr: func(e *Event) netip.Addr { return e.IP }, set: setAddress},
	{Name: "port", Doc: "the peer's port", Kind: Number, Settable: true, Number: func(e *Event) int { return int(e.Port) }, set: setPort},
	located("country", "where the address is, by a database: DE", "country", func(e *Event) *string { return &e.Country }),
	located("asn", "the number of the network that the address belongs to: AS64500", "asn", func(e *Event) *string { return &e.ASN }),
	located("as_name", "the name of that network, as its owner chose it", "asn", func(e *Event) *string { return &e.ASName }),
	folded("user", "the account that was tried", func(e *Event) *string { return &e.User }),
	folded("domain", "the realm or host of the account", func(e *Event) *string { return &e.Domain }),
	text("profile", "the sofia profile", func(e *Event) *string { return &e.Profile }),
	text("method", "the SIP method: REGISTER, INVITE", func(e *Event) *string { return &e.Method }),
	text("user_agent", "the SIP software of the peer, as it names itself", func(e *Event) *string { return &e.UserAgent }),
	text("call_id", "the SIP Call-ID", func(e *Event) *string { return &e.CallID }),
	{Name: "uuid", Doc: "the switch's name of the call", Kind: Text, Bound: MaxField, Settable: true,
		At: func(e *Event) *string { return &e.UUID }, NoKey: "every call has one of its own"},
	folded("to_user", "the user in the To header", func(e *Event) *string { return &e.ToUser }),
	private(text("destination", "the number that was dialled", func(e *Event) *string { return &e.Destination })),
	private(derived("destination_number", "the number that is called, of a verified account: +49301234567", func(e *Event) *string { return &e.DestinationNumber }, nil)),
	derived("destination_country", "its country: DE; 001: an international network", func(e *Event) *string { return &e.DestinationCountry }, nil),
	derived("destination_type", "its type: "+strings.Join(DestinationTypes, ", "), func(e *Event) *string { return &e.DestinationType }, DestinationTypes),
	private(derived("destination_tail", "the last nine digits of what was dialled, whatever stands before them", func(e *Event) *string { return &e.DestinationTail }, nil)),
	derived("destination_start", "the first two characters of what was dialled", func(e *Event) *string { return &e.DestinationStart }, nil),
	derivedFlag("abroad", "whether the number that is called is of another country than the site, or of an international network, and not toll-free",
		func(e *Event) bool { return e.Abroad }),
	{Name: "hour", Doc: "the hour of the day in the site's zone: 0 to 23", Kind: Number, Number: func(e *Event) int { return int(e.Hour) }, set: setHour},
	derived("weekday", "the day of the week in the site's zone: "+strings.Join(Weekdays, ", "), func(e *Event) *string { return &e.Weekday }, Weekdays),
	derivedFlag("night", "whether it is outside of the site's hours", func(e *Event) bool { return e.Night }),
	text("transport", "udp, tcp, tls, ws or wss", func(e *Event) *string { return &e.Transport }),
	text("level", "the level of the log line: WARNING, ERR", func(e *Event) *string { return &e.Level }),
	text("file", "the source file of FreeSWITCH that logged the line: sofia_reg.c", func(e *Event) *string { return &e.File }),
	{Name: "message", Doc: "the log line without its header", Kind: Text, Bound: MaxText, Settable: true,
		At: func(e *Event) *string { return &e.Message }, Private: true, NoKey: "it is different in nearly every event"},
	{Name: "answer", Doc: "the code of the SIP answer: 401; 0 while there is none", Kind: Number, Settable: true, Number: func(e *Event) int { return int(e.Answer) }, set: setAnswer},
	{Name: "proven", Doc: "whether the sender cannot be forged: a connection, or a nonce that was sent to this address", Kind: Flag, Settable: true,
		Flag: func(e *Event) bool { return e.Proven }, set: setProven, NoKey: "it is true or false"},
	{Name: "nonce_ip", Doc: "the address to which the nonce of the credentials was sent", Kind: Address, Settable: true, Addr: func(e *Event) netip.Addr { return e.NonceIP }, set: setNonce},
	{Name: "repeat", Doc: "whether this is a further report of one attempt", Kind: Flag, Settable: true,
		Flag: func(e *Event) bool { return e.Repeat }, set: setRepeat, NoKey: "rules skip repeated reports"},
	derivedFlag("new_network", "whether the account was first seen in this network (/24, /48) within the last hour, and was known elsewhere for a day",
		func(e *Event) bool { return e.NewNetwork }),
	derivedFlag("new_destination", "whether the account first called this country and type of number within the last day, or not in the 90 days before",
		func(e *Event) bool { return e.NewDestination }),
	derivedFlag("guessed", "whether the password may have been guessed in the last 24 hours: accepted in a new network after five failures within an hour",
		func(e *Event) bool { return e.Guessed }),
	{Name: "history_days", Doc: "for how many days the guard has kept the history of accounts", Kind: Number, NoKey: "it grows",
		Number: func(e *Event) int { return int(e.HistoryDays) }},
	{Name: "fields", Doc: "the raw fields, by name", Kind: Map, NoKey: "it holds many values"},
}

// text makes the row of a text that a report sets.
func text(name, doc string, at func(*Event) *string) Field {
	return Field{Name: name, Doc: doc, Kind: Text, Bound: MaxField, At: at, Settable: true}
}

// folded makes the row of the name of an account or a domain.
func folded(name, doc string, at func(*Event) *string) Field {
	f := text(name, doc, at)
	f.Folded, f.Private = true, true
	return f
}

// private marks the row of what was dialled.
func private(f Field) Field {
	f.Private = true
	return f
}

// derivedFlag makes the row of a flag that the engine sets.
func derivedFlag(name, doc string, is func(*Event) bool) Field {
	return Field{Name: name, Doc: doc, Kind: Flag, NoKey: "it is true or false", Flag: is}
}

// derived makes the row of a text that the engine sets.
func derived(name, doc string, at func(*Event) *string, values []string) Field {
	return Field{Name: name, Doc: doc, Kind: Text, Bound: MaxField, At: at, Values: values}
}

// located makes the row of a text that the engine takes from a database of addresses.
func located(name, doc, needs string, at func(*Event) *string) Field {
	f := derived(name, doc, at, nil)
	f.Needs = needs
	return f
}

// Values of the field destination_type.
const (
	FixedLine         = "fixed_line"
	Mobile            = "mobile"
	FixedLineOrMobile = "fixed_line_or_mobile"
	TollFree          = "toll_free"
	PremiumRate       = "premium_rate"
	SharedCost        = "shared_cost"
	VoIP              = "voip"
	PersonalNumber    = "personal_number"
	Pager             = "pager"
	UAN               = "uan"
	Voicemail         = "voicemail"
	Satellite         = "satellite"
	Emergency         = "emergency"
	UnknownType       = "unknown"
)

// DestinationTypes are the values of the field destination_type. The numbering package keeps
// their order in its table.
var DestinationTypes = []string{
	FixedLine, Mobile, FixedLineOrMobile, TollFree, PremiumRate, SharedCost, VoIP, PersonalNumber,
	Pager, UAN, Voicemail, Satellite, Emergency, UnknownType,
}

// Weekdays are the values of the field weekday, by [time.Weekday].
var Weekdays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// FieldNames lists the names of [Fields].
var FieldNames = names(Fields, func(f *Field) string { return f.Name })

func names[T any](table []T, name func(*T) string) []string {
	all := make([]string, len(table))
	for i := range table {
		all[i] = name(&table[i])
	}
	return all
}

// FieldNamed returns the row of a field, or nil.
func FieldNamed(name string) *Field { return byName[name] }

var byName = func() map[string]*Field {
	all := make(map[string]*Field, len(Fields))
	for i := range Fields {
		all[Fields[i].Name] = &Fields[i]
	}
	return all
}()

// Each calls f with every text of the event, to read or change it.
func (e *Event) Each(f func(text *string)) {
	for i := range Fields {
		if at := Fields[i].At; at != nil {
			f(at(e))
		}
	}
}

// Get returns the field of an event as text. It is empty if the field was not
// reported, and for a time or a map.
func (f *Field) Get(e *Event) string {
	switch {
	case f.At != nil:
		return *f.At(e)
	case f.Flag != nil && f.Flag(e):
		return "true"
	case f.Addr != nil && f.Addr(e).IsValid():
		return f.Addr(e).String()
	case f.Number != nil && (f.Number(e) != 0 && f.Name != "hour" || f.Name == "hour" && e.Weekday != ""):
		return strconv.Itoa(f.Number(e))
	}
	return ""
}

// Counted returns the value by which rules count: equal for all spellings of one account.
func (f *Field) Counted(e *Event) string {
	if f.Folded {
		return Fold(*f.At(e))
	}
	return f.Get(e)
}

// Set gives the named field of the event a value from its text form, bounded. A
// name outside of [Fields] makes a raw field. Set fails on text that is not of the
// field's kind, and on a field that is not settable.
func (e *Event) Set(name, value string) error {
	f := FieldNamed(name)
	switch {
	case f == nil:
		e.SetRaw(name, value)
	case !f.Settable:
		return errors.New("the engine sets this field")
	case f.At != nil:
		*f.At(e) = Bound(value, f.Bound)
	default:
		return f.set(e, value)
	}
	return nil
}

// SetRaw gives a raw field a value, bounded.
func (e *Event) SetRaw(name, value string) {
	if e.Fields == nil {
		e.Fields = map[string]string{}
	}
	e.Fields[name] = Bound(value, MaxField)
}

// Restore gives a field, or a raw field, the text that Get returned, also where the engine set it. It
// fails as Set does.
func (e *Event) Restore(name, value string) error {
	f := FieldNamed(name)
	switch {
	case f == nil || f.Settable:
		return e.Set(name, value)
	case f.At != nil:
		*f.At(e) = Bound(value, f.Bound)
	case f.set != nil:
		return f.set(e, value)
	}
	return nil
}

func setAddress(e *Event, value string) error {
	addr, port, err := parse(value)
	if err != nil {
		return err
	}
	e.IP = addr
	if port != 0 {
		e.Port = port
	}
	return nil
}

func setNonce(e *Event, value string) (err error) {
	e.NonceIP, _, err = parse(value)
	return err
}

func parse(value string) (netip.Addr, uint16, error) {
	addr, port, ok := ParseAddr(value)
	if !ok {
		return addr, port, fmt.Errorf("%q is not an IP address", Bound(value, 64))
	}
	return addr, port, nil
}

func setPort(e *Event, value string) error { return setNumber(&e.Port, value, "a port") }

func setAnswer(e *Event, value string) error {
	return setNumber(&e.Answer, value, "the code of an answer")
}

func setNumber(at *uint16, value, what string) error {
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return fmt.Errorf("%q is not %s", Bound(value, 64), what)
	}
	*at = uint16(n)
	return nil
}

func setHour(e *Event, value string) error {
	n, err := strconv.ParseUint(value, 10, 8)
	if err != nil || n > 23 {
		return fmt.Errorf("%q is not an hour", Bound(value, 64))
	}
	e.Hour = uint8(n)
	return nil
}

func setRepeat(e *Event, value string) error { return setFlag(&e.Repeat, value) }

func setProven(e *Event, value string) error { return setFlag(&e.Proven, value) }

func setFlag(at *bool, value string) error {
	flag, err := strconv.ParseBool(value)
	if err != nil {
		return fmt.Errorf("%q is neither true nor false", Bound(value, 64))
	}
	*at = flag
	return nil
}
