package ban

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unique"

	"freeswitch-security/engine/event"
)

// A Target is what a ban is against: an address, a network, an endpoint or an
// account. Targets are comparable with ==. The zero Target is no target.
//
// Its text forms are 203.0.113.7, 203.0.113.0/24, 203.0.113.7:5060/udp,
// [2001:db8::7]:5060/tcp and 1000@pbx.example. The last is also read as user:1000@pbx.example.
type Target struct {
	addr     netip.Addr            // of every kind but an account; without a zone, IPv4 unmapped
	account  unique.Handle[string] // the zero handle for every kind but an account
	port     uint16                // 0 for every kind but an endpoint
	protocol Protocol              // of an endpoint
	bits     uint8                 // the prefix length of an address or a network
}

// A TargetKind says what a target is.
type TargetKind string

// The kinds of targets. The kind of the zero Target is "".
const (
	TargetAddress  TargetKind = "address"
	TargetNetwork  TargetKind = "network"
	TargetEndpoint TargetKind = "endpoint"
	TargetAccount  TargetKind = "account"
)

// A Protocol is the transport protocol of an endpoint, by its IP protocol number.
type Protocol uint8

// The protocols of endpoints.
const (
	TCP Protocol = 6
	UDP Protocol = 17
)

func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return fmt.Sprintf("protocol %d", uint8(p))
}

// Network returns the target for a network, which must be masked. A network of one
// address is that address; an invalid one gives the zero Target.
func Network(p netip.Prefix) Target {
	if !p.IsValid() {
		return Target{}
	}
	return Target{addr: p.Addr(), bits: uint8(p.Bits())}
}

// Address returns the target for an address; an invalid one gives the zero Target.
func Address(a netip.Addr) Target { return Network(netip.PrefixFrom(a, a.BitLen())) }

// Endpoint returns the target for a port of an address. The port must not be 0.
func Endpoint(a netip.AddrPort, p Protocol) Target {
	return Target{addr: a.Addr().Unmap().WithZone(""), port: a.Port(), protocol: p}
}

// AnyDomain as the domain of a trusted account stands for all domains.
const AnyDomain = "*"

// Account returns the target for an account. Neither part may be empty; the case of its
// letters does not count. See [ParseAccount] for parts that are not known to be right.
func Account(user, domain string) Target {
	return Target{account: unique.Make(event.Fold(user + "@" + domain))}
}

// Kind returns the kind of the target.
func (t Target) Kind() TargetKind {
	switch {
	case t.account != unique.Handle[string]{}:
		return TargetAccount
	case t.port != 0:
		return TargetEndpoint
	case !t.addr.IsValid():
		return ""
	case int(t.bits) == t.addr.BitLen():
		return TargetAddress
	}
	return TargetNetwork
}

// IsValid reports whether the target is not the zero Target.
func (t Target) IsValid() bool { return t != Target{} }

// Network returns the network of a target that is an address or a network. ok is
// false for the other kinds.
func (t Target) Network() (p netip.Prefix, ok bool) {
	if t.port != 0 || !t.addr.IsValid() {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(t.addr, int(t.bits)), true
}

// Endpoint returns the parts of an endpoint. ok is false for the other kinds.
func (t Target) Endpoint() (a netip.AddrPort, p Protocol, ok bool) {
	return netip.AddrPortFrom(t.addr, t.port), t.protocol, t.port != 0
}

// Account returns the parts of an account, folded. ok is false for the other kinds.
func (t Target) Account() (user, domain string, ok bool) {
	if t.Kind() != TargetAccount {
		return "", "", false
	}
	text := t.account.Value()
	at := strings.LastIndexByte(text, '@')
	return text[:at], text[at+1:], true
}

// Prefix returns the network that the target lies in: of an endpoint, its address.
// It is invalid for an account.
func (t Target) Prefix() netip.Prefix {
	if t.port != 0 {
		return netip.PrefixFrom(t.addr, t.addr.BitLen())
	}
	p, _ := t.Network()
	return p
}

// Compare orders addresses and networks as [netip.Prefix.Compare] does, and the
// other kinds after them by their text.
func (t Target) Compare(u Target) int {
	if t.bits == u.bits && t.port|u.port == 0 && t.addr.IsValid() && u.addr.IsValid() { // nearly always
		return t.addr.Compare(u.addr)
	}
	a, network := t.Network()
	if b, both := u.Network(); network && both {
		return a.Compare(b)
	}
	return cmp.Or(strings.Compare(t.other(), u.other()), t.Prefix().Compare(u.Prefix()))
}

// other returns the text of an endpoint or an account, and "" for the other kinds.
func (t Target) other() string {
	if _, ok := t.Network(); ok || !t.IsValid() {
		return ""
	}
	return t.String()
}

// String returns the text form, "" for the zero Target.
func (t Target) String() string {
	switch t.Kind() {
	case TargetAddress:
		return t.addr.String()
	case TargetNetwork:
		return netip.PrefixFrom(t.addr, int(t.bits)).String()
	case TargetEndpoint:
		return netip.AddrPortFrom(t.addr, t.port).String() + "/" + t.protocol.String()
	case TargetAccount:
		if text := t.account.Value(); !strings.HasPrefix(text, accountMark) {
			return text
		}
		return accountMark + t.account.Value()
	}
	return ""
}

// MarshalText returns the text form.
func (t Target) MarshalText() ([]byte, error) {
	if p, ok := t.Network(); ok && p.IsSingleIP() {
		return t.addr.MarshalText()
	}
	return []byte(t.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (t *Target) UnmarshalText(text []byte) (err error) {
	*t = Target{}
	if len(text) > 0 {
		*t, err = ParseTarget(string(text))
	}
	return err
}

// ParseTarget reads the text form of a target of any kind. Networks are masked, and
// IPv4-mapped IPv6 is unmapped.
func ParseTarget(s string) (Target, error) {
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		return ParseAccount(strings.TrimPrefix(s[:at], accountMark), s[at+1:])
	}
	if p, err := ParseNetwork(s); err == nil {
		return Network(p), nil
	}
	if text, protocol, ok := strings.Cut(s, "/"); ok {
		a, err := netip.ParseAddrPort(text)
		for _, p := range []Protocol{UDP, TCP} {
			if err == nil && a.Port() != 0 && a.Addr().Zone() == "" && protocol == p.String() {
				return Endpoint(a, p), nil
			}
		}
	}
	return Target{}, fmt.Errorf("%q is neither an address nor a network such as 203.0.113.0/24, an endpoint such as 203.0.113.7:5060/udp, or an account such as 1000@pbx.example", s)
}

// accountMark may stand before the text of an account. It does if the user begins with it.
const accountMark = "user:"

// maxAccount bounds the text of an account, in bytes.
const maxAccount = 255

// ParseWritten is [ParseTarget] for what people write. It refuses a SIP URI, whose scheme would be a part of
// the user's name.
func ParseWritten(s string) (Target, error) {
	scheme, rest, _ := strings.Cut(s, ":")
	if strings.EqualFold(scheme, "sip") || strings.EqualFold(scheme, "sips") {
		return Target{}, fmt.Errorf("%q is a SIP URI: write the account alone, %q", s, rest)
	}
	return ParseTarget(s)
}

// ParseAccount returns the target for an account whose parts a caller may have chosen.
func ParseAccount(user, domain string) (Target, error) {
	unfit := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == unicode.ReplacementChar }
	if user == "" || domain == "" || strings.HasSuffix(domain, "@") || len(user)+len(domain) > maxAccount || strings.ContainsFunc(user+domain, unfit) {
		return Target{}, fmt.Errorf("%q is no account: write user@domain, without blanks", user+"@"+domain)
	}
	return Account(user, domain), nil
}

// ParseNetwork reads an address or a network in CIDR notation. It masks the network
// and unmaps IPv4-mapped IPv6.
func ParseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a network such as 203.0.113.0/24", s)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q is wider than all of IPv4", s)
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
