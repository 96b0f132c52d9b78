package esl

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"freeswitch-security/engine/dedup"
	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
)

// A decoder turns messages of a switch into events. It takes them in the order in
// which they were sent and reads no clock, so that the same messages always give the
// same events. It belongs to one goroutine.
type decoder struct {
	source   string
	want     map[string]bool                    // nil: all
	kept     map[*report][]string               // raw fields of each row; nil: all
	record   func(string) (*event.Event, bool)  // reads a log record; nil: none is wanted
	inLog    []string                           // events of the log alone
	core     string                             // Core-UUID, a new one for every start of the switch
	restarts uint64                             // changes of core
	ended    *event.Event                       // of all calls, by a restart; it comes before the event of its message
	doubted  int64                              // log records that are refused as evidence
	attempts dedup.Cache[dialogue, credentials] // refused, without their failure
	repeats  repeats
	several  *severalPhones // nil: not known
	gateways bool           // a message reported that the gateways have changed
}

func (s *source) newDecoder(want map[string]bool) *decoder {
	d := &decoder{source: s.name, want: want, kept: keptFields(want)}
	if s.wantsLog(want) {
		d.record, d.inLog = s.records(s.name, s.zone), s.inLog.Names()
	}
	return d
}

// read returns the events of a message, in their order; nil where there is none.
func (d *decoder) read(m *esl.Message) [2]*event.Event {
	e := d.decode(m)
	events := [...]*event.Event{d.ended, e}
	d.ended = nil
	return events
}

// decode returns the event that a message reports; nil if there is none, or it is not
// wanted.
func (d *decoder) decode(m *esl.Message) *event.Event {
	if m.Record {
		return d.decodeRecord(m.Body)
	}
	d.noteCore(m.Headers)
	for _, r := range byName[m.Name()] {
		if !isWanted(d.want, r.event) || r.when != nil && !r.when(m.Headers) {
			continue
		}
		if r.then != nil {
			r.then(d, m.Headers)
		}
		if r.from != "" {
			return d.build(r, m.Headers)
		}
	}
	return nil
}

// noteCore forgets reports that wait for a second one when the switch has restarted, and ends its calls.
func (d *decoder) noteCore(h headers) {
	core := h["Core-UUID"]
	if core == "" || core == d.core {
		return
	}
	if d.core != "" {
		d.restarts++
		d.attempts, d.repeats = dedup.Cache[dialogue, credentials]{}, repeats{}
		if at, ok := stamp(h); ok && isWanted(d.want, event.CallEnded) {
			d.ended = &event.Event{Name: event.CallEnded, Source: d.source, Time: at, Text: "restart of the switch"}
		}
	}
	d.core = bound(core)
}

func (d *decoder) noteGateways(headers) { d.gateways = true }

// decodeRecord reads a log record, except what the event stream reports as well.
func (d *decoder) decodeRecord(text string) *event.Event {
	if d.record == nil {
		return nil
	}
	e, doubted := d.record(text)
	if e == nil || !slices.Contains(d.inLog, e.Name) || !isWanted(d.want, e.Name) {
		return nil
	}
	if doubted {
		d.doubted++
		return nil
	}
	e.Repeat = false // the reader of records does not see the stream
	d.repeats.mark(e, true)
	return e
}

// build makes the event of a row.
func (d *decoder) build(r *report, h headers) *event.Event {
	at, ok := stamp(h)
	if !ok {
		return nil // every event of FreeSWITCH has a stamp
	}
	e := &event.Event{Name: r.event, Source: d.source, Time: at}
	switch {
	case d.kept != nil:
		e.Fields = only(h, d.kept[r])
	case r.few:
		e.Fields = only(h, r.spec.Raw)
	default:
		e.Fields = fields(h)
	}
	e.IP, e.Port = address(h[r.ip], h[r.port])
	for _, f := range r.texts {
		*f.at(e) = cut(h[f.header])
	}
	if isCut(h) && e.UUID != "" {
		e.UUID = bound(h["Caller-Channel-Created-Time"] + " " + e.UUID)
	}
	if r.refine != nil {
		r.refine(d, e, h)
	}
	e.Text = evidence(r.name, e, h)
	d.repeats.mark(e, d.record != nil)
	return e
}

// isCut reports whether the name of a call is no UTF-8. A browser chooses it, and the switch cuts it within
// a character: then different names are read as one, and the time of the call tells them apart.
func isCut(h headers) bool { return strings.ContainsRune(h["Unique-ID"], utf8.RuneError) }

// stamp returns the time of an event by the clock of the switch, to the microsecond.
func stamp(h headers) (time.Time, bool) {
	micros, err := strconv.ParseInt(h["Event-Date-Timestamp"], 10, 64)
	return time.UnixMicro(micros).UTC(), err == nil && micros > 0
}

// address reads an address and a port; the zero value where it is none.
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

// evidence writes an event in one line:
//
//	sofia::register_failure REGISTER user=1003@10.77.0.10 from 192.0.2.218:55529 profile=internal user-agent="Zoiper"
//
// It is bounded and not escaped. Callers wrote parts of it.
func evidence(report string, e *event.Event, h headers) string {
	b := append(make([]byte, 0, 256), report...)
	put := func(before, text, after string) {
		if text != "" {
			b = append(append(append(b, before...), text...), after...)
		}
	}
	put(" ", e.Method, "")
	put(" user=", e.User, "")
	put("@", e.Domain, "")
	put(" destination=", e.Destination, "")
	switch {
	case e.IP.IsValid() && e.Port > 0:
		b = netip.AddrPortFrom(e.IP, e.Port).AppendTo(append(b, " from "...))
	case e.IP.IsValid():
		b = e.IP.AppendTo(append(b, " from "...))
	}
	put(" gateway=", e.Fields["gateway"], "")
	put(" cause=", cut(h["Hangup-Cause"]), "")
	put(" result=", cut(h["auth-result"]), "")
	put(" profile=", e.Profile, "")
	put(" call-id=", e.CallID, "")
	put(` user-agent="`, e.UserAgent, `"`)
	return string(b[:min(len(b), event.MaxText)])
}
