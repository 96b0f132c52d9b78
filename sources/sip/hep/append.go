package hep

import (
	"encoding/binary"
	"net/netip"

	"freeswitch-security/sources/sip/packet"
)

// protocols are the numbers of the transports: what [Decode] reads, WSS as WS.
var protocols = [...]byte{packet.UDP: 17, packet.TCP: 6, packet.TLS: 22, packet.WS: 50, packet.WSS: 50, packet.SCTP: 132}

// Append appends the packet as a datagram of version 3, as FreeSWITCH writes it.
func Append(dst []byte, p *packet.Packet) []byte { return AppendKey(dst, p, "") }

// AppendKey is Append with a key, if that is not empty.
func AppendKey(dst []byte, p *packet.Packet, key string) []byte {
	start := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, 0, 0)
	family := byte(2)
	if p.From.Addr().Is6() {
		family = 10
	}
	dst = append(appendChunk(dst, chunkFamily, 1), family)
	dst = append(appendChunk(dst, chunkProtocol, 1), protocols[p.Transport])
	dst = binary.BigEndian.AppendUint16(appendChunk(dst, chunkFromPort, 2), p.From.Port())
	dst = binary.BigEndian.AppendUint16(appendChunk(dst, chunkToPort, 2), p.To.Port())
	dst = binary.BigEndian.AppendUint32(appendChunk(dst, chunkSeconds, 4), uint32(p.Time.Unix()))
	dst = binary.BigEndian.AppendUint32(appendChunk(dst, chunkMicros, 4), uint32(p.Time.Nanosecond()/1000))
	dst = append(appendChunk(dst, chunkType, 1), typeSIP)
	dst = binary.BigEndian.AppendUint32(appendChunk(dst, chunkAgent, 4), 1)
	if key != "" {
		dst = append(appendChunk(dst, chunkKey, len(key)), key...)
	}
	dst = appendAddr(dst, chunkFrom4, p.From.Addr())
	dst = appendAddr(dst, chunkTo4, p.To.Addr())
	dst = append(appendChunk(dst, chunkPayload, len(p.Payload)), p.Payload...)
	binary.BigEndian.PutUint16(dst[start+4:], uint16(len(dst)-start))
	return dst
}

func appendChunk(dst []byte, kind uint16, length int) []byte {
	dst = append(dst, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, kind)
	return binary.BigEndian.AppendUint16(dst, uint16(chunkSize+length))
}

// appendAddr appends an address. The type of an IPv6 address is two above that of IPv4.
func appendAddr(dst []byte, kind4 uint16, a netip.Addr) []byte {
	if a.Is6() {
		kind4 += chunkFrom6 - chunkFrom4
	}
	b := a.AsSlice()
	return append(appendChunk(dst, kind4, len(b)), b...)
}
