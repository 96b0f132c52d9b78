package siptest

import (
	"fmt"
	"strings"
)

// A transaction is a request and its answers (RFC 3261, 17). The fields of the next request of
// the same dialogue are taken from it.
type transaction struct {
	method, uri    string
	user, to       string // the accounts in From and To
	callID         string
	fromTag, toTag string // toTag: empty outside of a dialogue
	localTag       string // the To tag of the answers
	branch         string
	sequence       int
	outward        bool // the switch sent the request
}

// begin returns a transaction of an account, whose first request is not sent yet.
func (p *Peer) begin(method, user, to string) *transaction {
	uri := fmt.Sprintf("sip:%s@%s", to, p.domain())
	if method == "REGISTER" {
		uri = "sip:" + p.domain()
	}
	return &transaction{method: method, uri: uri, user: user, to: to, callID: p.wire.token(16), fromTag: p.wire.token(8),
		sequence: p.wire.random.IntN(1000)}
}

// request sends the next request of a transaction's dialogue.
func (p *Peer) request(t *transaction, headers ...string) { p.send(t, "", headers...) }

// send sends a request with a body.
func (p *Peer) send(t *transaction, body string, headers ...string) {
	if t.method != "ACK" {
		t.sequence++
		t.branch, t.localTag = "z9hG4bK"+p.wire.token(12), t.toTag
	}
	to := fmt.Sprintf("To: <sip:%s@%s>", t.to, p.domain())
	if t.toTag != "" {
		to += ";tag=" + t.toTag
	}
	contact, agent := fmt.Sprintf("Contact: <%s>", p.contact()), ""
	if p.Agent != "" {
		agent = "User-Agent: " + p.Agent
	}
	if t.outward {
		contact, agent = fmt.Sprintf("Contact: <sip:mod_sofia@%s>", p.wire.Switch), switchAgent+"\r\n"+allow+"\r\n"+allowEvents
	}
	if t.method == "ACK" || t.method == "BYE" {
		contact, agent = "", ""
	}
	head := append([]string{t.method + " " + t.uri + " SIP/2.0", p.via(t, ""), "Max-Forwards: 70",
		fmt.Sprintf("From: <sip:%s@%s>;tag=%s", t.user, p.domain(), t.fromTag), to, "Call-ID: " + t.callID,
		fmt.Sprintf("CSeq: %d %s", t.sequence, t.method), contact, agent}, headers...)
	p.put(t.outward, head, body)
}

// answer answers the last request of a transaction.
func (p *Peer) answer(t *transaction, code int, headers ...string) { p.reply(t, code, "", headers...) }

// reply answers with a body.
func (p *Peer) reply(t *transaction, code int, body string, headers ...string) {
	if t.localTag == "" && code > 100 {
		t.localTag = p.wire.token(13)
	}
	to := fmt.Sprintf("To: <sip:%s@%s>", t.to, p.domain())
	if t.localTag != "" {
		to += ";tag=" + t.localTag
	}
	rport := ""
	if !t.outward {
		rport = fmt.Sprintf("=%d", p.Addr.Port())
	}
	head := append([]string{fmt.Sprintf("SIP/2.0 %d %s", code, reasons[code]), p.via(t, rport),
		fmt.Sprintf("From: <sip:%s@%s>;tag=%s", t.user, p.domain(), t.fromTag), to, "Call-ID: " + t.callID,
		fmt.Sprintf("CSeq: %d %s", t.sequence, t.method)}, headers...)
	p.put(!t.outward, head, body)
}

func (p *Peer) via(t *transaction, rport string) string {
	from := p.Addr
	if t.outward {
		from = p.wire.Switch
	}
	return fmt.Sprintf("Via: SIP/2.0/%s %s;branch=%s;rport%s", strings.ToUpper(p.Transport.String()), from, t.branch, rport)
}

// put records a message of the switch or to it.
func (p *Peer) put(bySwitch bool, head []string, body string) {
	message := []byte(lines(append(head, fmt.Sprintf("Content-Length: %d", len(body)), "")...) + "\r\n" + body)
	if from, to := p.Addr, p.wire.Switch; bySwitch {
		p.wire.add(to, from, p.Transport, message)
	} else {
		p.wire.add(from, to, p.Transport, message)
	}
}

// acknowledge confirms the final answer to an INVITE.
func (p *Peer) acknowledge(t *transaction) {
	tag := t.toTag
	t.method, t.toTag = "ACK", t.localTag
	p.request(t)
	t.method, t.toTag = "INVITE", tag
}
