package esl

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/dedup"
	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
)

// A decoder makes events of ours of what a switch reports. It sees the messages
// in the order in which they were sent and reads no clock: the same messages
// always give the same events. It belongs to one goroutine.
type decoder struct {
	source   string
	want     map[string]bool                   // nil: all
	record   func(string) *event.Event         // reads a record of the log; nil: nobody asked for one
	core     string                            // the Core-UUID, which every start of the switch has its own of
	restarts int64                             // how often it changed
	attempts dedup.Cache[dialogue, credential] // refused, and waiting for the event that tells how
	repeats  repeats
}

func (s *source) newDecoder(want map[string]bool) *decoder {
	d := &decoder{source: s.name, want: want}
	if s.log && isWanted(want, recordEvents) {
		d.record = s.records(s.name, s.zone)
	}
	return d
}

func (d *decoder) wants(name string) bool { return d.want == nil || d.want[name] }

// decode gives the event that a message is a report of, nil if it is none, or
// none that is wanted.
func (d *decoder) decode(m *esl.Message) *event.Event {
	if m.Record {
		return d.ofRecord(m.Body)
	}
	d.noteCore(m.Headers["Core-UUID"])
	e := d.ofEvent(m.Name(), m.Headers)
	if e != nil {
		d.repeats.mark(e, d.record != nil)
	}
	return e
}

// noteCore forgets what waits for a second report when the switch was started
// anew: none will come.
func (d *decoder) noteCore(core string) {
	if core == "" || core == d.core {
		return
	}
	if d.core != "" {
		d.restarts++
		d.attempts, d.repeats = dedup.Cache[dialogue, credential]{}, repeats{}
	}
	d.core = strings.Clone(core[:min(len(core), event.MaxField)])
}

// ofRecord reads a record of the log. What the event stream tells as well is left
// to it.
func (d *decoder) ofRecord(text string) *event.Event {
	if d.record == nil {
		return nil
	}
	e := d.record(text)
	if e == nil || !slices.Contains(recordEvents, e.Name) || !d.wants(e.Name) {
		return nil
	}
	e.Repeat = false // the reader sees the log alone
	d.repeats.mark(e, true)
	return e
}

// ofEvent reads an event of the switch, by its name.
func (d *decoder) ofEvent(name string, headers map[string]string) *event.Event {
	switch name {
	case "sofia::pre_register":
		return d.build(event.Challenge, name, headers, fillChallenge)
	case "sofia::register_attempt":
		return d.attempt(name, headers)
	case "sofia::register_failure":
		return d.build(event.AuthFailure, name, headers, d.fillFailure)
	case "sofia::register":
		return d.build(event.Registered, name, headers, fillRegistered)
	case "sofia::unregister", "sofia::expire":
		return d.build(event.Unregistered, name, headers, fillUnregistered)
	case "sofia::wrong_call_state":
		return d.build(event.WrongCallState, name, headers, fillAbandoned)
	case "sofia::gateway_state":
		// Without the address of the registrar there is nothing to tell.
		if headers["State"] == "REGED" && headers["Register-Network-IP"] != "" {
			return d.build(event.Gateway, name, headers, fillGateway)
		}
	case "sofia::gateway_delete":
		return d.build(event.GatewayRemoved, name, headers, fillGateway)
	case "verto::login":
		if headers["verto_success"] == "0" {
			return d.build(event.VertoLoginFailure, name, headers, fillVertoLogin)
		}
	case "CHANNEL_CREATE":
		if isIncoming(headers) {
			return d.build(event.Call, name, headers, fillCall)
		}
	case "CHANNEL_HANGUP_COMPLETE":
		if headers["Hangup-Cause"] == "CALL_REJECTED" && isIncoming(headers) {
			return d.build(event.CallRejected, name, headers, fillCall)
		}
	}
	return nil
}

// build makes an event, if it is wanted. fill sets what is particular to it from
// its fields, which are the headers, bounded.
func (d *decoder) build(name, report string, headers map[string]string, fill func(*event.Event)) *event.Event {
	if !d.wants(name) {
		return nil
	}
	at, ok := stamp(headers)
	if !ok {
		return nil // no event of FreeSWITCH's is without it
	}
	e := &event.Event{Name: name, Source: d.source, Time: at, Fields: fields(headers)}
	fill(e)
	e.Text = evidence(report, e)
	return e
}

// stamp is when the switch says that an event happened, to the microsecond.
func stamp(headers map[string]string) (time.Time, bool) {
	micros, err := strconv.ParseInt(headers["Event-Date-Timestamp"], 10, 64)
	return time.UnixMicro(micros).UTC(), err == nil && micros > 0
}

// setAddress sets the event's address. One that is none is left out.
func setAddress(e *event.Event, addr, port string) {
	e.IP, e.Port = address(addr, port)
}

func address(addr, port string) (netip.Addr, uint16) {
	ip, own, ok := event.ParseAddr(addr)
	if !ok {
		return netip.Addr{}, 0
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		return ip, uint16(n)
	}
	return ip, own
}
