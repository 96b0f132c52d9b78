package exchange

import (
	"errors"
	"hash/maphash"
	"net/netip"
	"time"

	"freeswitch-security/engine/dedup"
	"freeswitch-security/engine/event"
	"freeswitch-security/sources/sip/message"
	"freeswitch-security/sources/sip/packet"
)

// Options are what a table is to know.
type Options struct {
	Source string          // of the events
	Want   map[string]bool // names of events to make; nil: all

	// Switch are the addresses of the switch, as far as the site names them. Else Local tells
	// them, which may be nil; what it does not tell is learned from the packets.
	Switch []netip.Prefix
	Local  func(netip.Addr) bool
}

// Counts are what a table has taken.
type Counts struct {
	Requests uint64 // of peers
	Answers  uint64 // of the switch
	NoSwitch uint64 // packets between two sides of which neither, or each, is the switch
}

// Limits of small tables.
const (
	maxHomes      = 1024
	maxMethods    = 32               // of a home
	maxDialogues  = 32_768           // addresses in each half
	dialogueEvery = 10 * time.Minute // per address
)

// A Table holds the exchanges under way between a switch and its peers. It is not safe for
// concurrent use.
type Table struct {
	source  string
	want    map[string]bool
	counts  Counts
	seed    maphash.Seed
	sides   sides
	nonces  nonces
	streams streams

	homes     map[netip.AddrPort]*home
	invites   dedup.Cache[uint64, *exchange]
	others    dedup.Cache[uint64, *exchange]
	loose     dedup.Cache[uint64, *exchange] // those with credentials, by what is left without the branch
	own       dedup.Cache[uint64, struct{}]  // requests of the switch, and its answers 200 to an INVITE
	dialogues dedup.Cache[netip.Addr, time.Time]

	message message.Message
	scratch []byte
}

// A home is an address and port of the switch.
type home struct {
	at         netip.AddrPort
	name       string
	challenges map[string]bool // the methods that it was seen to challenge
	early      bool            // it sends 100 before it looks at credentials
	late       bool            // it was seen to refuse an INVITE without it
}

// heard is a message, with its two sides.
type heard struct {
	p       *packet.Packet
	payload []byte
	m       *message.Message
	peer    netip.AddrPort
	home    *home
	emit    func(*event.Event)
}

// New returns an empty table.
func New(o Options) *Table {
	seed := maphash.MakeSeed()
	return &Table{
		source: o.Source, want: o.Want, seed: seed, sides: newSides(&o, seed), nonces: newNonces(), streams: newStreams(),
		homes:     map[netip.AddrPort]*home{},
		invites:   dedup.Cache[uint64, *exchange]{Half: maxInvites},
		others:    dedup.Cache[uint64, *exchange]{Half: maxOthers},
		loose:     dedup.Cache[uint64, *exchange]{Half: maxOthers},
		own:       dedup.Cache[uint64, struct{}]{Half: maxOthers},
		dialogues: dedup.Cache[netip.Addr, time.Time]{Half: maxDialogues},
	}
}

// Counts returns what the table has taken so far.
func (t *Table) Counts() Counts { return t.counts }

// Take takes a packet and emits the events that it completes. Packets are to come in the order of
// their time. The payload is not kept.
func (t *Table) Take(p *packet.Packet, emit func(*event.Event)) {
	d := t.sides.of(p.From.Addr(), p.To.Addr())
	if d == unknown {
		t.counts.NoSwitch++
		return
	}
	if p.Transport.IsConnection() {
		t.takePiece(p, d, emit)
		return
	}
	kind := message.Classify(p.Payload)
	switch {
	case kind.IsSIP() || p.Truncated && d == received:
		t.takeMessage(p, p.Payload, d, emit)
	case kind != message.KeepAlive && d != sent:
		t.notSIP(p, kind, p.Payload, emit)
	}
}

// errTooLong: FreeSWITCH mirrors nothing of a datagram above 16,000 bytes, which no phone sends.
var errTooLong = errors.New("SIP message longer than what the switch mirrors")

// takeMessage takes a message of SIP, or what is meant to be one.
func (t *Table) takeMessage(p *packet.Packet, payload []byte, d direction, emit func(*event.Event)) {
	m := &t.message
	err := message.Parse(payload, m)
	if err != nil && p.Truncated {
		err = errTooLong
	}
	if d == tied {
		if d = received; !m.IsRequest() {
			d = sent
		}
	}
	h := heard{p: p, payload: payload, m: m, emit: emit}
	if d == sent {
		h.peer, h.home = p.To, t.homeOf(p.From, true)
	} else {
		h.peer, h.home = p.From, t.homeOf(p.To, false)
	}
	switch {
	case err != nil:
		if d == received {
			t.takeMalformed(&h, err)
		}
	case d == received && m.IsRequest():
		t.counts.Requests++
		t.takeRequest(&h)
	case d == received:
		t.takePeersAnswer(&h)
	case m.IsRequest():
		t.own.Put(t.key(&h, m.Method), struct{}{})
	default:
		t.counts.Answers++
		t.takeAnswer(&h)
	}
}

// homeOf returns a home. It is kept once the switch sends from it: an attacker may send to every
// port.
func (t *Table) homeOf(at netip.AddrPort, sends bool) *home {
	h := t.homes[at]
	if h == nil {
		h = &home{at: at, name: at.String(), challenges: map[string]bool{}}
	}
	if sends && len(t.homes) < maxHomes {
		t.homes[at] = h
	}
	return h
}

// takeRequest takes a request of a peer.
func (t *Table) takeRequest(h *heard) {
	if string(h.m.Method) == "ACK" {
		if _, answered := t.own.Get(t.dialogueKey(h)); answered {
			t.dialogue(h, h.peer)
		}
		return
	}
	key := t.key(h, h.m.Method)
	x := t.read(h)
	if before, _ := t.exchanges(h.m.Method).Get(key); before != nil && before.isRepeated(x) {
		before.repeats++
		x.answer = before.answer
		t.reportRequest(h, x, true)
		return
	}
	t.exchanges(h.m.Method).Put(key, x)
	if len(x.credentials) > 0 {
		t.loose.Put(t.looseKey(h), x)
	}
	t.reportRequest(h, x, false)
}

// isRepeated reports whether a later request is a retransmission. An equal one that comes more
// often, or later, than phones retransmit is another request.
func (x *exchange) isRepeated(later *exchange) bool {
	return later.payload == x.payload && x.repeats < maxRetransmissions && later.began.Sub(x.began) < retransmission
}

// takePeersAnswer takes an answer of a peer: with the branch and the tag of a request that the
// switch sent to that address, it proves that the peer is there.
func (t *Table) takePeersAnswer(h *heard) {
	if h.m.Code/100 != 2 {
		return
	}
	if _, asked := t.own.Take(t.key(h, h.m.Method)); asked {
		t.dialogue(h, h.peer)
	}
}
