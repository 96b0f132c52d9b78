package pcap

import (
	"slices"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"freeswitch-security/sources/sip/packet"
)

// FuzzFile reads a file: no panic, and it ends.
func FuzzFile(f *testing.F) {
	f.Add(record(layers.LinkTypeEthernet, dialogue...).pcap(65535))
	f.Add(record(layers.LinkTypeLinuxSLL2, dialogue...).pcap(100))
	f.Add(slices.Concat(section, block(blockInterface, uint16(layers.LinkTypeRaw), uint16(0), uint32(0)), block(blockSimple, uint32(4), []byte("abcd"))))
	f.Fuzz(func(t *testing.T, file []byte) {
		readAll(file)
	})
}

// FuzzFrames reads two frames of any link between two that it must not lose.
func FuzzFrames(f *testing.F) {
	links := []layers.LinkType{layers.LinkTypeEthernet, layers.LinkTypeLinuxSLL, layers.LinkTypeLinuxSLL2, layers.LinkTypeRaw, layers.LinkTypeNull}
	for i, link := range links {
		frames := record(link, dialogue...).frames
		for j := 1; j < len(frames); j++ {
			f.Add(byte(i), frames[j-1], frames[j])
		}
	}
	for _, p := range []packet.Packet{sent(1, phone, pbx, packet.UDP, long), sent(1, phone6, pbx6, packet.UDP, long)} {
		pieces := fragment(record(layers.LinkTypeRaw, p).frames[0], 1600, 1)
		f.Add(byte(3), pieces[1], pieces[0])
	}
	f.Fuzz(func(t *testing.T, link byte, one, two []byte) {
		first, last := sent(0, phone, pbx, packet.UDP, "first"), sent(9, phone, pbx, packet.UDP, "last")
		r := record(links[int(link)%len(links)], first)
		for _, frame := range [][]byte{one, two} {
			r.frames, r.times = append(r.frames, frame), append(r.times, began)
		}
		r.add(last)
		got, counts, err := readAll(r.pcap(1 << 17))
		if err != nil || counts.Frames != 4 || got[0] != line(first) || !slices.Contains(got, line(last)) {
			t.Errorf("%d packets, %+v, %v: %q", len(got), counts, err, got)
		}
	})
}
