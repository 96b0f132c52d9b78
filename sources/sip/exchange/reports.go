package exchange

import (
	"net/netip"
	"strconv"

	"freeswitch-security/engine/event"
	"freeswitch-security/sources/sip/message"
	"freeswitch-security/sources/sip/packet"
)

// build returns the event about an exchange, with the account of the credentials if there are
// any, else that of From. It returns nil for an event that is not wanted.
func (t *Table) build(h *heard, x *exchange, c *credentials, name string) *event.Event {
	if !t.wants(name) {
		return nil
	}
	e := &event.Event{
		Name: name, Source: t.source, Time: h.p.Time, IP: x.peer.Addr(), Port: x.peer.Port(), Transport: h.p.Transport.String(), Profile: h.home.name,
		Method: x.method, User: x.user, Domain: x.domain, ToUser: x.toUser, Destination: x.destination, UserAgent: x.agent, CallID: x.callID,
		Answer: uint16(x.answer), Proven: x.isProven(h, c),
	}
	if c != nil {
		e.NonceIP = c.sentTo
		if c.user != "" {
			e.User = c.user
		}
		if c.realm != "" {
			e.Domain = c.realm
		}
	}
	switch name {
	case event.Challenge, event.AuthSuccess, event.AuthFailure, event.AuthStale:
		if e.Destination == x.user { // as FreeSWITCH reports it: the own account is not dialled
			e.Destination = ""
		}
	}
	return e
}

// isProven reports whether the sender of a request is at its address.
func (x *exchange) isProven(h *heard, c *credentials) bool {
	return h.p.Transport.IsConnection() || c != nil && c.sentTo.IsValid() && isSameHost(c.sentTo, x.peer.Addr())
}

// isSameHost reports whether two addresses are of one host: IPv6 hosts change theirs within
// a /64.
func isSameHost(a, b netip.Addr) bool {
	if !a.Is6() || !b.Is6() {
		return a == b
	}
	network, err := a.Prefix(64)
	return err == nil && network.Contains(b)
}

// put emits an event, with its evidence.
func (t *Table) put(h *heard, e *event.Event) {
	e.Text = t.evidence(e)
	h.emit(e)
}

func (t *Table) report(h *heard, x *exchange, c *credentials, name string) {
	if e := t.build(h, x, c, name); e != nil {
		t.put(h, e)
	}
}

// reportRequest reports a request, again if its answer is known or it is a retransmission. A
// request of a dialogue is reported only if the switch does not know the dialogue.
func (t *Table) reportRequest(h *heard, x *exchange, repeat bool) {
	if x.isSubsequent() && x.answer != 481 {
		return
	}
	if e := t.build(h, x, x.used(), event.SIPRequest); e != nil {
		e.Repeat = repeat
		t.put(h, e)
	}
}

// reportAtNonce reports credentials that were not accepted. What a datagram used counts at the
// address to which the switch sent the nonce: its sender may be forged.
func (t *Table) reportAtNonce(h *heard, x *exchange, name string) {
	c := x.challenged(h.m)
	if c == nil {
		c = x.used()
	}
	e := t.build(h, x, c, name)
	if e == nil {
		return
	}
	if !e.Proven && e.NonceIP.IsValid() {
		e.Fields = map[string]string{"sender": e.IP.String()}
		e.IP, e.Port, e.Proven = e.NonceIP, 0, true
	}
	t.put(h, e)
}

func (t *Table) reportCall(h *heard, x *exchange) {
	c := x.used()
	if !x.accepted {
		c = nil
	}
	e := t.build(h, x, c, event.Call)
	if e == nil {
		return
	}
	if x.accepted {
		e.Fields = map[string]string{"variable_sip_authorized": "true"}
	}
	t.put(h, e)
}

func (t *Table) reportRegistration(h *heard, x *exchange, name string, expires int) {
	c := x.used()
	e := t.build(h, x, c, name)
	if e == nil {
		return
	}
	e.User, e.Domain, e.ToUser = x.toUser, x.toDomain, x.user
	e.Fields = map[string]string{}
	switch {
	case x.allContacts: // of the account, at this address
		e.CallID = ""
	case x.contact != "":
		e.Fields["contact"] = x.contact
	}
	if expires >= 0 {
		e.Fields["expires"] = strconv.Itoa(expires)
	}
	switch {
	case x.accepted:
		e.Fields["authenticated"] = "true"
	case c == nil || !h.home.checks(x.method):
		e.Fields["authenticated"] = "false"
	}
	t.put(h, e)
}

// dialogue reports that the peer is where it says, at most once in a while.
func (t *Table) dialogue(h *heard) {
	at := h.peer.Addr()
	if last, known := t.dialogues.Get(at); !t.wants(event.Dialogue) || known && h.p.Time.Sub(last).Abs() < dialogueEvery {
		return
	}
	t.dialogues.Put(at, h.p.Time)
	t.put(h, &event.Event{
		Name: event.Dialogue, Source: t.source, Time: h.p.Time, IP: at, Port: h.peer.Port(), Transport: h.p.Transport.String(),
		Profile: h.home.name, Method: methodName(h.m.Method), CallID: bound(h.m.CallID), Proven: true,
	})
}

// reportMalformed reports a request that the switch could not read.
func (t *Table) reportMalformed(h *heard, x *exchange) {
	if e := t.build(h, x, x.used(), event.SIPMalformed); e != nil {
		e.Message = "400 " + bound(h.m.Reason)
		t.put(h, e)
	}
}

// takeMalformed reports a message that cannot be read.
func (t *Table) takeMalformed(h *heard, err error) {
	t.counts.Malformed++
	if !t.wants(event.SIPMalformed) {
		return
	}
	m := h.m
	t.put(h, &event.Event{
		Name: event.SIPMalformed, Source: t.source, Time: h.p.Time, IP: h.peer.Addr(), Port: h.peer.Port(), Transport: h.p.Transport.String(),
		Profile: h.home.name, Method: methodName(m.Method), User: bound(m.From.User), Domain: bound(m.From.Host), Destination: bound(m.URI.User),
		UserAgent: bound(m.UserAgent), CallID: bound(m.CallID), Message: err.Error(), Proven: h.p.Transport.IsConnection(),
	})
}

// kinds are the texts of the raw field "kind".
var kinds = map[message.Kind]string{message.Garbage: "garbage", message.Web: "web", message.TLS: "tls"}

// notSIP reports what is no SIP. The head is its beginning.
func (t *Table) notSIP(p *packet.Packet, kind message.Kind, head []byte, emit func(*event.Event)) {
	t.counts.NotSIP++
	if !t.wants(event.NotSIP) {
		return
	}
	h := heard{p: p, emit: emit}
	e := &event.Event{
		Name: event.NotSIP, Source: t.source, Time: p.Time, IP: p.From.Addr(), Port: p.From.Port(), Transport: p.Transport.String(),
		Profile: t.homeOf(p.To).name, Message: event.Printable(string(head[:min(len(head), maxText)])), Proven: p.Transport.IsConnection(),
		Fields: map[string]string{"kind": kinds[kind]},
	}
	t.put(&h, e)
}

// evidence writes an event in one line:
//
//	INVITE user=1000@10.77.0.10 destination=9196 from 198.51.100.7:5060 to 10.77.0.10:5060 udp answer=403 call-id=a user-agent="b"
//
// It is bounded and not escaped. Senders wrote parts of it.
func (t *Table) evidence(e *event.Event) string {
	b := t.scratch[:0]
	put := func(before, text, after string) {
		if text != "" {
			b = append(append(append(b, before...), text...), after...)
		}
	}
	put("", e.Method, " ")
	put("user=", e.User, "")
	put("@", e.Domain, "")
	put(" destination=", e.Destination, "")
	b = netip.AddrPortFrom(e.IP, e.Port).AppendTo(append(b, " from "...))
	put(" to ", e.Profile, " ")
	b = append(b, e.Transport...)
	if e.Answer > 0 {
		b = strconv.AppendUint(append(b, " answer="...), uint64(e.Answer), 10)
	}
	put(" sender=", e.Fields["sender"], "")
	put(" call-id=", e.CallID, "")
	put(` user-agent="`, e.UserAgent, `"`)
	put(": ", e.Message, "")
	t.scratch = b
	return string(b[:min(len(b), event.MaxText)])
}
