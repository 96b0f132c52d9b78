package siptest

import "fmt"

// Call calls a number: the switch challenges the INVITE. If code is 200 it rings, answers, and the
// peer hangs up; otherwise the dialplan refuses the call with code.
func (p *Peer) Call(number string, code int) {
	t := p.begin("INVITE", p.User, number)
	offer := p.wire.sdp("-", p.Addr.Addr())
	p.send(t, offer, session)
	p.refuse(t, 407)
	p.send(t, offer, session, p.credentials(t, true))
	p.processed(t, code)
}

// Invite calls a number without credentials, and the switch does not challenge it: a carrier, or a
// dialplan that is open to every caller.
func (p *Peer) Invite(number string, code int) {
	t := p.begin("INVITE", p.User, number)
	p.send(t, p.wire.sdp("-", p.Addr.Addr()), session)
	p.processed(t, code)
}

const session = "Content-Type: application/sdp"

// processed is what the dialplan makes of a call.
func (p *Peer) processed(t *transaction, code int) {
	p.answer(t, 100, switchAgent)
	contact := fmt.Sprintf("Contact: <sip:%s@%s>", t.to, p.wire.Switch)
	if code != 200 {
		p.answer(t, code, switchAgent, "Accept: application/sdp", allow, allowEvents, `Reason: Q.850;cause=16;text="NORMAL_CLEARING"`)
		p.acknowledge(t)
		return
	}
	p.answer(t, 180, contact, switchAgent, "Accept: application/sdp", allow, allowEvents)
	p.reply(t, 200, p.wire.sdp("FreeSWITCH", p.wire.Switch.Addr()), contact, switchAgent, "Accept: application/sdp", allow, allowEvents,
		session, "Content-Disposition: session")
	p.hangUp(t, switchAgent, allow)
}

// Ring has the switch call the phone, which answers; the switch hangs up.
func (p *Peer) Ring(caller string) {
	t := p.begin("INVITE", caller, p.User)
	t.outward, t.uri = true, p.contact()
	p.send(t, p.wire.sdp("FreeSWITCH", p.wire.Switch.Addr()), session, "Content-Disposition: session")
	contact := fmt.Sprintf("Contact: <%s>", p.contact())
	p.answer(t, 180, contact)
	p.reply(t, 200, p.wire.sdp("-", p.Addr.Addr()), contact, session)
	p.hangUp(t, contact)
}

// hangUp acknowledges an answered call, and ends it: the side that called sends BYE.
func (p *Peer) hangUp(t *transaction, answer ...string) {
	t.branch = "z9hG4bK" + p.wire.token(12)
	p.acknowledge(t)
	t.toTag = t.localTag
	for _, t.method = range p.Within {
		p.request(t)
		p.answer(t, 200, answer...)
		if t.method == "INVITE" {
			p.acknowledge(t)
		}
	}
	p.wire.Now = p.wire.Now.Add(p.Talk)
	t.method = "BYE"
	p.request(t)
	p.answer(t, 200, answer...)
}
