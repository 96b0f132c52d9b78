package iptables

import (
	"net/netip"
	"slices"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
)

// A bypass is a foreign rule of our chain that lets packets pass, so that they do not reach the
// rules below it.
type bypass struct {
	at     int          // index in the chain
	source netip.Prefix // the packets that it can match
	spec   string

	packets     uint64 // that it has matched
	whole, part bool   // a ban below it covers its source, or part of it
}

// bypassed reports whether packets of a banned target may pass by a rule above the ban.
func bypassed(t ban.Target, above []*bypass) (found bool) {
	target := t.Prefix()
	for _, b := range above {
		if b.source.Overlaps(target) {
			found, b.part = true, true
			b.whole = b.whole || target.Bits() <= b.source.Bits()
		}
	}
	return found
}

// bypasses returns those of a chain; all is every address of the family.
func (l listing) bypasses(chain string, all netip.Prefix) (found []*bypass) {
	for i, spec := range l[chain] {
		if !l.letsPass(spec, chain) {
			continue
		}
		b := &bypass{at: i, source: all, spec: spec}
		w := words(spec)
		if at := slices.Index(w, "-s"); at >= 0 && at+1 < len(w) && (at == 0 || w[at-1] != "!") {
			if source, err := netip.ParsePrefix(w[at+1]); err == nil {
				b.source = source
			}
		}
		found = append(found, b)
	}
	return found
}

var allIPv6 = netip.PrefixFrom(netip.IPv6Unspecified(), 0)

// all returns every address of the family.
func (f *family) all() netip.Prefix {
	if f.index == ipv6 {
		return allIPv6
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// gapsOf returns what remains of a table's gaps after its plan.
func (f *family) gapsOf(l listing, g *goal, p *plan) (gaps []plugin.Gap) {
	if p.limited != "" {
		gaps = append(gaps, plugin.Gap{Network: f.all(), Why: f.name + ": " + p.limited})
	}
	rules := l[g.chain]
	stay := len(rules) // number of rules of which the bans stay where they are
	if p.onTop {
		stay = slices.IndexFunc(rules, l.catchAll)
	}
	lookups := 0 // of sets
	for _, spec := range rules[:stay] {
		if g.looksUp(spec) {
			lookups++
		}
	}
	appended := !p.onTop && (lookups == 0 || lookups < len(g.sets)) // bans are written below everything
	for _, b := range l.bypasses(g.chain, f.all()) {
		bans := func(spec string) bool {
			target, _, isBan := parseBanRule(spec)
			return g.looksUp(spec) || isBan && g.sets == nil && b.source.Overlaps(target.Prefix())
		}
		if appended || b.at < stay && slices.ContainsFunc(rules[b.at:stay], bans) {
			gaps = append(gaps, plugin.Gap{Network: b.source, Why: f.name + ": a rule in chain " + g.hook(g.chain) + " lets packets pass before the bans: " + clip(b.spec)})
		}
	}
	return gaps
}

// looksUp reports whether a rule looks up a set that the chain should look up.
func (g *goal) looksUp(spec string) bool {
	return slices.ContainsFunc(g.sets, func(s *set) bool { return isSetRule(spec, s.lookup()) })
}

// gaps returns the gaps of all families.
func (a *Action) gaps() (all []plugin.Gap) {
	if !a.config.ipv6 {
		all = append(all, plugin.Gap{Network: allIPv6, Why: "IPv6 addresses are not banned: ipv6 is false"})
	}
	for _, f := range a.families {
		all = append(all, f.gaps...)
	}
	return all
}
