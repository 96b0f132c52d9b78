package registrations

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"freeswitch-security/engine/event"
)

// Account writes an account for people: "1000@pbx", or "1000" without a domain. The
// text is bounded, and control characters in it are escaped.
func Account(user, domain string) string {
	if domain == "" {
		return printable(user)
	}
	return printable(user) + "@" + printable(domain)
}

func printable(s string) string {
	s = bounded(s)
	if strings.ContainsFunc(s, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }) {
		quoted := strconv.Quote(s)
		return quoted[1 : len(quoted)-1]
	}
	return s
}

func bounded(s string) string { return s[:min(len(s), event.MaxField)] }

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
