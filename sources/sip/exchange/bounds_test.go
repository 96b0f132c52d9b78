package exchange

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
	"freeswitch-security/sources/sip/packet"

	"github.com/google/go-cmp/cmp"
)

// TestPieces cuts what each side of the connections sends at every place.
func TestPieces(t *testing.T) {
	all := slices.DeleteFunc(recording(t), func(p packet.Packet) bool {
		return bytes.HasPrefix(p.Payload, []byte("GET ")) // a piece of it is not known as HTTP
	})
	want := describe(taken(New(Options{Switch: named("10.77.0.0/24")}), all))
	for size := 1; size < 700; size += 1 + size/4 {
		var cut []packet.Packet
		for _, p := range all {
			for p.Transport.IsConnection() && len(p.Payload) > size {
				piece := p
				piece.Payload, p.Payload = p.Payload[:size], p.Payload[size:]
				cut = append(cut, piece)
			}
			cut = append(cut, p)
		}
		if diff := cmp.Diff(want, describe(taken(New(Options{Switch: named("10.77.0.0/24")}), cut))); diff != "" {
			t.Fatalf("pieces of %d bytes (-whole +cut):\n%s", size, diff)
		}
	}
}

// TestPieceOfAConnection begins to capture in the middle of a message.
func TestPieceOfAConnection(t *testing.T) {
	var all []packet.Packet
	for _, p := range recording(t) {
		if p.Transport.IsConnection() && len(p.Payload) > 200 && p.To.Port() == 5060 && !strings.HasPrefix(string(p.Payload), "GET") {
			p.Payload = p.Payload[150:]
			all = append(all, p)
			break
		}
	}
	if len(all) == 0 {
		t.Fatal("no connection in the recording")
	}
	if events := taken(New(Options{Switch: named("10.77.0.0/24")}), all); len(events) > 0 {
		t.Errorf("events:\n%s", describe(events))
	}
}

// TestForgedSenders floods a table with requests and challenges of forged senders. A phone that
// was challenged before, and one whose credentials were accepted, are still known.
func TestForgedSenders(t *testing.T) {
	const flood = 60_000
	table := New(Options{Switch: named("10.77.0.0/24")})
	taken(table, run(t, `
		a>s REGISTER b1
		s>a 401 b1 nonce=accepted
		a>s REGISTER b2 nonce=accepted cseq=2
		s>a 200 b2`))
	before := golden.Heap()
	fill := strings.Repeat("x", 300)
	for i := range flood {
		ip := netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)})
		if i == flood/2 {
			taken(table, run(t, "b>s REGISTER c1\ns>b 401 c1 nonce=fresh"))
		}
		p := packet.Packet{Time: time.Unix(1_800_000_000, int64(i)), From: netip.AddrPortFrom(ip, 5060), To: addresses["s"]}
		same := fmt.Sprintf("Via: SIP/2.0/UDP h;branch=z9hG4bK%d\r\nFrom: <sip:%s@%s>;tag=a\r\nTo: <sip:%s@%s>\r\nCall-ID: %d%s\r\nCSeq: 1 %%s\r\n", i, fill, fill, fill, fill, i, fill)
		for _, method := range []string{"REGISTER", "INVITE", "OPTIONS"} {
			p.Payload = fmt.Appendf(nil, "%s sip:%s@pbx SIP/2.0\r\n%sUser-Agent: %s\r\nContact: <sip:%s@%s>\r\n\r\n", method, fill, fmt.Sprintf(same, method), fill, fill, fill)
			table.Take(&p, func(*event.Event) {})
		}
		p.From, p.To = p.To, p.From
		p.Payload = fmt.Appendf(nil, "SIP/2.0 401 Unauthorized\r\n%sWWW-Authenticate: Digest realm=\"pbx\", nonce=\"%d\"\r\n\r\n", fmt.Sprintf(same, "REGISTER"), i)
		table.Take(&p, func(*event.Event) {})
	}
	if grown := golden.Heap() - before; grown > 80<<20 {
		t.Errorf("%d MB", grown>>20)
	} else {
		t.Logf("%d MB", grown>>20)
	}
	got := summary(taken(table, run(t, `
		a>s REGISTER b3 nonce=accepted cseq=3
		s>a 200 b3
		b>s REGISTER c2 nonce=fresh cseq=2
		s>b 403 c2`)), event.AuthSuccess, event.AuthFailure)
	want := "auth_success 198.51.100.1 1000 200 proven\nauth_failure 198.51.100.2 1000 403 proven\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	runtime.KeepAlive(table)
}

// check takes packets and checks what holds whatever they are.
func check(t *testing.T, table *Table, all []packet.Packet) {
	for i := range all {
		p := &all[i]
		table.Take(p, func(e *event.Event) {
			switch {
			case !e.Time.Equal(p.Time) || e.Name == "" || !e.IP.IsValid():
				t.Fatalf("incomplete: %+v", e)
			case e.IP == addresses["s"].Addr():
				t.Fatalf("an event of the switch: %+v", e)
			case len(e.Text) > event.MaxText:
				t.Fatalf("unbounded: %+v", e)
			}
			e.Each(func(text *string) {
				if len(*text) > event.MaxText {
					t.Fatalf("unbounded: %q", *text)
				}
			})
		})
	}
}

// TestMutations takes many mutated packets.
func TestMutations(t *testing.T) {
	all, random, table := recording(t), rand.New(rand.NewPCG(1, 2)), New(Options{Switch: named("10.77.0.0/24")})
	for i := range 100_000 {
		p := all[i%len(all)]
		p.Payload = append([]byte(nil), p.Payload...)
		for range 1 + random.IntN(4) {
			if len(p.Payload) == 0 {
				break
			}
			switch at := random.IntN(len(p.Payload)); random.IntN(4) {
			case 0:
				p.Payload[at] = byte(random.Uint32())
			case 1:
				p.Payload = append(p.Payload[:at], p.Payload[min(len(p.Payload), at+random.IntN(40)):]...)
			case 2:
				other := all[random.IntN(len(all))].Payload
				p.Payload = append(p.Payload[:at:at], other[min(len(other), at):]...)
			case 3:
				p.Transport = packet.Transport(random.IntN(6))
			}
		}
		check(t, table, []packet.Packet{p})
	}
}

// FuzzTake takes sequences of packets: a byte for the two sides and the transport, two for the
// length, and the payload.
func FuzzTake(f *testing.F) {
	var seed []byte
	for i, p := range recording(f) {
		sides := byte(p.Transport) << 4
		if p.From.Addr() == addresses["s"].Addr() {
			sides |= 1
		}
		seed = binary.BigEndian.AppendUint16(append(seed, sides), uint16(len(p.Payload)))
		seed = append(seed, p.Payload...)
		if i%8 == 7 {
			f.Add(seed)
			seed = nil
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var all []packet.Packet
		for at := time.Unix(1_800_000_000, 0); len(b) >= 3; at = at.Add(time.Second) {
			n := min(int(binary.BigEndian.Uint16(b[1:])), len(b)-3)
			p := packet.Packet{Time: at, From: addresses["a"], To: addresses["s"], Transport: packet.Transport(b[0]>>4) % 6, Payload: b[3 : 3+n]}
			if b[0]&2 != 0 {
				p.From = addresses["b"]
			}
			if b[0]&1 != 0 {
				p.From, p.To = p.To, p.From
			}
			all, b = append(all, p), b[3+n:]
		}
		check(t, New(Options{Switch: named("10.77.0.0/24")}), all)
	})
}

// TestTruncated: of a datagram above 16,000 bytes the switch mirrors nothing.
func TestTruncated(t *testing.T) {
	empty := packet.Packet{From: addresses["a"], To: addresses["s"], Truncated: true}
	sent := packet.Packet{From: addresses["s"], To: addresses["a"], Truncated: true}
	keepAlive := packet.Packet{From: addresses["a"], To: addresses["s"]}
	events := taken(New(Options{Switch: named("10.77.0.0/24")}), []packet.Packet{empty, sent, keepAlive})
	if len(events) != 1 || events[0].Name != event.SIPMalformed || events[0].Message != errTooLong.Error() || events[0].IP != addresses["a"].Addr() {
		t.Errorf("events:\n%s", describe(events))
	}
}
