package ban

import (
	"fmt"
	"net/netip"
)

// NAT64 lists a site's own prefixes of NAT64, as [ParseNAT64] reads them. Its zero value knows the
// prefixes that stand for IPv4 hosts everywhere.
type NAT64 []netip.Prefix

// An embedding is a prefix of IPv6 addresses that stand for IPv4 hosts.
type embedding struct {
	prefix netip.Prefix
	start  int // the bit at which the IPv4 address begins
}

// embeddings are those of the standards. In Teredo's the host's address comes last, and encoded:
// it has no networks.
var embeddings = []embedding{
	{netip.MustParsePrefix("64:ff9b::/96"), 96},   // NAT64, RFC 6052
	{netip.MustParsePrefix("64:ff9b:1::/48"), 96}, // NAT64, RFC 8215
	{netip.MustParsePrefix("2002::/16"), 16},      // 6to4
	{netip.MustParsePrefix("2001::/32"), 128},     // Teredo
}

// ParseNAT64 reads a prefix of NAT64, with a length of RFC 6052.
func ParseNAT64(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is6() || p.Addr().Is4In6() || p != p.Masked() {
		return p, fmt.Errorf("%q is not a prefix of IPv6 such as 2001:db8:64::/96", s)
	}
	if bits := p.Bits(); bits != 96 && (bits < 32 || bits > 64 || bits%8 != 0) {
		return p, fmt.Errorf("%q: a prefix of NAT64 has a length of 32, 40, 48, 56, 64 or 96", s)
	}
	return p, nil
}

// Around returns the network around an address, of bits4 or bits6 bits. An IPv6 address that
// stands for an IPv4 host has the network around the latter: bits4 bits of the embedded address
// belong to it. So the /64 of a translator, with all of IPv4 in it, is never one host. 128 as bits6
// is the address itself.
func (n NAT64) Around(addr netip.Addr, bits4, bits6 int) netip.Prefix {
	bits := bits4
	if addr.Is6() {
		bits = bits6
		if start := n.start(addr); start > 0 && bits6 < 128 {
			bits = start + bits4
			if start < 96 && bits > 64 {
				bits += 8 // bits 64 to 71 are empty, RFC 6052
			}
		}
	}
	return netip.PrefixFrom(addr, min(bits, addr.BitLen())).Masked()
}

// Host returns the network of one host: an IPv4 address, or the /64 of an IPv6 host.
func (n NAT64) Host(addr netip.Addr) netip.Prefix { return n.Around(addr, 32, 64) }

// IPv4 returns the IPv4 host that an IPv6 address stands for, or the address itself if it stands for none.
func (n NAT64) IPv4(addr netip.Addr) netip.Addr {
	start := n.start(addr)
	if addr.Is4() || start == 0 {
		return addr
	}
	all := addr.As16()
	if start == 128 { // Teredo, RFC 4380
		return netip.AddrFrom4([4]byte{^all[12], ^all[13], ^all[14], ^all[15]})
	}
	var host [4]byte
	for i, at := 0, start/8; i < len(host); at++ {
		if at == 8 && start < 96 { // bits 64 to 71 are empty, RFC 6052
			continue
		}
		host[i] = all[at]
		i++
	}
	return netip.AddrFrom4(host)
}

// IsWide reports whether a network holds several IPv4 hosts that IPv6 addresses stand for.
func (n NAT64) IsWide(p netip.Prefix) bool {
	within := func(q netip.Prefix) bool { return p.Bits() < q.Bits() && p.Overlaps(q) }
	return n.start(p.Addr()) > 0 && within(n.Host(p.Addr())) || n.find(within) > 0
}

// start returns at which bit of an address the IPv4 address begins; 0: it has none.
func (n NAT64) start(addr netip.Addr) int {
	return n.find(func(p netip.Prefix) bool { return p.Contains(addr) })
}

// find returns where the IPv4 address begins in the first prefix that is sought; 0: there is none.
func (n NAT64) find(sought func(netip.Prefix) bool) (start int) {
	for _, p := range n {
		if sought(p) {
			return p.Bits()
		}
	}
	for i := range embeddings {
		if sought(embeddings[i].prefix) {
			return embeddings[i].start
		}
	}
	return 0
}
