package pcap

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/sources/sip/packet"
)

// A sequencer puts the pieces of connections into the order in which they were sent, each byte
// once. It waits for a missing piece until the other end can no longer be waiting for it either:
// for maxWait of the capture's time, or maxHeldEach bytes behind it.
type sequencer struct {
	recent, older map[flow]*half // older is dropped when recent is full
	held          int            // bytes of all pieces that wait
	ready         []packet.Packet
	popped        int   // of ready
	lost          int64 // gaps
}

const (
	maxFlows    = 8192 // in each of recent and older
	maxHeld     = 16 << 20
	maxHeldEach = 64 << 10
	maxWait     = 3 * time.Second
	maxJump     = 1 << 20 // a piece farther away belongs to another connection
	pieceCost   = 64      // memory of a piece beside its bytes
)

// A flow is one direction of a connection.
type flow struct{ from, to netip.AddrPort }

// A half is what is known of a flow.
type half struct {
	next    uint32 // the sequence number that follows
	waiting []piece
	bytes   int       // of waiting
	since   time.Time // when the first one began to wait
}

type piece struct {
	seq  uint32
	data []byte
}

// pop takes the next piece that is ready.
func (s *sequencer) pop(p *packet.Packet) bool {
	if s.popped == len(s.ready) {
		s.ready, s.popped = s.ready[:0], 0
		return false
	}
	*p = s.ready[s.popped]
	s.popped++
	return true
}

// has reports whether the connection is known.
func (s *sequencer) has(from, to netip.AddrPort) bool {
	return s.find(flow{from, to}) != nil || s.find(flow{to, from}) != nil
}

func (s *sequencer) find(f flow) *half {
	if h := s.recent[f]; h != nil {
		return h
	}
	h := s.older[f]
	if h != nil {
		delete(s.older, f)
		s.put(f, h)
	}
	return h
}

func (s *sequencer) put(f flow, h *half) {
	if len(s.recent) >= maxFlows || s.recent == nil {
		for _, old := range s.older {
			s.held -= old.bytes
			s.lost += int64(len(old.waiting))
		}
		s.older, s.recent = s.recent, make(map[flow]*half)
	}
	s.recent[f] = h
}

// take reads a segment.
func (s *sequencer) take(d *decoder, now time.Time) {
	f, syn := flow{d.from, d.to}, d.flags&flagSYN != 0
	h := s.find(f)
	if h == nil && len(d.payload) == 0 && !syn {
		return
	}
	seq := d.seq
	if syn {
		seq++
	}
	if h == nil {
		h = &half{next: seq}
		s.put(f, h)
	}
	if far := int32(seq - h.next); syn || far > maxJump || far < -maxJump {
		s.release(f, h, now)
		h.next = seq
	}
	if len(d.payload) > 0 {
		s.place(f, h, piece{seq, d.payload}, now)
	}
	if d.flags&(flagFIN|flagRST) != 0 || len(h.waiting) > 0 && (now.Sub(h.since) > maxWait || h.bytes > maxHeldEach || s.held > maxHeld) {
		s.release(f, h, now)
	}
}

// place hands on a piece, with those that waited for it, or has it wait.
func (s *sequencer) place(f flow, h *half, p piece, now time.Time) {
	if int32(p.seq-h.next) <= 0 {
		s.deliver(f, h, p, now)
		for len(h.waiting) > 0 && int32(h.waiting[0].seq-h.next) <= 0 {
			s.deliver(f, h, s.unhold(h), now)
		}
		return
	}
	i, found := slices.BinarySearchFunc(h.waiting, p, func(a, b piece) int { return int(int32(a.seq - b.seq)) })
	if found && len(h.waiting[i].data) >= len(p.data) {
		return
	}
	if len(h.waiting) == 0 {
		h.since = now
	}
	h.waiting = slices.Insert(h.waiting, i, piece{p.seq, slices.Clone(p.data)})
	h.bytes += len(p.data) + pieceCost
	s.held += len(p.data) + pieceCost
}

// unhold takes the first piece off those that wait.
func (s *sequencer) unhold(h *half) piece {
	p := h.waiting[0]
	h.waiting = h.waiting[1:]
	h.bytes -= len(p.data) + pieceCost
	s.held -= len(p.data) + pieceCost
	return p
}

// deliver hands on what is new in a piece that does not lie behind a gap.
func (s *sequencer) deliver(f flow, h *half, p piece, now time.Time) {
	old := int(h.next - p.seq)
	if old >= len(p.data) {
		return // sent again
	}
	s.ready = append(s.ready, packet.Packet{Time: now, From: f.from, To: f.to, Transport: packet.TCP, Payload: p.data[old:]})
	h.next = p.seq + uint32(len(p.data))
}

// release hands on what waits, gaps or not.
func (s *sequencer) release(f flow, h *half, now time.Time) {
	for len(h.waiting) > 0 {
		p := s.unhold(h)
		if int32(p.seq-h.next) > 0 {
			s.lost++
			h.next = p.seq
		}
		s.deliver(f, h, p, now)
	}
	h.waiting = nil
}

// drain hands on what still waits at the end of a capture, the longest first.
func (s *sequencer) drain(now time.Time) {
	type entry struct {
		flow
		*half
	}
	var waiting []entry
	for _, generation := range []map[flow]*half{s.recent, s.older} {
		for f, h := range generation {
			if len(h.waiting) > 0 {
				waiting = append(waiting, entry{f, h})
			}
		}
	}
	slices.SortFunc(waiting, func(a, b entry) int {
		return cmp.Or(a.since.Compare(b.since), a.from.Compare(b.from), a.to.Compare(b.to))
	})
	for _, w := range waiting {
		s.release(w.flow, w.half, now)
	}
}
