package hep

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"freeswitch-security/sources/sip/packet"
)

// What is wrong with a datagram.
var (
	ErrMalformed = errors.New("malformed HEP datagram")
	ErrKey       = errors.New("HEP datagram with a wrong or missing key")
	ErrNotSIP    = errors.New("HEP datagram whose payload is not SIP")
	// ErrNoAddress: a datagram without the addresses of the message.
	ErrNoAddress  = errors.New("HEP datagram without addresses")
	ErrCompressed = errors.New("HEP datagram with a compressed payload: switch the compression of the agent off")
)

// Decode reads one datagram of version 3, 2 or 1 into p, whose payload is a slice of it. If key
// is not empty, only a datagram of version 3 with this key is believed.
func Decode(datagram []byte, key string, p *packet.Packet) error {
	switch {
	case len(datagram) < headerSize:
		return ErrMalformed
	case bytes.HasPrefix(datagram, magic):
		return decodeChunks(datagram, key, p)
	case key != "":
		return ErrKey // versions 1 and 2 have no key
	}
	return decodeStruct(datagram, p)
}

// The header of version 3: the magic and the length of all. The header of a chunk: vendor, type
// and length, each of two bytes.
const (
	headerSize = 6
	chunkSize  = 6
)

var magic = []byte("HEP3")

// The types of chunks without a vendor.
const (
	chunkFamily     = 1
	chunkProtocol   = 2
	chunkFrom4      = 3
	chunkTo4        = 4
	chunkFrom6      = 5
	chunkTo6        = 6
	chunkFromPort   = 7
	chunkToPort     = 8
	chunkSeconds    = 9
	chunkMicros     = 10
	chunkType       = 11
	chunkAgent      = 12
	chunkKey        = 14
	chunkPayload    = 15
	chunkCompressed = 16
)

// typeSIP is the payload type of SIP.
const typeSIP = 1

// chunks is what the chunks of a datagram said.
type chunks struct {
	from, to         netip.Addr
	fromPort, toPort uint16
	seconds, micros  uint32
	protocol, kind   byte
	key, payload     []byte
	compressed       bool
}

func decodeChunks(b []byte, key string, p *packet.Packet) error {
	total := int(binary.BigEndian.Uint16(b[4:]))
	if total < headerSize {
		return ErrMalformed
	}
	c := chunks{kind: typeSIP}
	short := len(b) < total
	if err := c.read(b[headerSize:min(total, len(b))], short); err != nil {
		return err
	}
	if key != "" && subtle.ConstantTimeCompare(c.key, []byte(key)) != 1 {
		return ErrKey
	}
	if c.kind != typeSIP {
		return ErrNotSIP
	}
	*p = packet.Packet{
		Time:      time.Unix(int64(c.seconds), int64(c.micros)*1000),
		From:      netip.AddrPortFrom(c.from, c.fromPort),
		To:        netip.AddrPortFrom(c.to, c.toPort),
		Transport: transport(c.protocol),
		Payload:   c.payload,
	}
	if !isAddress(c.from) || !isAddress(c.to) {
		return ErrNoAddress
	}
	if c.compressed {
		return ErrCompressed
	}
	p.Truncated = short || len(p.Payload) == 0
	return nil
}

// isAddress reports whether a is the address of a host.
func isAddress(a netip.Addr) bool { return a.IsValid() && !a.IsUnspecified() }

// read reads all chunks. In a datagram that ends early the payload may be cut.
func (c *chunks) read(b []byte, short bool) error {
	for len(b) > 0 {
		if len(b) < chunkSize && short {
			break
		} else if len(b) < chunkSize {
			return ErrMalformed
		}
		vendor, kind, length := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), int(binary.BigEndian.Uint16(b[4:]))
		isPayload := vendor == 0 && (kind == chunkPayload || kind == chunkCompressed)
		if isPayload && short {
			length = min(length, len(b))
		}
		if length < chunkSize || length > len(b) {
			return ErrMalformed
		}
		if vendor == 0 && !c.chunk(kind, b[chunkSize:length]) {
			return ErrMalformed
		}
		b = b[length:]
	}
	return nil
}

// chunk reads one chunk. It returns false if its value does not have the right length.
func (c *chunks) chunk(kind uint16, value []byte) bool {
	var n uint32
	for _, b := range value[:min(4, len(value))] {
		n = n<<8 | uint32(b)
	}
	length := len(value) // the right one: any, unless a case below says which
	switch kind {
	case chunkProtocol:
		c.protocol, length = byte(n), 1
	case chunkFrom4, chunkFrom6:
		return readAddr(value, kind == chunkFrom4, &c.from)
	case chunkTo4, chunkTo6:
		return readAddr(value, kind == chunkTo4, &c.to)
	case chunkFromPort:
		c.fromPort, length = uint16(n), 2
	case chunkToPort:
		c.toPort, length = uint16(n), 2
	case chunkSeconds:
		c.seconds, length = n, 4
	case chunkMicros:
		c.micros, length = n%1e6, 4
	case chunkType:
		c.kind, length = byte(n), 1
	case chunkKey:
		c.key = value
	case chunkPayload, chunkCompressed:
		c.payload, c.compressed = value, kind == chunkCompressed
	}
	return length == len(value)
}

func readAddr(b []byte, v4 bool, a *netip.Addr) bool {
	if v4 != (len(b) == 4) {
		return false
	}
	addr, ok := netip.AddrFromSlice(b)
	*a = addr.Unmap()
	return ok
}

// transport returns the transport of a protocol number. TLS and WS have none of their own:
// FreeSWITCH and OpenSIPS write 22 (IDP) for TLS, OpenSIPS 50 (ESP) for WS and WSS, Kamailio 22
// for all three.
func transport(protocol byte) packet.Transport {
	switch protocol {
	case 17:
		return packet.UDP
	case 22:
		return packet.TLS
	case 50:
		return packet.WS
	case 132:
		return packet.SCTP
	}
	return packet.TCP
}
