package pcap

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// TestAgainstGopacket reads mutated frames as gopacket does, where gopacket reads them at all.
func TestAgainstGopacket(t *testing.T) {
	random, compared := rand.New(rand.NewPCG(1, 2)), 0
	links := map[layers.LinkType]gopacket.LayerType{
		layers.LinkTypeEthernet: layers.LayerTypeEthernet, layers.LinkTypeLinuxSLL: layers.LayerTypeLinuxSLL,
		layers.LinkTypeLinuxSLL2: layers.LayerTypeLinuxSLL2, layers.LinkTypeNull: layers.LayerTypeLoopback,
	}
	for link, first := range links {
		frames := record(link, dialogue...).frames
		for range 5000 {
			data := bytes.Clone(frames[random.IntN(len(frames))])
			for range random.IntN(3) {
				data[random.IntN(min(len(data), 74))] ^= 1 << random.IntN(8)
			}
			data = data[:len(data)-random.IntN(3)*random.IntN(len(data)/2)]
			want := byGopacket(first, data)
			if want == "" {
				continue
			}
			compared++
			var d decoder
			if got := describe(d.decode(&frame{link: uint32(link), data: data}), &d); got != want {
				t.Fatalf("link %s, frame %x:\ngot  %s\nwant %s", link, data, got, want)
			}
		}
	}
	if compared < 10_000 {
		t.Errorf("%d frames compared", compared)
	}
}

func describe(what found, d *decoder) string {
	switch what {
	case datagram:
		return fmt.Sprintf("udp %s %s %q", d.from, d.to, d.payload)
	case segment:
		return fmt.Sprintf("tcp %s %s %d %q", d.from, d.to, d.seq, d.payload)
	}
	return "nothing"
}

// byGopacket returns "" for what it cannot read, fragments included.
func byGopacket(first gopacket.LayerType, data []byte) string {
	p := gopacket.NewPacket(data, first, gopacket.DecodeOptions{NoCopy: true, DecodeStreamsAsDatagrams: true})
	if p.ErrorLayer() != nil || p.Layer(gopacket.LayerTypeFragment) != nil || p.NetworkLayer() == nil {
		return ""
	}
	// It does not look at the version of IP, which the kernel does.
	if ip, ok := p.NetworkLayer().(*layers.IPv4); ok && ip.Version != 4 {
		return ""
	}
	if ip, ok := p.NetworkLayer().(*layers.IPv6); ok && ip.Version != 6 {
		return ""
	}
	d := decoder{}
	src, dst := p.NetworkLayer().NetworkFlow().Endpoints()
	switch l := p.TransportLayer().(type) {
	case *layers.UDP:
		d.from, d.to, d.payload = end(src, uint16(l.SrcPort)), end(dst, uint16(l.DstPort)), l.Payload
		return describe(datagram, &d)
	case *layers.TCP:
		d.from, d.to, d.payload, d.seq = end(src, uint16(l.SrcPort)), end(dst, uint16(l.DstPort)), l.Payload, l.Seq
		return describe(segment, &d)
	}
	return ""
}

func end(host gopacket.Endpoint, port uint16) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(host.Raw())
	return netip.AddrPortFrom(addr.Unmap(), port)
}
