package hep

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"freeswitch-security/sources/sip/packet"
)

var comparable = cmpopts.EquateComparable(netip.AddrPort{})

func sample() packet.Packet {
	return packet.Packet{
		Time: time.Unix(1795891173, 883842000),
		From: netip.MustParseAddrPort("198.18.31.2:5071"), To: netip.MustParseAddrPort("10.77.0.10:5060"),
		Payload: []byte("OPTIONS sip:100@10.77.0.10 SIP/2.0\r\n\r\n"),
	}
}

func sample6() packet.Packet {
	p := sample()
	p.From, p.To = netip.MustParseAddrPort("[2001:db8::1]:5060"), netip.MustParseAddrPort("[2001:db8::2]:5061")
	p.Transport = packet.TLS
	return p
}

func TestDecodeAppended(t *testing.T) {
	for _, transport := range []packet.Transport{packet.UDP, packet.TCP, packet.TLS, packet.WS, packet.SCTP} {
		for _, want := range []packet.Packet{sample(), sample6()} {
			want.Transport = transport
			var got packet.Packet
			if err := Decode(Append(nil, &want), "", &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, comparable); diff != "" {
				t.Errorf("%s: %s", transport, diff)
			}
		}
	}
}

// chunk returns one chunk.
func chunk(vendor, kind uint16, value string) string {
	b := binary.BigEndian.AppendUint16(nil, vendor)
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(chunkSize+len(value)))
	return string(b) + value
}

// datagram returns the sample with further chunks.
func datagram(chunks ...string) []byte {
	p := sample()
	b := append(Append(nil, &p), strings.Join(chunks, "")...)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	return b
}

func TestDecodeChunks(t *testing.T) {
	keyed := chunk(0, chunkKey, "secret")
	for name, test := range map[string]struct {
		datagram []byte
		key      string
		err      error
	}{
		"as it is":        {datagram(), "", nil},
		"unknown chunks":  {datagram(chunk(0, 99, "x"), chunk(7, chunkFrom4, ""), chunk(0, 17, "corr")), "", nil},
		"right key":       {datagram(keyed), "secret", nil},
		"key not asked":   {datagram(keyed), "", nil},
		"no key":          {datagram(), "secret", ErrKey},
		"wrong key":       {datagram(keyed), "Secret", ErrKey},
		"longer key":      {datagram(keyed), "secrets", ErrKey},
		"RTCP":            {datagram(chunk(0, chunkType, "\x05")), "", ErrNotSIP},
		"no address":      {datagram(chunk(0, chunkFrom4, "\x00\x00\x00\x00")), "", ErrNoAddress},
		"IPv6 of sofia":   {datagram(chunk(0, chunkFrom6, string(make([]byte, 16)))), "", ErrNoAddress},
		"mapped address":  {datagram(chunk(0, chunkFrom6, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x12\x1f\x02")), "", nil},
		"short address":   {datagram(chunk(0, chunkFrom4, "\x00\x00\x00")), "", ErrMalformed},
		"long port":       {datagram(chunk(0, chunkFromPort, "\x00\x00\x00")), "", ErrMalformed},
		"microseconds":    {datagram(chunk(0, chunkMicros, "\xff\xff\xff")), "", ErrMalformed},
		"chunk too short": {datagram("\x00\x00\x00\x63\x00\x05"), "", ErrMalformed},
		"chunk too long":  {datagram("\x00\x00\x00\x63\x00\x07"), "", ErrMalformed},
		"half a chunk":    {datagram("\x00\x00\x00"), "", ErrMalformed},
		"bytes behind":    {append(datagram(), "behind"...), "", nil},
		"empty":           {nil, "", ErrMalformed},
		"header":          {[]byte("HEP3\x00\x05"), "", ErrMalformed},
		"no chunks":       {[]byte("HEP3\x00\x06"), "", ErrNoAddress},
		"other protocol":  {[]byte("OPTIONS sip:a SIP/2.0"), "", ErrMalformed},
		"compressed":      {datagram(chunk(0, chunkCompressed, "xx")), "", ErrCompressed},
	} {
		t.Run(name, func(t *testing.T) {
			want := sample()
			var got packet.Packet
			if err := Decode(test.datagram, test.key, &got); !errors.Is(err, test.err) {
				t.Fatalf("%v, want %v", err, test.err)
			}
			if diff := cmp.Diff(want, got, comparable); diff != "" && test.err == nil {
				t.Error(diff)
			}
		})
	}
}

// FreeSWITCH mirrors a payload of more than 16,000 bytes in neither of these ways whole.
func TestDecodeTruncated(t *testing.T) {
	p := sample()
	whole := Append(nil, &p)
	for n := len(whole) - len(p.Payload) - chunkSize; n < len(whole); n++ {
		var got packet.Packet
		if err := Decode(whole[:n], "", &got); err != nil || !got.Truncated {
			t.Fatalf("%d bytes: %v, truncated %t", n, err, got.Truncated)
		}
		if !bytes.HasPrefix(p.Payload, got.Payload) || got.From != p.From {
			t.Fatalf("%d bytes: %v", n, got)
		}
	}
	p.Payload = nil
	var got packet.Packet
	if err := Decode(Append(nil, &p), "", &got); err != nil || !got.Truncated || got.To != p.To {
		t.Errorf("empty payload: %v, %v", err, got)
	}
}

// old returns a datagram of version 1 or 2, with the time in the given order of bytes, of which
// the length counts some.
func old(version byte, p packet.Packet, order binary.AppendByteOrder, counted int) []byte {
	family := byte(2)
	if p.From.Addr().Is6() {
		family = 10
	}
	b := []byte{version, 0, family, protocols[p.Transport]}
	b = binary.BigEndian.AppendUint16(b, p.From.Port())
	b = binary.BigEndian.AppendUint16(b, p.To.Port())
	b = append(b, p.From.Addr().AsSlice()...)
	b = append(b, p.To.Addr().AsSlice()...)
	b[1] = byte(len(b) + counted)
	if version == 2 {
		b = order.AppendUint32(b, uint32(p.Time.Unix()))
		b = order.AppendUint32(b, uint32(p.Time.Nanosecond()/1000))
		b = append(b, make([]byte, 4)...)
	}
	return append(b, p.Payload...)
}

func TestDecodeOldVersions(t *testing.T) {
	for _, want := range []packet.Packet{sample(), sample6()} {
		dateless := want
		dateless.Time = time.Time{}
		for name, test := range map[string]struct {
			datagram []byte
			want     packet.Packet
		}{
			"1":             {old(1, want, binary.LittleEndian, 0), dateless},
			"2":             {old(2, want, binary.LittleEndian, 12), want},
			"2 of Kamailio": {old(2, want, binary.LittleEndian, 0), want},
			"2, big endian": {old(2, want, binary.BigEndian, 12), want},
		} {
			var got packet.Packet
			if err := Decode(test.datagram, "", &got); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(test.want, got, comparable); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			if err := Decode(test.datagram, "secret", &got); err != ErrKey {
				t.Errorf("%s with a key: %v", name, err)
			}
			for _, length := range []byte{0, 15, 17, 255} {
				test.datagram[1] = length
				if err := Decode(test.datagram, "", &got); err != ErrMalformed {
					t.Errorf("%s of length %d: %v", name, length, err)
				}
			}
		}
	}
}

func TestReader(t *testing.T) {
	p, p6 := sample(), sample6()
	stream := AppendKey(nil, &p, "k")
	stream = AppendKey(stream, &p6, "wrong")
	stream = append(stream, datagram(chunk(0, chunkType, "\x05"), chunk(0, chunkKey, "k"))...)
	stream = AppendKey(stream, &p6, "k")
	for _, in := range []io.Reader{bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream))} {
		r := NewReader(in, "k")
		var got packet.Packet
		for i, want := range []error{nil, ErrKey, ErrNotSIP, nil, io.EOF} {
			if err := r.Next(&got); err != want {
				t.Fatalf("%d: %v, want %v", i, err, want)
			}
		}
		if diff := cmp.Diff(p6, got, comparable); diff != "" {
			t.Error(diff)
		}
	}
}

func TestReaderEnds(t *testing.T) {
	p := sample()
	whole := Append(nil, &p)
	for name, test := range map[string]struct {
		stream []byte
		want   error
	}{
		"half a header": {whole[:3], io.ErrUnexpectedEOF},
		"half a packet": {whole[:20], io.ErrUnexpectedEOF},
		"other bytes":   {[]byte("GET / HTTP/1.1\r\n"), FramingError{}},
		"length":        {[]byte("HEP3\x00\x05"), FramingError{}},
		"version 2":     {old(2, p, binary.LittleEndian, 0), FramingError{}},
	} {
		var got packet.Packet
		if err := NewReader(bytes.NewReader(test.stream), "").Next(&got); err != test.want {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}
