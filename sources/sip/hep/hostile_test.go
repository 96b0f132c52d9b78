package hep_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"freeswitch-security/engine/golden"
	"freeswitch-security/sources/sip/hep"
	"freeswitch-security/sources/sip/message"
	"freeswitch-security/sources/sip/packet"
)

// recorded returns what a FreeSWITCH under attack mirrored: requests of scanners and phones,
// answers, pieces of connections, garbage. Each datagram stands behind its length.
func recorded(tb testing.TB) (datagrams [][]byte) {
	for b := golden.Read(tb, "testdata/sample.raw.gz"); len(b) > 0; {
		n := int(binary.BigEndian.Uint32(b))
		datagrams, b = append(datagrams, b[4:4+n]), b[4+n:]
	}
	return datagrams
}

func TestRecorded(t *testing.T) {
	kinds := map[message.Kind]int{}
	var p packet.Packet
	var m message.Message
	for i, d := range recorded(t) {
		if err := hep.Decode(d, "", &p); err != nil || p.Truncated || p.Time.Year() != 2026 {
			t.Errorf("%d: %v, %v", i, err, p)
		}
		if !bytes.Equal(hep.Append(nil, &p)[:10], d[:10]) {
			t.Errorf("%d: Append writes other bytes", i)
		}
		kind := message.Classify(p.Payload)
		kinds[kind]++
		if kind.IsSIP() && !p.Transport.IsConnection() {
			if err := message.Parse(p.Payload, &m); err != nil && err.Error() != "malformed SIP message: no Via header" {
				t.Errorf("%d: %v of %q", i, err, p.Payload)
			}
		}
	}
	for _, kind := range []message.Kind{message.Request, message.Answer, message.KeepAlive, message.Web, message.Garbage} {
		if kinds[kind] == 0 {
			t.Errorf("no packet of kind %d", kind)
		}
	}
}

// TestHostile reads mutated and random datagrams: DATAGRAMS of them, else 100,000.
func TestHostile(t *testing.T) {
	n := 100_000
	if v, err := strconv.Atoi(os.Getenv("DATAGRAMS")); err == nil {
		n = v
	}
	samples := recorded(t)
	random := rand.New(rand.NewPCG(1, 2))
	var p packet.Packet
	var m message.Message
	var s message.Splitter
	read, parsed, split := 0, 0, 0
	for i := range n {
		if i%1000 == 0 {
			s = message.Splitter{}
		}
		if err := hep.Decode(mutate(random, samples), "", &p); err != nil {
			continue
		}
		read++
		if message.Classify(p.Payload).IsSIP() && message.Parse(p.Payload, &m) == nil {
			parsed++
		}
		s.Split(p.Payload, func([]byte) { split++ })
		if s.Len() > 4*message.MaxSize {
			t.Fatalf("%d bytes kept", s.Len())
		}
	}
	t.Logf("of %d datagrams %d were read, %d parsed; %d messages of connections", n, read, parsed, split)
	if read < n/10 || parsed < n/20 {
		t.Error("too few were read: the test does not reach the parser")
	}
}

// mutate returns a sample with some bytes changed, removed, repeated or taken from another
// sample; one in ten is random altogether.
func mutate(random *rand.Rand, samples [][]byte) []byte {
	b := bytes.Clone(samples[random.IntN(len(samples))])
	if random.IntN(10) == 0 {
		b = b[:random.IntN(len(b)+1)]
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	for range 1 + random.IntN(4) {
		if len(b) == 0 {
			break
		}
		at := random.IntN(len(b))
		end := min(len(b), at+1+random.IntN(40))
		switch random.IntN(7) {
		case 0:
			b[at] = byte(random.Uint32())
		case 1:
			b[at] ^= 1 << random.IntN(8)
		case 2:
			b = append(b[:at], b[end:]...)
		case 3:
			b = append(b[:end], bytes.Clone(b[at:])...)
		case 4:
			other := samples[random.IntN(len(samples))]
			b = append(b[:at:at], other[random.IntN(len(other)):]...)
		case 5:
			b[at] = "\r\n\x00\"<>;,:@ =%"[random.IntN(13)]
		case 6:
			b = b[:end]
		}
	}
	if len(b) > 6 && random.IntN(4) > 0 {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
		if head := 93; len(b) > head+6 && string(b[head:head+4]) == "\x00\x00\x00\x0f" {
			binary.BigEndian.PutUint16(b[head+4:], uint16(len(b)-head))
		}
	}
	return b
}
