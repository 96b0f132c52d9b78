package pcap

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"freeswitch-security/engine/golden"
	"freeswitch-security/sources/sip/packet"
)

// fragment cuts a frame of raw IP into fragments of so many bytes.
func fragment(frame []byte, size int, id uint32) (pieces [][]byte) {
	head, v6 := 20, frame[0]>>4 == 6
	if v6 {
		head = 40
	}
	body := frame[head:]
	for at := 0; at < len(body); at += size {
		part := body[at:min(len(body), at+size)]
		more := at+size < len(body)
		piece := slices.Clone(frame[:head])
		if v6 {
			field := uint16(at)
			if more {
				field |= 1
			}
			piece = append(piece, piece[6], 0)
			piece = binary.BigEndian.AppendUint16(piece, field)
			piece = binary.BigEndian.AppendUint32(piece, id)
			piece[6] = 44
			binary.BigEndian.PutUint16(piece[4:], uint16(len(part)+8))
		} else {
			field := uint16(at / 8)
			if more {
				field |= 0x2000
			}
			binary.BigEndian.PutUint16(piece[2:], uint16(head+len(part)))
			binary.BigEndian.PutUint16(piece[4:], uint16(id))
			binary.BigEndian.PutUint16(piece[6:], field)
		}
		pieces = append(pieces, append(piece, part...))
	}
	return pieces
}

var long = strings.Replace(options, "\r\n\r\n", "\r\nX-Long: "+strings.Repeat("x", 3000)+"\r\n\r\n", 1)

// TestFragments joins fragments in any order, and leaves alone what never becomes complete.
func TestFragments(t *testing.T) {
	for name, ends := range map[string][2]string{"IPv4": {phone, pbx}, "IPv6": {phone6, pbx6}} {
		t.Run(name, func(t *testing.T) {
			want := sent(1, ends[0], ends[1], packet.UDP, long)
			pieces := fragment(record(layers.LinkTypeRaw, want).frames[0], 800, 7)
			lost := fragment(record(layers.LinkTypeRaw, want).frames[0], 800, 8)
			for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 1, 3, 0, 0, 2}} {
				r := record(layers.LinkTypeRaw)
				r.frames = append(r.frames, lost[0], lost[2])
				for _, i := range order {
					r.frames = append(r.frames, pieces[i])
				}
				r.times = slices.Repeat([]time.Time{want.Time}, len(r.frames))
				got, _ := read(t, r.pcap(65535))
				expect(t, got, lines(want))
			}
		})
	}
}

// TestExtensions reads a datagram behind extension headers of IPv6.
func TestExtensions(t *testing.T) {
	want := sent(1, phone6, pbx6, packet.UDP, options)
	r := record(layers.LinkTypeRaw, want)
	frame := r.frames[0]
	hop, dst := []byte{60, 0, 1, 4, 0, 0, 0, 0}, []byte{17, 0, 1, 4, 0, 0, 0, 0}
	frame = slices.Concat(frame[:40], hop, dst, frame[40:])
	frame[6] = 0
	binary.BigEndian.PutUint16(frame[4:], uint16(len(frame)-40))
	r.frames[0] = frame
	got, _ := read(t, r.pcap(65535))
	expect(t, got, lines(want))
}

// TestOrder reads the segments of one message in any order, again, and with gaps.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name  string
		order string // segments by their letters; ! is four seconds, $ a FIN
		want  string
		lost  int64
	}{
		{"in order", "abcdef", "abcdef", 0},
		{"reordered", "acbedf", "abcdef", 0},
		{"the last first", "afedcb", "abcdef", 0},
		{"sent again", "aabbacdcbdeff", "abcdef", 0},
		{"reordered and again", "acacbbdfeef", "abcdef", 0},
		{"lost", "abdef", "abdef", 1},
		{"lost, later skipped", "abde!f", "abdef", 1},
		{"lost, at its end", "abdf$", "abdf", 2},
		{"too late", "abd!ecf", "abdef", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := record(layers.LinkTypeRaw)
			r.Segment = 4
			whole := r.Frames(sent(0, phone, pbx, packet.TCP, "aaaabbbbccccddddeeeeffff"))
			r.frames = append(r.frames, whole[:3]...)
			at := began
			for _, letter := range c.order {
				switch letter {
				case '!':
					at = at.Add(4 * time.Second)
				case '$':
					fin := slices.Clone(whole[2])
					fin[20+13] |= 1
					r.frames = append(r.frames, fin)
				default:
					r.frames = append(r.frames, whole[3+letter-'a'])
				}
				for len(r.times) < len(r.frames) {
					r.times = append(r.times, at)
				}
			}
			packets, counts := read(t, r.pcap(65535))
			got := ""
			for _, line := range packets {
				_, payload, _ := strings.Cut(line, `"`)
				got += payload[:1]
			}
			if got != c.want || counts.Lost != c.lost {
				t.Errorf("got %q, %d lost; want %q, %d", got, counts.Lost, c.want, c.lost)
			}
		})
	}
}

// TestMidway reads a connection whose beginning was not recorded, and one on a port used again.
func TestMidway(t *testing.T) {
	r := record(layers.LinkTypeRaw)
	r.add(sent(0, phone, pbx, packet.TCP, "tail of a message"), sent(1, phone, pbx, packet.TCP, options))
	r.frames, r.times = r.frames[3:], r.times[3:]
	other := record(layers.LinkTypeRaw)
	other.add(sent(2, phone, pbx, packet.TCP, "used again"))
	for _, frame := range other.frames {
		binary.BigEndian.PutUint32(frame[24:], binary.BigEndian.Uint32(frame[24:])-1<<30)
		r.frames, r.times = append(r.frames, frame), append(r.times, other.times[0])
	}
	got, counts := read(t, r.pcap(65535))
	expect(t, got, lines(sent(0, phone, pbx, packet.TCP, "tail of a message"), sent(1, phone, pbx, packet.TCP, options), sent(2, phone, pbx, packet.TCP, "used again")))
	if counts.Lost != 0 {
		t.Errorf("counts %+v", counts)
	}
}

// TestBounds reads what an attacker can send without end, and holds no more than stated.
func TestBounds(t *testing.T) {
	hostile := map[string]func(d *decoder, s *sequencer, i int){
		"fragments": func(d *decoder, _ *sequencer, i int) {
			p := sent(0, fmt.Sprintf("198.18.%d.%d:5060", i>>8&255, i&255), pbx, packet.UDP, long)
			data := fragment(record(layers.LinkTypeRaw, p).frames[0], 1400, uint32(i))[i%2]
			d.decode(&frame{link: linkRaw, at: began, data: data})
		},
		"IPv6 fragments": func(d *decoder, _ *sequencer, i int) {
			data := fragment(record(layers.LinkTypeRaw, sent(0, phone6, pbx6, packet.UDP, long)).frames[0], 1400, uint32(i))[i%2]
			d.decode(&frame{link: linkRaw, at: began, data: data})
		},
		"connections": func(_ *decoder, s *sequencer, i int) {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), uint16(i>>16))
			tcp := decoder{from: from, to: netip.MustParseAddrPort(pbx), seq: 1, payload: []byte("x")}
			s.take(&tcp, began)
			tcp.seq, tcp.payload = 1000, make([]byte, 1400)
			s.take(&tcp, began)
			for s.pop(new(packet.Packet)) {
			}
		},
		"gaps": func(_ *decoder, s *sequencer, i int) {
			s.take(&decoder{from: netip.MustParseAddrPort(phone), to: netip.MustParseAddrPort(pbx), seq: uint32(2 * i), payload: []byte("x")}, began)
			for s.pop(new(packet.Packet)) {
			}
		},
	}
	for name, send := range hostile {
		t.Run(name, func(t *testing.T) {
			var d decoder
			var s sequencer
			before := golden.Heap()
			for i := range 40_000 {
				send(&d, &s, i)
			}
			if grown := golden.Heap() - before; grown > 48<<20 {
				t.Errorf("%d MB", grown>>20)
			}
			if s.held > maxHeld+maxHeldEach || d.fragments.held > maxFragments {
				t.Errorf("holds %d and %d bytes", s.held, d.fragments.held)
			}
			runtime.KeepAlive(&d)
			runtime.KeepAlive(&s)
		})
	}
}
