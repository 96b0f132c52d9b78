package siptest

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"freeswitch-security/sources/sip/packet"
)

// A Peer is a phone, a carrier, a probe or an attacker. Its fields may be changed between calls.
type Peer struct {
	Addr      netip.AddrPort
	Transport packet.Transport
	User      string
	Agent     string // its User-Agent; empty: no such header
	Domain    string // empty: the address of the switch
	Nonce     string // of the last challenge; empty: none

	Talk   time.Duration // of its calls
	Within []string      // the methods of the requests within its calls

	wire         *Wire
	registration *transaction
	used         int // how often Nonce was used
}

// Register registers the phone for so many seconds, 0 unregisters it. It uses the nonce that the
// phone has, or is challenged first.
func (p *Peer) Register(expires int) {
	if p.registration == nil {
		p.registration = p.begin("REGISTER", p.User, p.User)
	}
	if p.Nonce == "" {
		p.request(p.registration, fmt.Sprintf("Expires: %d", expires))
		p.challenge(p.registration, 401, false)
	}
	p.accepted(expires)
}

// RegisterStale registers with a nonce that has expired: the switch sends a new one.
func (p *Peer) RegisterStale(expires int) {
	p.request(p.registration, fmt.Sprintf("Expires: %d", expires), p.credentials(p.registration, false))
	p.challenge(p.registration, 401, true)
	p.accepted(expires)
}

func (p *Peer) accepted(expires int) {
	t := p.registration
	p.request(t, fmt.Sprintf("Expires: %d", expires), p.credentials(t, false))
	contact := ""
	if expires > 0 {
		contact = fmt.Sprintf("Contact: <%s>;expires=%d", p.contact(), expires)
	}
	p.answer(t, 200, contact, "Date: Sat, 28 Nov 2026 18:39:30 GMT", switchAgent, allow)
}

// Ping asks by OPTIONS whether the switch is there.
func (p *Peer) Ping() { p.Request("OPTIONS", p.User, 200) }

// Request sends one request without credentials, of the account user or to it. The switch answers
// with code, and with a challenge if that is 401 or 407; 0: it does not answer.
func (p *Peer) Request(method, user string, code int) {
	t := p.begin(method, user, user)
	p.request(t)
	p.refuse(t, code)
}

// Ask sends one request with credentials, to a user, after a challenge. The switch answers with code.
func (p *Peer) Ask(method, to string, code int) {
	t := p.begin(method, p.User, to)
	p.request(t)
	p.challenge(t, 407, false)
	p.request(t, p.credentials(t, true))
	p.answer(t, code, switchAgent, allow)
}

// Guess tries a wrong password for an account: a request, a challenge, a refusal.
func (p *Peer) Guess(method, user string) {
	t := p.guess(method, user)
	p.request(t)
	if method == "REGISTER" {
		p.refuse(t, 401)
	} else {
		p.refuse(t, 407)
	}
	p.refused(t)
}

// Refused sends credentials with the nonce that the peer has, and the switch refuses them.
func (p *Peer) Refused(method, user string) { p.refused(p.guess(method, user)) }

// guess begins a request of an account, an INVITE to a number.
func (p *Peer) guess(method, user string) *transaction {
	if method == "INVITE" {
		return p.begin(method, user, "9196")
	}
	return p.begin(method, user, user)
}

func (p *Peer) refused(t *transaction) {
	p.request(t, p.credentials(t, t.method != "REGISTER"))
	if t.method == "REGISTER" || t.method == "INVITE" {
		p.refuse(t, 403)
		return
	}
	p.answer(t, 401, switchAgent, allow) // without a challenge
}

// refuse answers a request, and has the peer acknowledge that of an INVITE.
func (p *Peer) refuse(t *transaction, code int) {
	switch {
	case code == 0:
		return
	case code == 401 || code == 407:
		p.challenge(t, code, false)
	case t.method == "OPTIONS":
		p.answer(t, code, fmt.Sprintf("Contact: <sip:%s>", p.wire.Switch.Addr()), switchAgent, "Accept: application/sdp", allow, allowEvents)
	default:
		p.answer(t, code, switchAgent, allow)
	}
	if t.method == "INVITE" {
		p.acknowledge(t)
	}
}

// Subscribe subscribes to an event: the switch challenges, accepts and notifies.
func (p *Peer) Subscribe(event string) {
	t := p.begin("SUBSCRIBE", p.User, p.User)
	about := "Event: " + event + "\r\nExpires: 300"
	p.request(t, about)
	p.challenge(t, 407, false)
	p.request(t, about, p.credentials(t, true))
	p.answer(t, 202, "Expires: 300", switchAgent, allow, allowEvents)
	n := p.begin("NOTIFY", p.User, p.User)
	n.outward, n.uri, n.callID, n.fromTag, n.toTag = true, p.contact(), t.callID, t.localTag, t.fromTag
	p.request(n, "Event: "+event, "Subscription-State: active;expires=300")
	p.answer(n, 200, "User-Agent: "+p.Agent)
}

// Send sends what need not be SIP.
func (p *Peer) Send(payload string) { p.wire.add(p.Addr, p.wire.Switch, p.Transport, []byte(payload)) }

// contact is the URI under which the switch reaches the phone.
func (p *Peer) contact() string {
	over := ""
	if p.Transport != packet.UDP {
		over = ";transport=" + p.Transport.String()
	}
	return fmt.Sprintf("sip:%s@%s%s", p.User, p.Addr, over)
}

func (p *Peer) domain() string {
	if p.Domain != "" {
		return p.Domain
	}
	return p.wire.Switch.Addr().String()
}

// credentials answers the last challenge.
func (p *Peer) credentials(t *transaction, proxy bool) string {
	name := "Authorization"
	if proxy {
		name = "Proxy-Authorization"
	}
	p.used++
	return fmt.Sprintf(`%s: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=MD5, cnonce="%s", qop=auth, nc=%08x`,
		name, t.user, p.domain(), p.Nonce, t.uri, strings.ReplaceAll(p.wire.nonce(), "-", ""), p.wire.token(8), p.used)
}

// challenge answers with a new nonce.
func (p *Peer) challenge(t *transaction, code int, stale bool) {
	name, also := "WWW-Authenticate", ""
	if code == 407 {
		name, also = "Proxy-Authenticate", allowEvents
	}
	p.Nonce, p.used = p.wire.nonce(), 0
	value := fmt.Sprintf(`%s: Digest realm="%s", nonce="%s", algorithm=MD5, qop="auth"`, name, p.domain(), p.Nonce)
	if stale {
		value = fmt.Sprintf(`%s: Digest realm="%s", nonce="%s", stale=true, algorithm=MD5, qop="auth"`, name, p.domain(), p.Nonce)
	}
	p.answer(t, code, switchAgent, allow, also, value)
}
