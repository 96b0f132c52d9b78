package config

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/regex"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
)

// decodeTrusted reads the trusted blocks.
func (l *loader) decodeTrusted(blocks []*settings.Block) {
	for _, b := range blocks {
		name(b)
		var comment string
		b.String("comment", &comment)
		networks, _ := b.Texts("networks")
		users, _ := b.Texts("users")
		hosts, _ := b.Texts("names")
		if !b.Has("users") && !b.Has("names") {
			b.Require("networks", "Write which networks, accounts or names are trusted: networks = [\"203.0.113.0/24\"], users = [\"2000@pbx.example\"], or names = [\"sip.carrier.example\"].")
		}
		trusted, all := l.trust(b, networks, b.Labels[0], comment)
		l.cfg.Trusted = append(l.cfg.Trusted, trusted...)
		l.warnOfAll(all)
		for _, t := range users {
			one := ban.Trusted{Name: b.Labels[0], Comment: comment, Where: settings.Where(t.Range)}
			if settings.Parse(b, t, &one.Target, parseUser, "Not an account", `an account, such as "2000@pbx.example", or its user alone`) {
				l.cfg.Trusted = append(l.cfg.Trusted, one)
			}
		}
		for _, t := range hosts {
			l.decodeName(b, t, comment)
		}
	}
}

// maxNames bounds the names of a configuration, which are all looked up again and again.
const maxNames = 64

// decodeName reads a DNS name of a trusted block.
func (l *loader) decodeName(b *settings.Block, t settings.Text, comment string) {
	var host string
	if !settings.Parse(b, t, &host, parseName, "Not a DNS name", `a full DNS name, such as "sip.carrier.example"`) {
		return
	}
	if len(l.cfg.Names) == maxNames {
		b.ErrorAt(t.Range, "Too many names", fmt.Sprintf("A configuration has at most %d trusted names. Trust the networks of the others.", maxNames))
	}
	trust := ban.Trusted{Name: fmt.Sprintf("name %s of %s", host, b.Labels[0]), Comment: comment, Where: placed(t.Range)}
	l.cfg.Names = append(l.cfg.Names, TrustedName{Host: host, Trust: trust})
}

// nameFormat is that of a DNS name with two labels or more. The last one has a letter: an address is no name.
var nameFormat = regex.New(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{0,62}[a-z][a-z0-9-]{0,62}$`)

// parseName reads a DNS name.
func parseName(s string) (string, error) {
	const maxName = 253
	host := strings.ToLower(strings.TrimSuffix(s, "."))
	if len(host) > maxName || !nameFormat.Use().MatchString(host) {
		return "", fmt.Errorf("%q is not a full DNS name in ASCII, such as \"sip.carrier.example\"; an address belongs in networks", s)
	}
	return host, nil
}

// parseUser reads an account. Without a domain it is that user in any domain.
func parseUser(s string) (ban.Target, error) {
	if s = strings.TrimPrefix(s, "user:"); !strings.Contains(s, "@") {
		return ban.ParseAccount(s, ban.AnyDomain)
	}
	return ban.ParseWritten(s)
}

// trust parses networks; invalid ones are reported and left out. all are those of every address.
func (l *loader) trust(b *settings.Block, networks []settings.Text, name, comment string) (trusted []ban.Trusted, all []settings.Text) {
	for _, t := range networks {
		prefix, ok := l.network(b, t)
		if !ok {
			continue
		}
		if prefix.Bits() == 0 {
			all = append(all, t)
		}
		trusted = append(trusted, ban.Trusted{Target: ban.Network(prefix), Name: name, Comment: comment, Where: placed(t.Range)})
	}
	return trusted, all
}

func (l *loader) warnOfAll(networks []settings.Text) {
	for _, t := range networks {
		l.root.WarnAt(t.Range, "All addresses are trusted", t.Value+" contains every address of its family: none is ever banned.")
	}
}

// network reads an address or a CIDR. Bits behind its length are a hint of [Lint], except on the
// loopback, which is trusted anyway.
func (l *loader) network(b *settings.Block, t settings.Text) (netip.Prefix, bool) {
	prefix, err := parsePrefix(t.Value)
	if err != nil {
		b.Invalid(t, "Not a network", err, `a network or an address, such as "203.0.113.0/24" or "2001:db8::1"`)
		return netip.Prefix{}, false
	}
	masked := prefix.Masked()
	if masked != prefix && !masked.Addr().IsLoopback() {
		detail := "The address has bits set behind its prefix length. They are ignored."
		if t.Written {
			detail = fmt.Sprintf("%s has bits set behind its prefix length. It is taken as %s.", t.Value, masked)
		}
		l.cfg.hints = append(l.cfg.hints, &hcl.Diagnostic{
			Severity: hcl.DiagWarning, Summary: "Host bits in a network", Detail: detail, Subject: t.Range.Ptr(),
		})
	}
	return masked, true
}

// parsePrefix reads "10.0.0.0/8" or a bare address. IPv4-mapped IPv6 becomes
// IPv4. Bits behind the prefix length are kept.
func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, notNetwork(s)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, notNetwork(s)
	}
	const mappedBits = 96 // the length of ::ffff:0:0/96, in which IPv4 is mapped
	if addr := prefix.Addr(); addr.Is4In6() && prefix.Bits() >= mappedBits {
		return netip.PrefixFrom(addr.Unmap(), prefix.Bits()-mappedBits), nil
	}
	return prefix, nil
}

// notNetwork says that a text is no network, and what to write if it is one in the form of another program.
func notNetwork(s string) error {
	prefix := inOtherForm(strings.ReplaceAll(s, " ", ""))
	switch {
	case strings.Contains(s, ","):
		parts := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
		return fmt.Errorf("%q is several networks: write a list, [\"%s\"]", s, strings.Join(parts, `", "`))
	case !prefix.IsValid():
		return fmt.Errorf(`%q is not a network or an address, such as "203.0.113.0/24" or "2001:db8::1"`, s)
	case prefix.IsSingleIP():
		return fmt.Errorf("%q is not an address: write %q", s, prefix.Addr())
	}
	return fmt.Errorf("%q is not a network: write %q", s, prefix.Masked())
}

// inOtherForm reads 192.0.2.*, 192.0.2.0/255.255.255.0, 192.0.2.1:5060 and what has blanks in it; it is invalid
// for others.
func inOtherForm(s string) netip.Prefix {
	if prefix, err := netip.ParsePrefix(s); err == nil {
		return prefix
	}
	address, text, _ := strings.Cut(s, "/")
	addr, _ := netip.ParseAddr(address)
	if mask, err := netip.ParseAddr(text); err == nil && mask.Is4() && addr.Is4() {
		m := binary.BigEndian.Uint32(mask.AsSlice())
		if ones := bits.LeadingZeros32(^m); m == ^uint32(0)<<(32-ones) {
			return netip.PrefixFrom(addr, ones)
		}
	}
	if endpoint, err := netip.ParseAddrPort(s); err == nil {
		return netip.PrefixFrom(endpoint.Addr(), endpoint.Addr().BitLen())
	}
	parts := strings.Split(s, ".")
	for len(parts) > 1 && parts[len(parts)-1] == "*" {
		parts = parts[:len(parts)-1]
	}
	if n := len(parts); n < 4 && s != parts[0] {
		if addr, err := netip.ParseAddr(strings.Join(parts, ".") + strings.Repeat(".0", 4-n)); err == nil {
			return netip.PrefixFrom(addr, 8*n)
		}
	}
	return netip.Prefix{}
}
