package config

import (
	"fmt"
	"net/netip"
	"strings"

	"freeswitch-security/engine/ban"

	"github.com/hashicorp/hcl/v2"
)

// decodeTrustedNetworks reads security.trusted_networks. The environment
// replaces what is written; a mistake in what it replaces is still a mistake.
func (l *loader) decodeTrustedNetworks(attr *hcl.Attribute) {
	const name = "security.trusted_networks"
	var networks []text
	if attr != nil {
		networks, _ = l.texts(attr.Expr)
	}
	written := l.trust(networks, name, "")
	if t, ok := l.override(envTrustedNetworks); ok {
		var replacing []text
		for one := range strings.SplitSeq(t.string, ",") {
			if one = strings.TrimSpace(one); one != "" {
				replacing = append(replacing, text{one, t.rng, true})
			}
		}
		written = l.trust(replacing, name, "")
		for i := range written {
			written[i].Where = t.rng.Filename
		}
	}
	l.cfg.Trusted = append(l.cfg.Trusted, written...)
}

var trustedSchema = &hcl.BodySchema{Attributes: attributes("networks", "comment")}

// decodeTrusted reads the trusted blocks.
func (l *loader) decodeTrusted(blocks hcl.Blocks) {
	for _, block := range blocks {
		l.name(block.Labels[0], block.LabelRanges[0])
		attrs := l.content(block, trustedSchema).Attributes
		comment := ""
		if attr := attrs["comment"]; attr != nil {
			t, _ := l.text(attr.Expr)
			comment = t.string
		}
		attr := attrs["networks"]
		if attr == nil {
			l.errorAt(header(block), "Missing networks",
				"Say whom this block trusts: networks = [\"203.0.113.0/24\"].")
			continue
		}
		networks, _ := l.texts(attr.Expr)
		l.cfg.Trusted = append(l.cfg.Trusted, l.trust(networks, block.Labels[0], comment)...)
	}
}

// trust reads networks; those that are none are reported and left out.
func (l *loader) trust(networks []text, name, comment string) []ban.Trusted {
	var trusted []ban.Trusted
	for _, t := range networks {
		prefix, ok := l.network(t)
		if !ok {
			continue
		}
		if prefix.Bits() == 0 {
			l.warnAt(t.rng, "Everybody is trusted", fmt.Sprintf("%s holds every address of its kind: none of them will ever be banned.", prefix))
		}
		trusted = append(trusted, ban.Trusted{Network: prefix, Name: name, Comment: comment, Where: where(t.rng)})
	}
	return trusted
}

// network reads an address or a CIDR, and warns of bits behind its length.
func (l *loader) network(t text) (netip.Prefix, bool) {
	prefix, err := parsePrefix(t.string)
	if err != nil {
		l.invalid(t, "Not a network", err, `a network or an address, such as "203.0.113.0/24" or "2001:db8::1"`)
		return netip.Prefix{}, false
	}
	masked := prefix.Masked()
	if masked != prefix {
		detail := "The address has bits set behind its prefix length. They are ignored."
		if t.written {
			detail = fmt.Sprintf("%s has bits set behind its prefix length. It is taken as %s.", t.string, masked)
		}
		l.warnAt(t.rng, "Host bits in a network", detail)
	}
	return masked, true
}

// parsePrefix reads "10.0.0.0/8" or a bare address. IPv4-mapped IPv6 becomes
// IPv4. Bits behind the prefix length are kept.
func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is not a CIDR or an address, such as \"203.0.113.0/24\" or \"2001:db8::1\"", s)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a CIDR, such as \"203.0.113.0/24\" or \"2001:db8::/32\"", s)
	}
	const mappedBits = 96 // the length of ::ffff:0:0/96, in which IPv4 is mapped
	if addr := prefix.Addr(); addr.Is4In6() && prefix.Bits() >= mappedBits {
		return netip.PrefixFrom(addr.Unmap(), prefix.Bits()-mappedBits), nil
	}
	return prefix, nil
}
