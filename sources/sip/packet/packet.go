// Package packet is what a capture of SIP traffic consists of.
//
// It stands between the readers of captures (packages hep and pcap) and the reader of SIP
// messages.
//
// Invariant: addresses are unmapped and without a zone.
package packet

import (
	"net/netip"
	"time"
)

// A Packet is one datagram, or one piece of a connection, as it was on the wire.
type Packet struct {
	Time      time.Time // of the capture's clock
	From, To  netip.AddrPort
	Transport Transport
	Payload   []byte // valid until the reader of the capture is called again
	Truncated bool   // the agent mirrored the beginning of the payload alone, or nothing, since it is too long
}

// A Transport is what carried a packet.
type Transport uint8

// The transports.
const (
	UDP Transport = iota
	TCP
	TLS
	WS
	WSS
	SCTP
)

var names = [...]string{"udp", "tcp", "tls", "ws", "wss", "sctp"}

// String returns the name that rules read: "udp".
func (t Transport) String() string { return names[t] }

// IsConnection reports whether the sender had to answer before it could send: its address
// cannot be forged.
func (t Transport) IsConnection() bool { return t != UDP }
