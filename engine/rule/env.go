package rule

import (
	"net/netip"
	"time"

	"freeswitch-security/engine/event"
)

// environment is what an expression reads of an event: the names of [event.Fields],
// which a test compares.
//
// It is passed to expr by value and boxed once per event, if an expression is left to
// expr: through a pointer every field read would allocate, and a copy of the whole event
// would take a fifth more memory. It must have no methods, which would be functions of the language.
type environment struct {
	Event       string            `expr:"event"`
	Source      string            `expr:"source"`
	Time        time.Time         `expr:"time"`
	IP          string            `expr:"ip"`
	Port        int               `expr:"port"`
	Country     string            `expr:"country"`
	ASN         string            `expr:"asn"`
	ASName      string            `expr:"as_name"`
	User        string            `expr:"user"`
	Domain      string            `expr:"domain"`
	Profile     string            `expr:"profile"`
	Method      string            `expr:"method"`
	UserAgent   string            `expr:"user_agent"`
	CallID      string            `expr:"call_id"`
	UUID        string            `expr:"uuid"`
	ToUser      string            `expr:"to_user"`
	Destination string            `expr:"destination"`
	DestNumber  string            `expr:"destination_number"`
	DestCountry string            `expr:"destination_country"`
	DestType    string            `expr:"destination_type"`
	DestTail    string            `expr:"destination_tail"`
	DestStart   string            `expr:"destination_start"`
	Abroad      bool              `expr:"abroad"`
	Hour        int               `expr:"hour"`
	Weekday     string            `expr:"weekday"`
	Night       bool              `expr:"night"`
	Transport   string            `expr:"transport"`
	Level       string            `expr:"level"`
	File        string            `expr:"file"`
	Message     string            `expr:"message"`
	Answer      int               `expr:"answer"`
	Proven      bool              `expr:"proven"`
	NonceIP     string            `expr:"nonce_ip"`
	Repeat      bool              `expr:"repeat"`
	Fields      map[string]string `expr:"fields"`

	NewNetwork     bool `expr:"new_network"`
	NewDestination bool `expr:"new_destination"`
	Guessed        bool `expr:"guessed"`
	HistoryDays    int  `expr:"history_days"`
}

// An Env is the environment in which [Matcher.Match] evaluates expressions: one event.
type Env struct {
	event  *event.Event
	values any // an environment, made for the first expression that needs it
}

// NewEnv returns the environment of an event. It shares the event's raw fields.
func NewEnv(ev *event.Event) *Env { return &Env{event: ev} }

func (e *Env) all() any {
	if e.values == nil {
		e.values = environmentOf(e.event)
	}
	return e.values
}

func environmentOf(ev *event.Event) environment {
	return environment{
		Event: ev.Name, Source: ev.Source, Time: ev.Time, IP: text(ev.IP), Port: int(ev.Port),
		Country: ev.Country, ASN: ev.ASN, ASName: ev.ASName,
		User: ev.User, Domain: ev.Domain, Profile: ev.Profile, Method: ev.Method,
		UserAgent: ev.UserAgent, CallID: ev.CallID, UUID: ev.UUID, ToUser: ev.ToUser, Destination: ev.Destination,
		DestNumber: ev.DestinationNumber, DestCountry: ev.DestinationCountry, DestType: ev.DestinationType, DestTail: ev.DestinationTail,
		DestStart: ev.DestinationStart, Abroad: ev.Abroad,
		Hour: int(ev.Hour), Weekday: ev.Weekday, Night: ev.Night,
		Transport: ev.Transport, Level: ev.Level, File: ev.File, Message: ev.Message,
		Answer: int(ev.Answer), Proven: ev.Proven, NonceIP: text(ev.NonceIP), Repeat: ev.Repeat, Fields: ev.Fields,
		NewNetwork: ev.NewNetwork, NewDestination: ev.NewDestination, Guessed: ev.Guessed, HistoryDays: int(ev.HistoryDays),
	}
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
