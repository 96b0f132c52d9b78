package sip

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
	"freeswitch-security/sources/sip/hep"
	"freeswitch-security/sources/sip/packet"
)

// flood is the number of packets of TestFlood. Memory no longer grows after it.
const flood = 200_000

// TestFlood hears mutated packets of as many forged senders.
func TestFlood(t *testing.T) {
	random, table, packets := rand.New(rand.NewPCG(1, 2)), made(t, "").newTable(nil, nil), traffic()
	events, p := 0, new(packet.Packet)
	before := golden.Heap()
	for i := range flood {
		from := packets[i%len(packets)]
		var sender [4]byte
		binary.BigEndian.PutUint32(sender[:], random.Uint32())
		if from.To.Port() == 5060 {
			from.From = netip.AddrPortFrom(netip.AddrFrom4(sender), from.From.Port())
		}
		datagram := hep.Append(nil, &from)
		for range random.IntN(4) {
			datagram[random.IntN(len(datagram))] = byte(random.Uint32())
		}
		if hep.Decode(datagram[:len(datagram)-random.IntN(2)*random.IntN(100)], "", p) == nil {
			table.Take(p, func(*event.Event) { events++ })
		}
	}
	if grown := golden.Heap() - before; grown > 48<<20 {
		t.Errorf("%d MB of heap after %d packets and %d events", grown>>20, flood, events)
	}
	if events < flood/4 {
		t.Errorf("%d events", events)
	}
	runtime.KeepAlive(table)
}
