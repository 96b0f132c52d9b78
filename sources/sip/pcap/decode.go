package pcap

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Types of links.
const (
	linkNull     = 0
	linkEthernet = 1
	linkRawBSD   = 12
	linkRawOpen  = 14
	linkRaw      = 101
	linkLoop     = 108
	linkSLL      = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276
)

// Numbers of protocols within IP. The first four are extension headers of IPv6.
const (
	hopOptions  = 0
	routing     = 43
	destination = 60
	extFragment = 44
	protoTCP    = 6
	protoUDP    = 17
)

// A decoder finds the UDP datagram or TCP segment in a frame. Its fields are those of the last
// frame, and slices of it.
type decoder struct {
	from, to  netip.AddrPort
	payload   []byte
	seq       uint32 // of TCP
	flags     byte
	truncated bool // not recorded to its end
	fragments fragments
}

// Flags of a TCP segment.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
)

// What a decoder finds.
type found int

const (
	nothing found = iota // that is read
	datagram
	segment
	torn // a fragment that was not recorded to its end
)

// decode reads a frame.
func (d *decoder) decode(f *frame) found {
	d.truncated = false
	data := network(f.link, f.data)
	if len(data) < 1 {
		return nothing
	}
	switch data[0] >> 4 {
	case 4:
		return d.ipv4(data, f.at)
	case 6:
		return d.ipv6(data, f.at)
	}
	return nothing
}

// network returns what a frame carries if that is IP, else nil.
func network(link uint32, data []byte) []byte {
	kind, head := 0, 0 // where the type of what follows stands, and how long the header is
	switch link {
	case linkEthernet:
		kind, head = 12, 14
	case linkSLL:
		kind, head = 14, 16
	case linkSLL2:
		kind, head = 0, 20
	case linkNull, linkLoop:
		if len(data) < 4 {
			return nil
		}
		return data[4:] // the family before it has another number on each system
	case linkRaw, linkIPv4, linkIPv6, linkRawBSD, linkRawOpen:
		return data
	default:
		return nil
	}
	for len(data) >= head {
		switch binary.BigEndian.Uint16(data[kind:]) {
		case 0x0800, 0x86dd: // IPv4, IPv6
			return data[head:]
		case 0x8100, 0x88a8, 0x9100: // VLAN: the type is repeated behind it
			data, kind, head = data[head:], 2, 4
		default:
			return nil
		}
	}
	return nil
}

// until cuts what is padding off data. It notes whether data end before n bytes.
func (d *decoder) until(data []byte, n int) []byte {
	if n > len(data) {
		d.truncated = true
		return data
	}
	return data[:n]
}

func (d *decoder) ipv4(data []byte, at time.Time) found {
	if len(data) < 20 {
		return nothing
	}
	head := int(data[0]&15) * 4
	if total := int(binary.BigEndian.Uint16(data[2:])); total != 0 { // 0: the network card cuts it later
		data = d.until(data, total)
	}
	if head < 20 || head > len(data) {
		return nothing
	}
	src, dst := netip.AddrFrom4([4]byte(data[12:])), netip.AddrFrom4([4]byte(data[16:]))
	place, protocol := binary.BigEndian.Uint16(data[6:]), data[9]
	if place&0x3fff == 0 {
		return d.transport(protocol, src, dst, data[head:])
	}
	return d.join(whole{src: src, dst: dst, number: uint32(binary.BigEndian.Uint16(data[4:])), protocol: protocol},
		part{at: int(place&0x1fff) * 8, data: data[head:], more: place&0x2000 != 0, next: protocol}, at)
}

func (d *decoder) ipv6(data []byte, at time.Time) found {
	if len(data) < 40 {
		return nothing
	}
	next, rest := data[6], data[40:]
	if n := int(binary.BigEndian.Uint16(data[4:])); n != 0 {
		rest = d.until(rest, n)
	}
	src, dst := netip.AddrFrom16([16]byte(data[8:])), netip.AddrFrom16([16]byte(data[24:]))
	return d.extensions(next, src.Unmap(), dst.Unmap(), rest, at)
}

// extensions skips the extension headers of an IPv6 packet.
func (d *decoder) extensions(next byte, src, dst netip.Addr, rest []byte, at time.Time) found {
	for len(rest) >= 8 {
		switch next {
		case hopOptions, routing, destination:
			n := 8 + int(rest[1])*8
			if n > len(rest) {
				return nothing
			}
			next, rest = rest[0], rest[n:]
		case extFragment:
			place := binary.BigEndian.Uint16(rest[2:])
			if place&0xfff9 == 0 { // the only one
				next, rest = rest[0], rest[8:]
				continue
			}
			return d.join(whole{src: src, dst: dst, number: binary.BigEndian.Uint32(rest[4:])},
				part{at: int(place &^ 7), data: rest[8:], more: place&1 != 0, next: rest[0]}, at)
		default:
			return d.transport(next, src, dst, rest)
		}
	}
	return nothing
}

// join takes a fragment, and reads the packet if it is the last one of it.
func (d *decoder) join(of whole, p part, at time.Time) found {
	if d.truncated {
		return torn
	}
	next, data := d.fragments.join(of, p, at)
	switch {
	case data == nil:
		return nothing
	case of.src.Is4():
		return d.transport(next, of.src, of.dst, data)
	}
	return d.extensions(next, of.src, of.dst, data, at)
}

// transport reads the header of UDP or TCP.
func (d *decoder) transport(protocol byte, src, dst netip.Addr, data []byte) found {
	if len(data) < 8 {
		return nothing
	}
	d.from = netip.AddrPortFrom(src, binary.BigEndian.Uint16(data))
	d.to = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(data[2:]))
	switch {
	case protocol == protoUDP:
		if n := int(binary.BigEndian.Uint16(data[4:])); n >= 8 {
			data = d.until(data, n)
		} else if n != 0 {
			return nothing
		}
		d.payload = data[8:]
		return datagram
	case protocol == protoTCP && len(data) >= 20:
		head := int(data[12]>>4) * 4
		if head < 20 || head > len(data) {
			return nothing
		}
		d.seq, d.flags, d.payload = binary.BigEndian.Uint32(data[4:]), data[13], data[head:]
		return segment
	}
	return nothing
}
