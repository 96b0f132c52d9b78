package hep

import (
	"encoding/binary"
	"net/netip"
	"time"

	"freeswitch-security/sources/sip/packet"
)

// decodeStruct reads versions 1 and 2: version, length of all that precedes the payload, family,
// protocol, ports, addresses; in version 2 also seconds, microseconds and the agent.
func decodeStruct(b []byte, p *packet.Packet) error {
	const fixed = 8
	version, length := b[0], int(b[1])
	if version != 1 && version != 2 || length > len(b) || len(b)-length > MaxPayload {
		return ErrMalformed
	}
	size := 16
	if b[2] == 2 { // AF_INET; AF_INET6 has a number of its own on every system
		size = 4
	}
	var when time.Time
	switch rest := length - fixed - 2*size; {
	case version == 1 && rest == 0:
	case version == 2 && (rest == 10 || rest == 12): // 12: a C compiler aligns the struct
		when = hostTime(b[length-rest:])
	default:
		return ErrMalformed
	}
	from, _ := netip.AddrFromSlice(b[fixed : fixed+size])
	to, _ := netip.AddrFromSlice(b[fixed+size : fixed+2*size])
	*p = packet.Packet{
		Time:      when,
		From:      netip.AddrPortFrom(from.Unmap(), binary.BigEndian.Uint16(b[4:])),
		To:        netip.AddrPortFrom(to.Unmap(), binary.BigEndian.Uint16(b[6:])),
		Transport: transport(b[3]),
		Payload:   b[length:],
		Truncated: length == len(b),
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
