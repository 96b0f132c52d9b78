package rule

import (
	"encoding/binary"
	"net/netip"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// ringBytes bounds the evidence of recent matches, for all rules together.
const ringBytes = 4 << 20

// firstRing is the size at the first match: to clear ringBytes takes a millisecond, and the tests of
// rules have a set each.
const firstRing = 2 << 10

// A ring keeps text, account and address of recent matches in one buffer, which grows up to a size; then
// the newest overwrites the oldest. It holds bytes, not strings, so that its size is
// exact and the garbage collector has nothing to scan.
type ring struct {
	size    int
	buffer  []byte
	written uint64 // bytes ever written, including those skipped at the buffer's end
}

// proven marks, beside the length of the address, an event with [event.Event.Verified].
const proven = 0x80

// recordHeader is the part of fixed size: the address, its length, and the lengths of
// user, domain, text and, of an event of a peer, its source.
const recordHeader = 16 + 1 + 2 + 2 + 2 + 2

func newRing(size int) *ring { return &ring{size: size} }

// add keeps an event and returns its place, which is never 0.
func (r *ring) add(ev *event.Event) (place uint64) {
	texts := [4]string{
		ev.User[:min(len(ev.User), event.MaxField)],
		ev.Domain[:min(len(ev.Domain), event.MaxField)],
		ev.Text[:min(len(ev.Text), event.MaxText)],
	}
	if ev.Node != "" {
		from := ev.From()
		texts[3] = from[:min(len(from), event.MaxField)]
	}
	need := recordHeader + len(texts[0]) + len(texts[1]) + len(texts[2]) + len(texts[3])
	if rest := r.size - int(r.written%uint64(r.size)); rest < need {
		r.written += uint64(rest)
	}
	place = r.written + 1
	at := int(r.written % uint64(r.size))
	if at+need > len(r.buffer) {
		grown := make([]byte, min(max(2*len(r.buffer), firstRing, at+need), r.size))
		copy(grown, r.buffer)
		r.buffer = grown
	}
	b := r.buffer[at:][:need]
	r.written += uint64(need)

	ip := ev.IP.As16()
	copy(b, ip[:])
	b[16] = byte(ev.IP.BitLen() / 8)
	if ev.Verified() {
		b[16] |= proven
	}
	rest := b[recordHeader:]
	for i, text := range texts {
		binary.LittleEndian.PutUint16(b[17+2*i:], uint16(len(text)))
		rest = rest[copy(rest, text):]
	}
	return place
}

// at returns address, account and text of the event at a place. It reports false if the
// event was overwritten.
func (r *ring) at(place uint64) (e ban.Evidence, ok bool) {
	if place == 0 || place > r.written {
		return e, false
	}
	start := place - 1
	if r.written-start > uint64(r.size) {
		return e, false
	}
	b := r.buffer[start%uint64(r.size):]
	switch ip := netip.AddrFrom16([16]byte(b)); b[16] &^ proven {
	case 4:
		e.IP = ip.Unmap()
	case 16:
		e.IP = ip
	}
	e.Proven = b[16]&proven != 0
	var lengths [4]int
	for i := range lengths {
		lengths[i] = int(binary.LittleEndian.Uint16(b[17+2*i:]))
	}
	own := lengths[0] + lengths[1] + lengths[2]
	rest := string(b[recordHeader:][:own])
	for i, text := range [...]*string{&e.User, &e.Domain, &e.Text} {
		*text, rest = rest[:lengths[i]], rest[lengths[i]:]
	}
	e.Source = string(b[recordHeader+own:][:lengths[3]]) // by itself: it stays when the ledger gives up the others
	return e, true
}
