package exchange

import (
	"freeswitch-security/engine/event"
	"freeswitch-security/sources/sip/message"
)

// takeAnswer takes an answer of the switch.
func (t *Table) takeAnswer(h *heard) {
	m := h.m
	if isChallenge(m.Code) {
		for _, c := range m.Challenges {
			t.nonces.send(t.nonceKey(h, c.Nonce), h.peer.Addr())
		}
	}
	x, _ := t.exchanges(m.Method).Get(t.key(h, m.Method))
	if x == nil {
		x, _ = t.loose.Get(t.looseKey(h))
	}
	switch {
	case x == nil || x.answer != 0: // a retransmission
	case m.Code < 200:
		t.takeProvisional(h, x)
	default:
		t.takeFinal(h, x)
	}
}

func isChallenge(code int) bool { return code == 401 || code == 407 }

// takeProvisional notes that the switch has begun to process a request. The answer 100 to an
// INVITE says so unless the switch sends it before it looks at credentials. With credentials, it
// must have been seen to challenge without it. Trap: FreeSWITCH sends it at once if the request
// has a Timestamp.
func (t *Table) takeProvisional(h *heard, x *exchange) {
	if h.m.Code == 100 {
		if x.method != "INVITE" || x.timestamp {
			return
		}
		x.trying = true
		if h.home.early || len(x.credentials) > 0 && !h.home.late {
			return
		}
	}
	if !x.begun {
		x.begun = true
		t.process(h, x)
	}
}

// takeFinal reports the outcome of a request.
func (t *Table) takeFinal(h *heard, x *exchange) {
	m := h.m
	x.answer = m.Code
	verdict := x.judge(m)
	switch verdict {
	case challenged:
		h.home.learn(x, m)
		name := event.Challenge
		if x.unusable {
			name = event.AuthMalformed
		}
		t.report(h, x, nil, name)
	case stale:
		t.reportAtNonce(h, x, event.AuthStale)
	case refused:
		t.reportAtNonce(h, x, event.AuthFailure)
	case malformed:
		t.reportMalformed(h, x)
	case processed:
		t.process(h, x)
		t.register(h, x)
	}
	if x.method == "INVITE" && !x.inDialogue && isRejection(m.Code) && (verdict == processed || verdict == denied && m.Code == 403) {
		t.report(h, x, x.used(), event.CallRejected)
	}
	t.reportRequest(h, x, !x.isSubsequent())
	x.pending = nil
}

// learn notes how the switch challenges.
func (h *home) learn(x *exchange, m *message.Message) {
	if len(m.Challenges) > 0 && len(h.challenges) < maxMethods {
		h.challenges[x.method] = true
	}
	if x.method == "INVITE" && !x.timestamp {
		h.early, h.late = h.early || x.trying, h.late || !x.trying
	}
}

// process reports that the switch processes a request: its credentials were accepted, and it is
// a call if it can be one. Trap: FreeSWITCH answers OPTIONS without a look at credentials.
func (t *Table) process(h *heard, x *exchange) {
	if c := x.used(); c != nil && c.known && h.m.Code < 300 && !x.accepted && h.home.challenges[x.method] {
		x.accepted = true
		t.nonces.accept(c.nonce)
		t.report(h, x, c, event.AuthSuccess)
		if x.isProven(h, c) {
			t.dialogue(h, x.peer)
		}
	}
	if x.method != "INVITE" || x.inDialogue {
		return
	}
	if h.m.Code/100 == 2 {
		t.own.Put(t.dialogueKey(h), struct{}{})
	}
	if !x.called {
		x.called = true
		t.reportCall(h, x)
	}
}

// register reports what came of a REGISTER. One without a contact asks for those that exist.
func (t *Table) register(h *heard, x *exchange) {
	if x.method != "REGISTER" || h.m.Code/100 != 2 || x.contactHost == "" && !x.allContacts {
		return
	}
	if x.allContacts || x.expires == 0 {
		t.reportRegistration(h, x, event.Unregistered, -1)
		return
	}
	expires := x.expires
	if m := h.m; m.Expires >= 0 && (len(m.Contact.Host) == 0 || bound(m.Contact.User) == x.contactUser && bound(m.Contact.Host) == x.contactHost) {
		expires = m.Expires
	}
	t.reportRegistration(h, x, event.Registered, expires)
}
