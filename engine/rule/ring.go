package rule

import (
	"encoding/binary"
	"net/netip"

	"freeswitch-security/engine/event"
)

// ringBytes bounds what is kept of recent matches, for all rules together.
const ringBytes = 8 << 20

// A ring keeps the text, account and address of recent matches in one buffer of
// fixed size, the newest overwriting the oldest. It holds bytes and not strings
// so that its size is exact and the garbage collector has nothing to scan.
type ring struct {
	size    int
	buffer  []byte // nil before the first add
	written uint64 // bytes ever written, with what was skipped at the buffer's end
}

// A record is what a ring keeps of an event.
type record struct {
	ip           netip.Addr
	user, domain string
	proven       bool
	text         string
}

// proven marks, beside the length of the address, an account whose password the
// switch had seen.
const proven = 0x80

// recordHeader is the part of fixed size: address, its length, the lengths of
// user, domain and text.
const recordHeader = 16 + 1 + 2 + 2 + 2

func newRing(size int) *ring { return &ring{size: size} }

// add keeps an event and returns where, never 0.
func (r *ring) add(ev *event.Event) (place uint64) {
	user := ev.User[:min(len(ev.User), event.MaxField)]
	domain := ev.Domain[:min(len(ev.Domain), event.MaxField)]
	text := ev.Text[:min(len(ev.Text), event.MaxText)]
	need := recordHeader + len(user) + len(domain) + len(text)
	if r.buffer == nil {
		r.buffer = make([]byte, r.size)
	}
	if rest := r.size - int(r.written%uint64(r.size)); rest < need {
		r.written += uint64(rest)
	}
	place = r.written + 1
	b := r.buffer[r.written%uint64(r.size):][:need]
	r.written += uint64(need)

	ip := ev.IP.As16()
	copy(b, ip[:])
	b[16] = byte(ev.IP.BitLen() / 8)
	if ev.Proven() {
		b[16] |= proven
	}
	binary.LittleEndian.PutUint16(b[17:], uint16(len(user)))
	binary.LittleEndian.PutUint16(b[19:], uint16(len(domain)))
	binary.LittleEndian.PutUint16(b[21:], uint16(len(text)))
	copy(b[recordHeader:], user)
	copy(b[recordHeader+len(user):], domain)
	copy(b[recordHeader+len(user)+len(domain):], text)
	return place
}

// at returns what was kept at a place that add returned. It reports false where
// that has been overwritten.
func (r *ring) at(place uint64) (record, bool) {
	if place == 0 || place > r.written {
		return record{}, false
	}
	start := place - 1
	if r.written-start > uint64(r.size) {
		return record{}, false
	}
	b := r.buffer[start%uint64(r.size):]
	out := record{proven: b[16]&proven != 0}
	switch ip := netip.AddrFrom16([16]byte(b)); b[16] &^ proven {
	case 4:
		out.ip = ip.Unmap()
	case 16:
		out.ip = ip
	}
	user := int(binary.LittleEndian.Uint16(b[17:]))
	domain := int(binary.LittleEndian.Uint16(b[19:]))
	text := int(binary.LittleEndian.Uint16(b[21:]))
	b = b[recordHeader:]
	out.user, b = string(b[:user]), b[user:]
	out.domain, b = string(b[:domain]), b[domain:]
	out.text = string(b[:text])
	return out, true
}
