package sip

import (
	"fmt"
	"strings"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/sources/sip/exchange"
	"freeswitch-security/sources/sip/message"
	"freeswitch-security/sources/sip/packet"
)

// explain says how the messages of a text are read, and what events they lead to, or why a text
// is no SIP. All that comes from the input is escaped.
func (s *source) explain(input string) string {
	var out strings.Builder
	t := readTexts(strings.NewReader(input), time.Now())
	if !t.isSIP {
		out.WriteString("No SIP: no line begins a message, as \"OPTIONS sip:100@192.0.2.2 SIP/2.0\" does.\n")
	}
	table := s.textTable(nil)
	for p := new(packet.Packet); t.Next(p) == nil; {
		explainPacket(&out, p, t.isSIP)
		events := 0
		table.Take(p, func(e *event.Event) {
			events++
			fmt.Fprintf(&out, "Event:   %s\n", e.Name)
			e.Explain(&out)
		})
		if events == 0 {
			out.WriteString("No event.\n")
		}
	}
	return out.String()
}

// textTable makes a table for the messages of a text.
func (s *source) textTable(want map[string]bool) *exchange.Table {
	of := source{name: s.name, local: textNetworks}
	return of.newTable(want, nil)
}

// explainPacket writes what was read.
func explainPacket(out *strings.Builder, p *packet.Packet, isSIP bool) {
	fmt.Fprintf(out, "Packet:  %d bytes from %s to %s over %s\n", len(p.Payload), place(p.From), place(p.To), p.Transport)
	var m message.Message
	if err := message.Parse(p.Payload, &m); err != nil {
		if isSIP {
			fmt.Fprintf(out, "Refused: %v\n", err)
		}
		return
	}
	if m.IsRequest() {
		fmt.Fprintf(out, "Request: %q to %q at %q\n", m.Method, m.URI.User, m.URI.Host)
	} else {
		fmt.Fprintf(out, "Answer:  %d %q to %q\n", m.Code, m.Reason, m.Method)
	}
	for _, row := range []struct {
		name  string
		value string
	}{
		{"from", account(m.From.URI)}, {"to", account(m.To.URI)}, {"call_id", string(m.CallID)}, {"branch", string(m.Branch)},
		{"user_agent", string(m.UserAgent)}, {"contact", account(m.Contact)},
	} {
		if row.value != "" {
			fmt.Fprintf(out, "  %-11s %q\n", row.name, event.Bound(row.value, event.MaxField))
		}
	}
	for _, c := range m.Credentials {
		fmt.Fprintf(out, "  credentials of %q in the realm %q\n", event.Bound(string(c.User), event.MaxField), event.Bound(string(c.Realm), event.MaxField))
	}
	for _, c := range m.Challenges {
		fmt.Fprintf(out, "  challenge of the realm %q%s\n", event.Bound(string(c.Realm), event.MaxField), map[bool]string{true: ": the nonce had expired"}[c.Stale])
	}
}

// account is user@host of a URI; "" if it has neither.
func account(u message.URI) string { return strings.TrimPrefix(string(u.User)+"@"+string(u.Host), "@") }
