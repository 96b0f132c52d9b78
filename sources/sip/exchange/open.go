package exchange

import (
	"hash/maphash"
	"net/netip"
	"time"

	"freeswitch-security/engine/dedup"
	"freeswitch-security/sources/sip/message"
)

const (
	maxInvites = 8192  // in each half of the table: a call may ring for minutes
	maxOthers  = 16384 // requests of other methods, likewise
	maxText    = 128   // bytes of a field

	retransmission     = 32 * time.Second // how long a request is repeated (RFC 3261, timers B and F)
	maxRetransmissions = 10               // by then
)

// An exchange is a request of a peer, and what the switch answered.
type exchange struct {
	payload  uint64 // hash: an equal request is a retransmission
	began    time.Time
	repeats  int
	answer   int // final; 0: none yet
	*pending     // nil once there is a final answer: most exchanges in the table have one
}

// pending is what an answer needs of its request.
type pending struct {
	request
	credentials []credentials

	trying   bool // the switch sent 100
	begun    bool // the switch had checked the credentials, and began to process the request
	accepted bool // auth_success was reported
	called   bool // call was reported
}

// A request is what events tell of it.
type request struct {
	method                   string
	peer                     netip.AddrPort
	user, domain             string // of From
	toUser, toDomain         string
	destination              string // the user of its URI
	agent, callID            string
	contactUser, contactHost string
	expires                  int
	allContacts              bool
	inDialogue, timestamp    bool
	unusable                 bool // credentials
}

// credentials are those of a request.
type credentials struct {
	user, realm string
	nonce       uint64     // hash
	sentTo      netip.Addr // where the nonce was sent; invalid: unknown
	known       bool       // the switch sent the nonce
}

// key hashes what an answer has in common with its request. The peer's port is not in it: an
// answer goes to the port that Via names.
func (t *Table) key(h *heard, method []byte) uint64 {
	return t.hash(h, 'r', method, h.m.Branch, h.m.CallID, h.m.From.Tag)
}

// looseKey hashes less: no branch, as an odd Via may be read in two ways, and no peer, as a Via may
// send the answer elsewhere (maddr). Guesses in such requests are to count.
func (t *Table) looseKey(h *heard) uint64 {
	return t.hash(h, 'l', h.m.Method, h.m.CallID, h.m.From.Tag)
}

// dialogueKey hashes what the acknowledgement of an INVITE has in common with the answer 200.
func (t *Table) dialogueKey(h *heard) uint64 {
	return t.hash(h, 'a', h.m.CallID, h.m.From.Tag, h.m.To.Tag)
}

func (t *Table) nonceKey(h *heard, nonce []byte) uint64 {
	b := append(t.scratch[:0], 'n')
	b, _ = h.home.at.AppendBinary(b)
	t.scratch = append(b, nonce...)
	return maphash.Bytes(t.seed, t.scratch)
}

// hash hashes texts with the number of the request and the addresses of both sides, of a loose key
// that of the switch alone.
func (t *Table) hash(h *heard, kind byte, texts ...[]byte) uint64 {
	b := append(t.scratch[:0], kind)
	b, _ = h.home.at.AppendBinary(b)
	if kind != 'l' {
		b, _ = h.peer.Addr().AppendBinary(b)
	}
	n := h.m.CSeq
	b = append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	for _, text := range texts {
		b = append(b, byte(len(text)), byte(len(text)>>8))
		b = append(b, text...)
	}
	t.scratch = b
	return maphash.Bytes(t.seed, b)
}

// exchanges is the table for a method.
func (t *Table) exchanges(method []byte) *dedup.Cache[uint64, *exchange] {
	if string(method) == "INVITE" {
		return &t.invites
	}
	return &t.others
}

// isSubsequent reports whether the request belongs to an earlier one.
func (r *request) isSubsequent() bool { return r.inDialogue || r.method == "CANCEL" }

// read copies what events need of a request. Its texts are one string.
func (t *Table) read(h *heard) *exchange {
	m := h.m
	x := &exchange{began: h.p.Time, payload: maphash.Bytes(t.seed, h.payload), pending: &pending{}}
	x.request = request{
		method: methodName(m.Method), peer: h.peer, expires: m.Expires, allContacts: m.AllContacts, inDialogue: len(m.To.Tag) > 0, timestamp: m.Timestamp, unusable: m.Unusable,
	}
	texts := [...]struct {
		to   *string
		from []byte
	}{
		{&x.user, m.From.User}, {&x.domain, m.From.Host}, {&x.toUser, m.To.User}, {&x.toDomain, m.To.Host}, {&x.destination, m.URI.User},
		{&x.agent, m.UserAgent}, {&x.callID, m.CallID}, {&x.contactUser, m.Contact.User}, {&x.contactHost, m.Contact.Host},
	}
	b := t.scratch[:0]
	for _, text := range texts {
		b = append(b, text.from[:min(len(text.from), maxText)]...)
	}
	all := string(b)
	for _, text := range texts {
		n := min(len(text.from), maxText)
		*text.to, all = all[:n], all[n:]
	}
	t.scratch = b
	for _, c := range m.Credentials {
		one := credentials{user: bound(c.User), realm: bound(c.Realm), nonce: t.nonceKey(h, c.Nonce)}
		one.sentTo, one.known = t.nonces.find(one.nonce)
		x.credentials = append(x.credentials, one)
	}
	return x
}

func bound(b []byte) string { return string(b[:min(len(b), maxText)]) }

// used returns the credentials that count: those with a nonce of the switch.
func (x *exchange) used() *credentials {
	for i := range x.credentials {
		if x.credentials[i].known {
			return &x.credentials[i]
		}
	}
	if len(x.credentials) > 0 {
		return &x.credentials[0]
	}
	return nil
}

// challenged returns the credentials for the realm of a challenge, nil if there are none. A
// refusal without a challenge is one of all credentials.
func (x *exchange) challenged(m *message.Message) *credentials {
	if len(m.Challenges) == 0 {
		return x.used()
	}
	for i := range x.credentials {
		for _, c := range m.Challenges {
			if bound(c.Realm) == x.credentials[i].realm {
				return &x.credentials[i]
			}
		}
	}
	return nil
}

// methods are names that need no copy.
var methods = [...]string{"REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "MESSAGE", "PUBLISH", "NOTIFY", "INFO", "REFER", "UPDATE", "BYE", "CANCEL", "ACK", "PRACK"}

func methodName(b []byte) string {
	for _, name := range methods {
		if string(b) == name {
			return name
		}
	}
	return bound(b)
}
