package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"freeswitch-security/engine/golden"
	"freeswitch-security/sources/sip/packet"
	"freeswitch-security/sources/sip/siptest"
)

var began = time.Date(2026, 11, 28, 18, 39, 30, 123_456_000, time.UTC)

const (
	phone   = "198.51.100.65:5062"
	pbx     = "10.77.0.10:5060"
	phone6  = "[2001:db8:1::65]:5062"
	pbx6    = "[2001:db8::10]:5060"
	options = "OPTIONS sip:10.77.0.10 SIP/2.0\r\nCall-ID: 1\r\n\r\n"
	ok      = "SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\nCall-ID: 1\r\n\r\n"
)

// sent is a packet that is sent so many seconds after the beginning.
func sent(second float64, from, to string, transport packet.Transport, payload string) packet.Packet {
	at := began.Add(time.Duration(second * float64(time.Second)))
	return packet.Packet{Time: at, From: netip.MustParseAddrPort(from), To: netip.MustParseAddrPort(to), Transport: transport, Payload: []byte(payload)}
}

// A recording is frames and when they were seen.
type recording struct {
	siptest.Capture
	frames [][]byte
	times  []time.Time
}

func record(link layers.LinkType, packets ...packet.Packet) *recording {
	r := &recording{Capture: siptest.Capture{Link: link}}
	r.add(packets...)
	return r
}

func (r *recording) add(packets ...packet.Packet) {
	for _, p := range packets {
		for _, frame := range r.Frames(p) {
			r.frames = append(r.frames, frame)
			r.times = append(r.times, p.Time)
		}
	}
}

// pcap is the file of a recording, of frames cut at snap bytes.
func (r *recording) pcap(snap int) []byte {
	var file bytes.Buffer
	w := pcapgo.NewWriterNanos(&file)
	w.WriteFileHeader(uint32(snap), r.Link)
	for i, frame := range r.frames {
		cut := frame[:min(len(frame), snap)]
		w.WritePacket(gopacket.CaptureInfo{Timestamp: r.times[i], CaptureLength: len(cut), Length: len(frame)}, cut)
	}
	return file.Bytes()
}

// read returns a line for each packet of a capture.
func read(t *testing.T, file []byte) ([]string, Counts) {
	t.Helper()
	lines, counts, err := readAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return lines, counts
}

func readAll(file []byte) (lines []string, counts Counts, err error) {
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, counts, err
	}
	for {
		var p packet.Packet
		if err := r.Next(&p); err == io.EOF {
			return lines, r.Counts, nil
		} else if err != nil {
			return lines, r.Counts, err
		}
		lines = append(lines, line(p))
	}
}

func line(p packet.Packet) string {
	cut := ""
	if p.Truncated {
		cut = " ..."
	}
	return fmt.Sprintf("%s %s %s>%s %q%s", p.Time.UTC().Format("05.000000000"), p.Transport, p.From, p.To, p.Payload, cut)
}

func lines(packets ...packet.Packet) (want []string) {
	for _, p := range packets {
		want = append(want, line(p))
	}
	return want
}

func expect(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// dialogue is the same exchange over both transports and both families.
var dialogue = []packet.Packet{
	sent(0, phone, pbx, packet.UDP, options), sent(0.1, pbx, phone, packet.UDP, ok),
	sent(1, phone6, pbx6, packet.UDP, options), sent(1.1, pbx6, phone6, packet.UDP, ok),
	sent(2, phone, pbx, packet.TCP, options), sent(2.1, pbx, phone, packet.TCP, ok),
	sent(3, phone6, pbx6, packet.TCP, options), sent(3.1, pbx6, phone6, packet.TCP, ok),
	sent(4, phone, pbx, packet.UDP, "garbage"), sent(5, phone, pbx, packet.UDP, ""),
}

func TestLinks(t *testing.T) {
	for name, r := range map[string]*recording{
		"Ethernet":  record(layers.LinkTypeEthernet),
		"VLAN":      {Capture: siptest.Capture{Link: layers.LinkTypeEthernet, VLANs: []uint16{7}}},
		"QinQ":      {Capture: siptest.Capture{Link: layers.LinkTypeEthernet, VLANs: []uint16{7, 8}}},
		"cooked":    record(layers.LinkTypeLinuxSLL),
		"cooked v2": record(layers.LinkTypeLinuxSLL2),
		"raw":       record(layers.LinkTypeRaw),
		"loopback":  record(layers.LinkTypeNull),
	} {
		t.Run(name, func(t *testing.T) {
			r.add(dialogue...)
			got, counts := read(t, r.pcap(65535))
			expect(t, got, lines(dialogue...))
			if counts.Frames != int64(len(r.frames)) || counts.Lost+counts.Truncated+counts.Encrypted != 0 {
				t.Errorf("counts %+v", counts)
			}
		})
	}
}

// TestFormats reads one recording in all formats.
func TestFormats(t *testing.T) {
	r := record(layers.LinkTypeEthernet, dialogue...)
	want := lines(dialogue...)
	little := r.pcap(65535)
	big := append([]byte{}, little...)
	for i := 0; i < len(big); { // the fields of all heads
		fields := []int{4, 4, 4, 4}
		if i == 0 {
			fields = []int{4, 2, 2, 4, 4, 4, 4}
		}
		body := int(binary.LittleEndian.Uint32(little[i+8:]))
		if i == 0 {
			body = 0
		}
		for _, n := range fields {
			slices.Reverse(big[i : i+n])
			i += n
		}
		i += body
	}
	var ng bytes.Buffer
	w, err := pcapgo.NewNgWriter(&ng, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	second, _ := w.AddInterface(pcapgo.NgInterface{Name: "raw", LinkType: layers.LinkTypeRaw})
	raw := record(layers.LinkTypeRaw, dialogue...)
	for i := range r.frames {
		of, frame := 0, r.frames[i]
		if i%2 == 1 {
			of, frame = second, raw.frames[i]
		}
		w.WritePacket(gopacket.CaptureInfo{Timestamp: r.times[i], CaptureLength: len(frame), Length: len(frame), InterfaceIndex: of}, frame)
	}
	w.Flush()
	for name, file := range map[string][]byte{"little endian": little, "big endian": big, "pcapng": ng.Bytes()} {
		t.Run(name, func(t *testing.T) {
			if !Is(file) {
				t.Error("not recognised")
			}
			got, _ := read(t, file)
			expect(t, got, want)
		})
	}
	t.Run("sections", func(t *testing.T) {
		got, _ := read(t, slices.Concat(ng.Bytes(), ng.Bytes()))
		expect(t, got[:len(want)], want)
		if len(got) < 2*len(want)-4 { // what TCP sent again is not read again
			t.Errorf("%d packets of two sections", len(got))
		}
	})
}

// TestPorts tells SIP from what else is on the wire.
func TestPorts(t *testing.T) {
	const odd, media = "10.77.0.10:5090", "10.77.0.10:20000"
	rtp := "\x80\x00\x12\x34 voice"
	seen := []packet.Packet{
		sent(1, phone, odd, packet.UDP, options),
		sent(2, odd, phone, packet.UDP, ok),
		sent(3, phone, odd, packet.UDP, "GET / HTTP/1.1\r\n\r\n"),
		sent(4, phone, media, packet.UDP, options), // a scan
		sent(7, "198.51.100.66:4000", odd, packet.TCP, options),
		sent(8, phone, "10.77.0.10:5061", packet.UDP, "garbage"),
		sent(9, phone, "10.77.0.10:5061", packet.TCP, options),
	}
	r := record(layers.LinkTypeEthernet, sent(0, phone, odd, packet.UDP, "GET / HTTP/1.1\r\n\r\n"))
	r.add(seen[:4]...)
	r.add(sent(5, phone, media, packet.UDP, rtp), sent(6, media, phone, packet.UDP, "anything"), sent(6.5, phone, odd, packet.UDP, rtp))
	r.add(sent(6.6, "198.51.100.66:4000", "10.77.0.10:443", packet.TCP, "GET / HTTP/1.1\r\n\r\n"))
	r.add(sent(6.7, "198.51.100.67:4000", "10.77.0.10:5061", packet.TCP, "\x16\x03\x01\x02\x00\x01"))
	r.add(seen[4:]...)
	got, counts := read(t, r.pcap(65535))
	expect(t, got, lines(seen...))
	if counts.Encrypted != 1 {
		t.Errorf("counts %+v, want one encrypted piece", counts)
	}
}

func TestTruncated(t *testing.T) {
	r := record(layers.LinkTypeEthernet, dialogue...)
	got, counts := read(t, r.pcap(80))
	want := slices.Concat(dialogue[:4], dialogue[8:]) // truncated pieces of a connection are gaps
	for i, recorded := range []int{38, 38, 18, 18} {
		want[i].Payload, want[i].Truncated = want[i].Payload[:recorded], true
	}
	expect(t, got, lines(want...))
	if counts.Truncated != 8 {
		t.Errorf("counts %+v, want 8 truncated", counts)
	}
}

// TestEnd says what is wrong with a file, after everything that could be read.
func TestEnd(t *testing.T) {
	whole := record(layers.LinkTypeEthernet, dialogue[:2]...).pcap(65535)
	for _, c := range []struct {
		file    []byte
		packets int
		err     string
	}{
		{whole[:len(whole)-3], 1, "after 1 packets: the capture ends within a packet"},
		{slices.Concat(whole, bytes.Repeat([]byte{0xff}, 40)), 2, "after 2 packets: a packet of 4294967295 bytes, where the capture has at most 65535: the file is damaged"},
		{whole[:24], 0, ""},
		{whole[:10], 0, "read the head of the capture: unexpected EOF"},
		{[]byte("2026-11-28 18:39:30 [NOTICE]"), 0, "read the head of the capture: neither pcap nor pcapng"},
		{nil, 0, "read the head of the capture: neither pcap nor pcapng"},
	} {
		got, _, err := readAll(c.file)
		if len(got) != c.packets || (err == nil) != (c.err == "") || err != nil && !strings.HasPrefix(err.Error(), c.err) {
			t.Errorf("%d packets, error %v; want %d, %q", len(got), err, c.packets, c.err)
		}
	}
	failed := errors.New("disk failed")
	if _, err := NewReader(io.MultiReader(bytes.NewReader(whole[:2]), failing{failed})); !errors.Is(err, failed) {
		t.Errorf("error %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestRecorded reads what tcpdump -i any and dumpcap recorded of the same traffic: a probe over
// UDP, in fragments, and TCP, over IPv4 and IPv6.
func TestRecorded(t *testing.T) {
	var want []string
	for _, ends := range [][2]string{{"10.9.0.2:507%d", "10.9.0.1:5060"}, {"[fd00:9::2]:507%d", "[fd00:9::1]:5060"}} {
		for _, long := range []int{0, 1600} {
			for _, transport := range []packet.Transport{packet.UDP, packet.TCP} {
				n, name := len(want)/2+1, strings.ToUpper(transport.String())
				probe := fmt.Sprintf("OPTIONS sip:10.9.0.1 SIP/2.0\r\nVia: SIP/2.0/%s 10.9.0.2;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n"+
					"Call-ID: c%d\r\nCSeq: 1 OPTIONS\r\nUser-Agent: probe%s\r\nContent-Length: 0\r\n\r\n", name, n, n, strings.Repeat("x", long))
				client := fmt.Sprintf(ends[0], n)
				want = append(want, line(sent(0, client, ends[1], transport, probe)),
					line(sent(0, ends[1], client, transport, "SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")))
			}
		}
	}
	for _, name := range []string{"tcpdump-any.pcap.gz", "dumpcap.pcapng.gz"} {
		t.Run(name, func(t *testing.T) {
			got, counts := read(t, golden.Read(t, "testdata/"+name))
			stamp := regexp.MustCompile(`^\S+`)
			for i := range got {
				got[i] = stamp.ReplaceAllString(got[i], began.Format("05.000000000"))
			}
			expect(t, got, want)
			if counts.Lost+counts.Truncated+counts.Encrypted != 0 {
				t.Errorf("counts %+v", counts)
			}
		})
	}
}
