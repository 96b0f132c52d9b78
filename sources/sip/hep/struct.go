package hep

import (
	"encoding/binary"
	"net/netip"
	"time"

	"freeswitch-security/sources/sip/packet"
)

// decodeStruct reads versions 1 and 2: version, length, family, protocol, ports, addresses; in
// version 2 also seconds, microseconds and the agent, in 12 bytes as a C compiler aligns them.
// The length is that of all which precedes the payload; Kamailio does not count the 12 bytes.
func decodeStruct(b []byte, p *packet.Packet) error {
	const fixed, timed = 8, 12
	version, length := b[0], int(b[1])
	size := 16
	if b[2] == 2 { // AF_INET; AF_INET6 has a number of its own on every system
		size = 4
	}
	end := fixed + 2*size
	known := length == end
	if version == 2 {
		end += timed
		known = known || length == end
	}
	if version != 1 && version != 2 || !known || end > len(b) {
		return ErrMalformed
	}
	var when time.Time
	if version == 2 {
		when = hostTime(b[end-timed:])
	}
	from, _ := netip.AddrFromSlice(b[fixed : fixed+size])
	to, _ := netip.AddrFromSlice(b[fixed+size : fixed+2*size])
	*p = packet.Packet{
		Time:      when,
		From:      netip.AddrPortFrom(from.Unmap(), binary.BigEndian.Uint16(b[4:])),
		To:        netip.AddrPortFrom(to.Unmap(), binary.BigEndian.Uint16(b[6:])),
		Transport: transport(b[3]),
		Payload:   b[end:],
		Truncated: end == len(b),
	}
	if !isAddress(p.From.Addr()) || !isAddress(p.To.Addr()) {
		return ErrNoAddress
	}
	return nil
}

// hostTime reads a time in the order of the agent's bytes, which only the microseconds tell.
func hostTime(b []byte) time.Time {
	var order binary.ByteOrder = binary.LittleEndian
	if order.Uint32(b[4:]) >= 1e6 {
		order = binary.BigEndian
	}
	return time.Unix(int64(order.Uint32(b)), int64(order.Uint32(b[4:])%1e6)*1000)
}
