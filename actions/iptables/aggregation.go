package iptables

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"freeswitch-security/engine/ban"
)

// aggregation replaces several bans of one network by one ban of the network. It
// bans addresses that no rule has caught, so it is off by default, and it never
// covers a trusted or protected address.
type aggregation struct {
	bits    int            // prefix length of the network; 0: off
	trusted []netip.Prefix // by the rule files

	// protected reports whether a network holds an address that must not be banned
	// now; nil: none does. Its answers are kept until the next refresh, so that the
	// same bans have the same entries until then.
	protected func(netip.Prefix) bool
	answers   map[netip.Prefix]bool
}

// refresh asks again which networks are protected, and returns what that means for the kernel's
// entries. The networks without a ban are forgotten.
func (d *desired) refresh() (w work) {
	g := &d.aggregation
	before := g.answers
	g.answers = nil
	changed := false
	for t := range d.bans.all() {
		g.group(t)
	}
	for network, answer := range g.answers {
		was, known := before[network]
		changed = changed || known && was != answer
	}
	if changed {
		now := g.answers
		g.answers = before
		old := d.entries()
		g.answers = now
		w = difference(old, d.entries())
	}
	return w
}

// group returns the network in which a ban is aggregated, or the ban's own target. An
// endpoint is not aggregated.
func (g *aggregation) group(t ban.Target) ban.Target {
	p, ok := t.Network()
	if g.bits == 0 || !ok || p.Bits() <= g.bits {
		return t
	}
	network := netip.PrefixFrom(p.Addr(), g.bits).Masked()
	if slices.ContainsFunc(g.trusted, network.Overlaps) || g.isProtected(network) {
		return t
	}
	return ban.Network(network)
}

func (g *aggregation) isProtected(network netip.Prefix) bool {
	if g.protected == nil {
		return false
	}
	answer, known := g.answers[network]
	if !known {
		if g.answers == nil {
			g.answers = map[netip.Prefix]bool{}
		}
		answer = g.protected(network)
		g.answers[network] = answer
	}
	return answer
}

// entries returns the kernel's entries for bans, which the caller must not change. A
// network expires with the last of its bans. When only one ban is left, the entry is
// its own target again.
func (g *aggregation) entries(bans expiries) expiries {
	if g.bits == 0 {
		return bans
	}
	count := make(map[ban.Target]int, len(bans))
	for t := range bans.all() {
		count[g.group(t)]++
	}
	entries := make(expiries, len(count))
	for t, e := range bans.all() {
		entry := keyOf(t)
		if network := g.group(t); count[network] > 1 {
			entry = keyOf(network)
		}
		entries[entry] = max(entries[entry], e)
	}
	return entries
}

// parseAggregate reads the prefix lengths "24" or "24,48" of IPv4 and IPv6; "" is off.
func parseAggregate(s string) (bits [2]int, err error) {
	if s == "" {
		return bits, nil
	}
	v4, v6, both := strings.Cut(s, ",")
	if bits[ipv4], err = strconv.Atoi(strings.TrimSpace(v4)); err != nil || bits[ipv4] < 8 || bits[ipv4] > 31 {
		return bits, fmt.Errorf("%q: the prefix length for IPv4 must be between 8 and 31, as in \"24\"", s)
	}
	if both {
		if bits[ipv6], err = strconv.Atoi(strings.TrimSpace(v6)); err != nil || bits[ipv6] < 16 || bits[ipv6] > 127 {
			return bits, fmt.Errorf("%q: the prefix length for IPv6 must be between 16 and 127, as in \"24,48\"", s)
		}
	}
	return bits, nil
}
