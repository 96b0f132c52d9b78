package registrations

import (
	"net/netip"

	"freeswitch-security/engine/event"
)

// Account writes an account for people: "1000@pbx", or "1000" without a domain. The
// text is bounded, and control characters in it are escaped.
func Account(user, domain string) string {
	if domain == "" {
		return event.Printable(user)
	}
	return event.Printable(user) + "@" + event.Printable(domain)
}

func bounded(s string) string { return s[:min(len(s), event.MaxField)] }

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
