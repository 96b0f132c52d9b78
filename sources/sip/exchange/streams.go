package exchange

import (
	"net/netip"

	"freeswitch-security/engine/dedup"
	"freeswitch-security/engine/event"
	"freeswitch-security/sources/sip/message"
	"freeswitch-security/sources/sip/packet"
)

const (
	maxStreams = 4096    // in each half of the table
	maxPending = 8 << 20 // bytes of unfinished messages in all
)

// streams holds what is unfinished on one side of each connection.
//
// Beyond maxPending all of it is dropped. That costs other peers a message that was sent in two
// pieces just then.
type streams struct {
	table   dedup.Cache[stream, *message.Splitter]
	pending int
}

type stream struct {
	from, to  netip.AddrPort
	transport packet.Transport
}

// takePiece takes what one side of a connection sent.
func (t *Table) takePiece(p *packet.Packet, d direction, emit func(*event.Event)) {
	s := &t.streams
	key := stream{p.From, p.To, p.Transport}
	splitter, known := s.table.Get(key)
	if !known {
		splitter = &message.Splitter{}
		s.table.Put(key, splitter)
	}
	before := splitter.Len()
	splitter.Split(p.Payload, func(head []byte) { t.takeMessage(p, head, d, emit) })
	if p.Truncated {
		splitter.Gap()
	}
	if s.pending += splitter.Len() - before; s.pending > maxPending {
		*s = newStreams()
	}
	if lost := splitter.Discarded(); len(lost) > 0 && !splitter.Spoke() && d != sent {
		t.takeLost(p, lost, emit)
	}
}

func newStreams() streams {
	return streams{table: dedup.Cache[stream, *message.Splitter]{Half: maxStreams}}
}

// takeLost reports what is no SIP on a connection that never had any. A text may be a piece of a
// message whose beginning was not captured, unless it is one of HTTP.
func (t *Table) takeLost(p *packet.Packet, lost []byte, emit func(*event.Event)) {
	kind := message.Classify(lost)
	if kind == message.Web || kind == message.TLS || kind == message.Garbage && isBinary(lost) {
		t.notSIP(p, kind, lost, emit)
	}
}

func isBinary(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\r' && c != '\n' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}
