package pcap

import (
	"net"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// A decoder finds the UDP datagram or TCP segment in a frame. Its fields are those of the last
// frame, and slices of it.
type decoder struct {
	table gopacket.DecodingLayerSparse

	ethernet layers.Ethernet
	vlan     layers.Dot1Q
	cooked   layers.LinuxSLL
	cooked2  layers.LinuxSLL2
	loopback layers.Loopback
	ip4      layers.IPv4
	ip6      layers.IPv6
	options6 layers.IPv6ExtensionSkipper
	piece6   layers.IPv6Fragment
	udp      layers.UDP
	tcp      layers.TCP

	src, dst  net.IP
	truncated bool
	fragments fragments
}

func (d *decoder) init() {
	var table gopacket.DecodingLayerContainer = d.table
	for _, layer := range []gopacket.DecodingLayer{&d.ethernet, &d.vlan, &d.cooked, &d.cooked2, &d.loopback,
		&d.ip4, &d.ip6, &d.options6, &d.piece6, &d.udp, &d.tcp} { // piece6 replaces one of options6
		table = table.Put(layer)
	}
	d.table = table.(gopacket.DecodingLayerSparse)
	d.fragments.reset()
}

// SetTruncated is called by a layer that was not recorded to its end.
func (d *decoder) SetTruncated() { d.truncated = true }

// first returns the type of a frame's outermost layer.
func first(link layers.LinkType, frame []byte) gopacket.LayerType {
	switch link {
	case layers.LinkTypeEthernet:
		return layers.LayerTypeEthernet
	case layers.LinkTypeLinuxSLL:
		return layers.LayerTypeLinuxSLL
	case layers.LinkTypeLinuxSLL2:
		return layers.LayerTypeLinuxSLL2
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		return layers.LayerTypeLoopback
	case layers.LinkTypeRaw, layers.LinkTypeIPv4, layers.LinkTypeIPv6, 12, 14: // raw IP of some systems
		if len(frame) > 0 && frame[0]>>4 == 6 {
			return layers.LayerTypeIPv6
		}
		return layers.LayerTypeIPv4
	}
	return gopacket.LayerTypeZero
}

// decode reads a frame. It returns UDP or TCP; Fragment: one that was not recorded to its end;
// zero: anything else.
func (d *decoder) decode(typ gopacket.LayerType, data []byte, at time.Time) gopacket.LayerType {
	d.truncated = false
	for {
		layer, known := d.table.Decoder(typ)
		if !known || layer.DecodeFromBytes(data, d) != nil {
			return gopacket.LayerTypeZero
		}
		switch typ {
		case layers.LayerTypeIPv4:
			d.src, d.dst = d.ip4.SrcIP, d.ip4.DstIP
		case layers.LayerTypeIPv6:
			d.src, d.dst = d.ip6.SrcIP, d.ip6.DstIP
		case layers.LayerTypeUDP, layers.LayerTypeTCP:
			return typ
		}
		inner := layer.NextLayerType()
		data = layer.LayerPayload()
		if inner != gopacket.LayerTypeFragment {
			typ = inner
		} else if d.truncated {
			return inner
		} else if typ, data = d.fragments.join(typ, d, at); data == nil {
			return gopacket.LayerTypeZero
		}
	}
}

func (d *decoder) endpoints(from, to uint16) (netip.AddrPort, netip.AddrPort) {
	src, _ := netip.AddrFromSlice(d.src) // of 4 or 16 bytes
	dst, _ := netip.AddrFromSlice(d.dst)
	return netip.AddrPortFrom(src.Unmap(), from), netip.AddrPortFrom(dst.Unmap(), to)
}
