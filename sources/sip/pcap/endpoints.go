package pcap

import (
	"bytes"
	"net/netip"
)

// endpoints are those at unusual ports that have answered in SIP. Their traffic is SIP, as is
// that of the usual ports. An endpoint becomes known by its answers only: what anyone sends to
// the port of a media stream does not make the stream garbage on a port of SIP.
type endpoints map[netip.AddrPort]struct{}

const maxEndpoints = 4096

// admits reports whether a payload is SIP, or was sent from or to an endpoint of SIP. RTP and
// RTCP at unusual ports are no SIP.
func (e endpoints) admits(from, to netip.AddrPort, payload []byte) bool {
	if usual(from.Port()) || usual(to.Port()) || IsHEP(payload) {
		return true
	}
	if len(payload) > 0 && payload[0]>>6 == 2 {
		return false
	}
	if kind := startLine(payload); kind != none {
		if kind == answer && len(e) < maxEndpoints {
			e[from] = struct{}{}
		}
		return true
	}
	_, sends := e[from]
	_, hears := e[to]
	return sends || hears
}

// IsHEP reports whether a datagram is a mirrored message (HEP, version 3) and no SIP by itself.
func IsHEP(payload []byte) bool { return bytes.HasPrefix(payload, []byte("HEP3")) }

func usual(port uint16) bool { return port == 5060 || port == 5080 }

// What a payload begins with.
const (
	none = iota
	request
	answer
)

// maxStartLine bounds the search for the end of a request line, in bytes.
const maxStartLine = 2048

func startLine(payload []byte) int {
	payload = bytes.TrimLeft(payload, "\r\n")
	if bytes.HasPrefix(payload, []byte("SIP/2.0 ")) {
		return answer
	}
	if len(payload) == 0 || payload[0] < 'A' || payload[0] > 'Z' {
		return none
	}
	line, _, found := bytes.Cut(payload[:min(len(payload), maxStartLine)], []byte("\n"))
	if found && bytes.HasSuffix(bytes.TrimRight(line, "\r"), []byte(" SIP/2.0")) {
		return request
	}
	return none
}
