package hep

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"freeswitch-security/sources/sip/packet"
)

func seeds() [][]byte {
	p, p6 := sample(), sample6()
	return [][]byte{Append(nil, &p), Append(nil, &p6), AppendKey(nil, &p, "k"), old(1, p, binary.LittleEndian, 0), old(2, p6, binary.LittleEndian, 12),
		datagram(chunk(0, chunkCompressed, "\x78\x9c\x03\x00\x00\x00\x00\x01"))}
}

func FuzzDecode(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var keyed, p, again packet.Packet
		if Decode(b, "k", &keyed) == nil && !bytes.HasPrefix(b, magic) {
			t.Error("believed without a key")
		}
		if err := Decode(b, "", &p); err != nil {
			return
		}
		if !isAddress(p.From.Addr()) || !isAddress(p.To.Addr()) || p.From.Addr().Is4In6() {
			t.Fatalf("%v", p)
		}
		if p.Time.Unix() < 0 || p.Truncated || len(p.Payload) > 1<<16-200 {
			return
		}
		if err := Decode(Append(nil, &p), "", &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, again, comparable); diff != "" {
			t.Error(diff)
		}
	})
}

// Whatever the pieces of a connection, its packets are the same, and it ends.
func FuzzReader(f *testing.F) {
	f.Add(bytes.Join(seeds()[:3], nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, pieces := NewReader(bytes.NewReader(b), ""), NewReader(iotest.OneByteReader(bytes.NewReader(b)), "")
		for range len(b)/headerSize + 2 {
			var p, q packet.Packet
			err1, err2 := whole.Next(&p), pieces.Next(&q)
			if err1 != err2 || !cmp.Equal(p, q, comparable) {
				t.Fatalf("%v, %v: %v, %v", err1, err2, p, q)
			}
			if err1 == io.EOF || err1 == io.ErrUnexpectedEOF || err1 == (FramingError{}) {
				return
			}
		}
		t.Error("the connection does not end")
	})
}
