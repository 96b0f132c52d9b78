package siptest

import (
	"encoding/binary"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"freeswitch-security/sources/sip/packet"
)

// A Capture turns packets into the frames that a capture of them holds. Payloads over a connection
// are cut into segments.
type Capture struct {
	Link    layers.LinkType // Ethernet, LinuxSLL, LinuxSLL2, Raw, Null
	VLANs   []uint16        // numbers of VLAN headers, of Ethernet alone
	Segment int             // bytes of the longest segment; 0: 1400

	next   map[[2]string]uint32 // the sequence number of each direction
	buffer gopacket.SerializeBuffer
}

// Frames returns the frames of a packet. The first one of a connection is preceded by a handshake.
func (c *Capture) Frames(p packet.Packet) [][]byte {
	if p.Transport == packet.UDP {
		udp := &layers.UDP{SrcPort: layers.UDPPort(p.From.Port()), DstPort: layers.UDPPort(p.To.Port())}
		return [][]byte{c.frame(p, layers.IPProtocolUDP, udp, p.Payload)}
	}
	if c.next == nil {
		c.next = map[[2]string]uint32{}
	}
	var frames [][]byte
	there, back := [2]string{p.From.String(), p.To.String()}, [2]string{p.To.String(), p.From.String()}
	segment := func(q packet.Packet, t layers.TCP, payload []byte) {
		t.SrcPort, t.DstPort = layers.TCPPort(q.From.Port()), layers.TCPPort(q.To.Port())
		frames = append(frames, c.frame(q, layers.IPProtocolTCP, &t, payload))
	}
	if _, open := c.next[there]; !open {
		c.next[there], c.next[back] = 0xfffff000, 0x10000000 // one of them wraps soon
		reply := p
		reply.From, reply.To = p.To, p.From
		segment(p, layers.TCP{SYN: true, Seq: c.next[there] - 1}, nil)
		segment(reply, layers.TCP{SYN: true, ACK: true, Seq: c.next[back] - 1, Ack: c.next[there]}, nil)
		segment(p, layers.TCP{ACK: true, Seq: c.next[there], Ack: c.next[back]}, nil)
	}
	longest := c.Segment
	if longest == 0 {
		longest = 1400
	}
	for rest := p.Payload; len(rest) > 0; {
		part := rest[:min(len(rest), longest)]
		rest = rest[len(part):]
		segment(p, layers.TCP{ACK: true, PSH: len(rest) == 0, Seq: c.next[there], Ack: c.next[back]}, part)
		c.next[there] += uint32(len(part))
	}
	return frames
}

// frame puts a payload into the headers of all layers.
func (c *Capture) frame(p packet.Packet, protocol layers.IPProtocol, transport gopacket.SerializableLayer, payload []byte) []byte {
	if c.buffer == nil {
		c.buffer = gopacket.NewSerializeBuffer()
	}
	var ip gopacket.SerializableLayer
	kind, family := layers.EthernetTypeIPv4, layers.ProtocolFamilyIPv4
	from, to := p.From.Addr().AsSlice(), p.To.Addr().AsSlice()
	if p.From.Addr().Is4() {
		ip = &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: from, DstIP: to}
	} else {
		ip = &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: from, DstIP: to}
		kind, family = layers.EthernetTypeIPv6, layers.ProtocolFamilyIPv6Linux
	}
	stack := []gopacket.SerializableLayer{ip, transport, gopacket.Payload(payload)}
	if err := gopacket.SerializeLayers(c.buffer, gopacket.SerializeOptions{FixLengths: true}, stack...); err != nil {
		panic(err) // a payload of more than 65,000 bytes
	}
	return append(c.head(kind, family), c.buffer.Bytes()...)
}

// head returns the header of the link.
func (c *Capture) head(kind layers.EthernetType, family layers.ProtocolFamily) []byte {
	var b []byte
	u16 := func(n uint16) { b = binary.BigEndian.AppendUint16(b, n) }
	switch c.Link {
	case layers.LinkTypeEthernet:
		b = append(b, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02"...)
		for i, vlan := range c.VLANs {
			tag := layers.EthernetTypeDot1Q
			if i < len(c.VLANs)-1 {
				tag = layers.EthernetTypeQinQ
			}
			u16(uint16(tag))
			u16(vlan)
		}
		u16(uint16(kind))
	case layers.LinkTypeLinuxSLL:
		b = append(b, "\x00\x00\x00\x01\x00\x06\x02\x00\x00\x00\x00\x02\x00\x00"...)
		u16(uint16(kind))
	case layers.LinkTypeLinuxSLL2:
		u16(uint16(kind))
		b = append(b, "\x00\x00\x00\x00\x00\x02\x00\x01\x00\x06\x02\x00\x00\x00\x00\x02\x00\x00"...)
	case layers.LinkTypeNull:
		b = append(b, byte(family), 0, 0, 0)
	}
	return b
}
