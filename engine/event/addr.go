package event

import (
	"net/netip"
	"strconv"
	"strings"
)

// ParseAddr parses an address as FreeSWITCH prints it: bare, in brackets, with a
// port, IPv4-mapped, with an IPv6 scope. The address is unmapped and has no scope;
// the port is 0 if none was printed.
//
// An IPv6 address with a port but without brackets can look like a longer address,
// and is then parsed as one. Use [ParseAddrPort] where a port always follows.
func ParseAddr(s string) (addr netip.Addr, port uint16, ok bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return clean(a), 0, true
	}
	if inner, found := strings.CutPrefix(s, "["); found && strings.HasSuffix(inner, "]") {
		a, err := netip.ParseAddr(inner[:len(inner)-1])
		return clean(a), 0, err == nil
	}
	return ParseAddrPort(s)
}

// ParseAddrPort parses "address:port". An IPv6 address may have brackets.
func ParseAddrPort(s string) (addr netip.Addr, port uint16, ok bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return clean(ap.Addr()), ap.Port(), true
	}
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return netip.Addr{}, 0, false
	}
	p, err := strconv.ParseUint(s[colon+1:], 10, 16)
	if err != nil {
		return netip.Addr{}, 0, false
	}
	a, err := netip.ParseAddr(s[:colon])
	return clean(a), uint16(p), err == nil
}

// clean gives an address its one form: an IPv4-mapped IPv6 address becomes the IPv4
// address. A scope is dropped: it names an interface of the switch, not the peer.
func clean(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
