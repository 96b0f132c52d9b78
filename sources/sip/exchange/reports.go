package exchange

import (
	"cmp"
	"net/netip"
	"strconv"

	"freeswitch-security/engine/event"
	"freeswitch-security/sources/sip/message"
	"freeswitch-security/sources/sip/packet"
)

func (t *Table) wants(name string) bool { return t.want == nil || t.want[name] }

// begin returns an event of a peer. It returns nil if none with that name is wanted.
func (t *Table) begin(h *heard, name string) *event.Event {
	if !t.wants(name) {
		return nil
	}
	return &event.Event{
		Name: name, Source: t.source, Time: h.p.Time, IP: h.peer.Addr(), Port: h.peer.Port(), Transport: h.p.Transport.String(),
		Profile: h.home.name, Proven: h.p.Transport.IsConnection(),
	}
}

// build returns an event about an exchange, with the account of the credentials if there are
// any, else that of From. It returns nil for an event that is not wanted.
func (t *Table) build(h *heard, x *exchange, c *credentials, name string) *event.Event {
	e := t.begin(h, name)
	if e == nil {
		return nil
	}
	e.IP, e.Port, e.Proven = x.peer.Addr(), x.peer.Port(), x.isProven(h, c)
	e.Method, e.User, e.Domain, e.ToUser, e.Destination = x.method, x.user, x.domain, x.toUser, x.destination
	e.UserAgent, e.CallID, e.Answer = x.agent, x.callID, uint16(x.answer)
	if c != nil {
		e.User, e.Domain, e.NonceIP = cmp.Or(c.user, x.user), cmp.Or(c.realm, x.domain), c.sentTo
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
	return h.p.Transport.IsConnection() || c != nil && c.sentTo == x.peer.Addr()
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

// reportRequest reports a request, again if its answer is known or it is a retransmission and that
// is wanted. A request of a dialogue is reported only if the switch does not know the dialogue.
func (t *Table) reportRequest(h *heard, x *exchange, repeat bool) {
	if x.isSubsequent() && x.answer != 481 || repeat && !t.wants(event.SIPRequestAgain) {
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
	var c *credentials
	var fields map[string]string
	if x.accepted {
		c, fields = x.used(), map[string]string{"variable_sip_authorized": "true"}
	}
	if e := t.build(h, x, c, event.Call); e != nil {
		e.Fields = fields
		t.put(h, e)
	}
}

// reportRegistration reports a registration, or its end if expires is negative.
func (t *Table) reportRegistration(h *heard, x *exchange, name string, expires int) {
	c := x.used()
	e := t.build(h, x, c, name)
	if e == nil {
		return
	}
	e.User, e.Domain, e.ToUser, e.Fields = x.toUser, x.toDomain, x.user, map[string]string{}
	if x.allContacts { // of the account, at this address
		e.CallID = ""
	} else {
		e.Fields["contact"] = x.contactUser + "@" + x.contactHost
	}
	if expires >= 0 {
		e.Fields["expires"] = strconv.Itoa(expires)
	}
	switch {
	case x.accepted:
		e.Fields["authenticated"] = "true"
		if c != nil && event.Fold(c.user) != event.Fold(e.User) { // the password was that of another account
			e.Fields["username"] = c.user
		}
	case c == nil || !h.home.challenges[x.method]:
		e.Fields["authenticated"] = "false"
	}
	t.put(h, e)
}

// dialogue reports that a peer is where it says, at most once in a while.
func (t *Table) dialogue(h *heard, peer netip.AddrPort) {
	last, known := t.dialogues.Get(peer.Addr())
	if known && h.p.Time.Sub(last).Abs() < dialogueEvery {
		return
	}
	if e := t.begin(h, event.Dialogue); e != nil {
		t.dialogues.Put(peer.Addr(), e.Time)
		e.IP, e.Port, e.Proven = peer.Addr(), peer.Port(), true
		e.Method, e.CallID = methodName(h.m.Method), bound(h.m.CallID)
		t.put(h, e)
	}
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
	if e := t.begin(h, event.SIPMalformed); e != nil {
		m := h.m
		e.Method, e.User, e.Domain, e.Destination = methodName(m.Method), bound(m.From.User), bound(m.From.Host), bound(m.URI.User)
		e.UserAgent, e.CallID, e.Message = bound(m.UserAgent), bound(m.CallID), err.Error()
		t.put(h, e)
	}
}

// kinds are the texts of the raw field "kind".
var kinds = map[message.Kind]string{message.Garbage: "garbage", message.Web: "web", message.TLS: "tls"}

// notSIP reports what is no SIP. The head is its beginning.
func (t *Table) notSIP(p *packet.Packet, kind message.Kind, head []byte, emit func(*event.Event)) {
	h := heard{p: p, peer: p.From, home: t.homeOf(p.To, false), emit: emit}
	if e := t.begin(&h, event.NotSIP); e != nil {
		e.Message, e.Fields = event.Printable(bound(head)), map[string]string{"kind": kinds[kind]}
		t.put(&h, e)
	}
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
	b = append(b, cmp.Or(e.Method, e.Name)...)
	put(" user=", e.User, "")
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
