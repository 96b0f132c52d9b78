package pcap

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"freeswitch-security/sources/sip/packet"
)

// block makes a block of a big-endian pcapng file.
func block(kind uint32, fields ...any) []byte {
	var body []byte
	for _, f := range fields {
		switch f := f.(type) {
		case []byte:
			body = append(body, f...)
		default:
			body, _ = binary.Append(body, binary.BigEndian, f)
		}
	}
	body = append(body, make([]byte, -len(body)&3)...)
	n := uint32(len(body) + 12)
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, kind), n)
	return binary.BigEndian.AppendUint32(append(head, body...), n)
}

var section = block(blockSection, uint32(0x1a2b3c4d), uint16(1), uint16(0), int64(-1))

// TestBlocks reads what other programs than tcpdump and dumpcap write: big-endian files, blocks
// without a stamp, and stamps of other units.
func TestBlocks(t *testing.T) {
	first, second := sent(0, phone, pbx, packet.UDP, options), sent(1, pbx, phone, packet.UDP, ok)
	frames := record(layers.LinkTypeRaw, first, second).frames
	described := func(options ...any) []byte {
		return block(blockInterface, append([]any{uint16(layers.LinkTypeRaw), uint16(0), uint32(0)}, options...)...)
	}
	enhanced := func(stamp uint64, frame []byte) []byte {
		return block(blockEnhanced, uint32(0), stamp, uint32(len(frame)), uint32(len(frame)), frame)
	}
	at := uint64(began.UnixNano())
	want := lines(first, second)
	for name, blocks := range map[string][][]byte{
		"µs":       {described(), enhanced(at/1000, frames[0]), enhanced(at/1000+1e6, frames[1])},
		"ns":       {described(uint16(9), uint16(1), []byte{9, 0, 0, 0}), enhanced(at, frames[0]), enhanced(at+1e9, frames[1])},
		"offset":   {described(uint16(14), uint16(8), int64(3600)), enhanced(at/1000-3600e6, frames[0]), enhanced(at/1000-3599e6, frames[1])},
		"obsolete": {described(), block(blockObsolete, uint16(0), uint16(0), at/1000, uint32(len(frames[0])), uint32(len(frames[0])), frames[0]), enhanced(at/1000+1e6, frames[1])},
		"others":   {block(5, uint32(0)), described(), enhanced(at/1000, frames[0]), block(4, make([]byte, 70_000)), enhanced(at/1000+1e6, frames[1])},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := read(t, slices.Concat(section, slices.Concat(blocks...)))
			expect(t, got, want)
		})
	}
	t.Run("simple", func(t *testing.T) {
		simple := block(blockSimple, uint32(len(frames[1])), frames[1])
		got, _ := read(t, slices.Concat(section, described(), enhanced(at/1000, frames[0]), simple))
		second.Time = began
		expect(t, got, lines(first, second))
	})
	t.Run("binary units", func(t *testing.T) {
		i := ngInterface{perSecond: units(0x80 | 10)}
		if got, want := i.time(5<<10|512), time.Unix(5, 5e8); !got.Equal(want) {
			t.Errorf("%s, want %s", got, want)
		}
		for n := range 256 {
			i.perSecond = units(byte(n))
			i.time(^uint64(0)) // no panic
		}
	})
}

// TestDamagedBlocks says that a file is damaged, after what could be read.
func TestDamagedBlocks(t *testing.T) {
	frame := record(layers.LinkTypeRaw, dialogue[0]).frames[0]
	described := block(blockInterface, uint16(layers.LinkTypeRaw), uint16(0), uint32(0))
	good := slices.Concat(section, described, block(blockEnhanced, uint32(0), uint64(0), uint32(len(frame)), uint32(len(frame)), frame))
	other := slices.Clone(described)
	other[len(other)-1]++
	for name, tail := range map[string][]byte{
		"short":      {0, 0, 0, 6, 0, 0, 0, 8},
		"uneven":     {0, 0, 0, 6, 0, 0, 0, 13, 0},
		"long":       {0, 0, 0, 6, 0xff, 0xff, 0xff, 0xfc},
		"two sizes":  other,
		"no order":   block(blockSection, uint32(0), uint32(0), int64(-1)),
		"long frame": block(blockEnhanced, uint32(0), uint64(0), uint32(99), uint32(99), frame[:20]),
		"no frame":   block(blockEnhanced, uint32(0)),
		"interface":  block(blockInterface, uint16(1)),
	} {
		got, _, err := readAll(slices.Concat(good, tail))
		if len(got) != 1 || err == nil {
			t.Errorf("%s: %d packets, error %v", name, len(got), err)
		}
	}
	// A packet of an interface that is not described is skipped.
	if got, _, err := readAll(slices.Concat(section, good[len(section)+len(described):], good)); len(got) != 1 || err != nil {
		t.Errorf("%d packets, error %v", len(got), err)
	}
}
