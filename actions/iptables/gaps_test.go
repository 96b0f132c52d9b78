package iptables

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
)

// TestGaps: a rule that lets packets pass is a gap where a ban stands or is written below it.
func TestGaps(t *testing.T) {
	f := newFamily(&config{chain: "FREESWITCH"}, ipv4)
	banned := ban.Address(netip.MustParseAddr("203.0.113.1"))
	const (
		drop   = "-s 203.0.113.1/32 -j DROP"
		lookup = "-m set --match-set freeswitch-blocked src -j DROP"
		its    = "-s 203.0.113.0/24 -j ACCEPT"
		other  = "-s 192.0.2.0/24 -j ACCEPT"
	)
	for _, c := range []struct {
		chain string
		sets  bool
		gaps  string // networks
	}{
		{drop, false, ""},
		{its + "|" + drop, false, "203.0.113.0/24"},
		{drop + "|" + its, false, "203.0.113.0/24"}, // for a new ban
		{its + "|" + drop + "|-j RETURN", false, "203.0.113.0/24"},
		{other + "|" + drop + "|-j RETURN", false, ""},
		{drop + "|" + its + "|-j RETURN", false, ""},
		{its + "|-j RETURN|" + drop, false, ""}, // it is moved to the top
		{its + "|" + lookup, true, "203.0.113.0/24"},
		{lookup + "|" + its, true, ""},
		{its, true, "203.0.113.0/24"},
		{other + "|" + lookup + "|-j RETURN", true, "192.0.2.0/24"},
		{other + "|-j RETURN|" + lookup, true, ""},
		{lookup + "|" + other + "|-j RETURN", true, ""},
	} {
		g := goal{table: "filter", chain: "FREESWITCH", target: "DROP", bans: expiries{keyOf(banned): permanent}}
		if c.sets {
			g.sets = f.sets[:1]
		}
		for _, s := range f.sets {
			g.ownSets = append(g.ownSets, s.lookup())
		}
		l := listing{"FREESWITCH": strings.Split(c.chain, "|")}
		p := planTable(l, g)
		var networks []string
		for _, gap := range f.gapsOf(l, &g, &p) {
			networks = append(networks, gap.Network.String())
		}
		if got := strings.Join(networks, " "); got != c.gaps {
			t.Errorf("%s: gaps %q, want %q", c.chain, got, c.gaps)
		}
	}
}

// TestGapWithoutIPv6: with ipv6 = false a ban of an IPv6 address is not in force.
func TestGapWithoutIPv6(t *testing.T) {
	want := plugin.Gap{Network: netip.MustParsePrefix("::/0"), Why: "IPv6 addresses are not banned: ipv6 is false"}
	if gaps := newAction(config{chain: "FREESWITCH"}).gaps(); !slices.Equal(gaps, []plugin.Gap{want}) {
		t.Error(gaps)
	}
	if gaps := newAction(config{chain: "FREESWITCH", ipv6: true}).gaps(); len(gaps) > 0 {
		t.Error(gaps)
	}
}
