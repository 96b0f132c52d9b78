//go:build kernel

package iptables

import (
	"slices"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
)

func TestKernelRules(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		a := k.action("")
		hour := time.Now().Add(time.Hour)
		first := banOf("203.0.113.7/32", hour)
		k.resync(a, first)
		k.wantFirst("iptables", "INPUT", "-j FREESWITCH")
		k.wantFirst("ip6tables", "INPUT", "-j FREESWITCH")
		k.wantChain("iptables", "-s 203.0.113.7/32 -j DROP")
		k.iptables("-C", "FREESWITCH", "-s", "203.0.113.7", "-j", "DROP")
		k.quiet(a, first)

		k.apply(a, banned("198.51.100.0/24", hour), banned("2001:db8:1::/64", time.Time{}), banned("192.0.2.1/32", hour))
		k.wantChain("iptables", "-s 203.0.113.7/32 -j DROP", "-s 198.51.100.0/24 -j DROP", "-s 192.0.2.1/32 -j DROP")
		k.wantChain("ip6tables", "-s 2001:db8:1::/64 -j DROP")
		k.apply(a, unban("192.0.2.1/32"), unban("2001:db8:1::/64"))
		k.wantChain("iptables", "-s 203.0.113.7/32 -j DROP", "-s 198.51.100.0/24 -j DROP")
		k.wantChain("ip6tables")
		k.quiet(a, first, banOf("198.51.100.0/24", hour))
	})
}

func TestKernelSet(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		a := k.action(`backend = "ipset"`)
		hour := time.Now().Add(time.Hour)
		k.resync(a)
		k.wantChain("iptables", "-m set --match-set freeswitch-blocked src -j DROP")
		k.wantChain("ip6tables", "-m set --match-set freeswitch-blocked6 src -j DROP")
		k.quiet(a)
		k.apply(a, banned("203.0.113.7/32", hour), banned("198.51.100.0/24", time.Time{}), banned("2001:db8:1::/64", hour))
		if got := k.members("freeswitch-blocked"); !slices.Equal(got, []string{"198.51.100.0/24", "203.0.113.7"}) {
			t.Fatal(got)
		}
		if got := k.members("freeswitch-blocked6"); !slices.Equal(got, []string{"2001:db8:1::/64"}) {
			t.Fatal(got)
		}
		k.apply(a, unban("203.0.113.7/32"))
		k.quiet(a, banOf("198.51.100.0/24", time.Time{}), banOf("2001:db8:1::/64", hour))
	})
}

func TestKernelAutoSwitches(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		a := k.action(`ipset_above = 100`)
		bans := many(101, time.Now().Add(time.Hour))
		k.resync(a, bans[:100]...)
		if n := len(k.chain("iptables")); n != 100 {
			t.Fatal(n)
		}
		k.apply(a, ban.Change{Kind: ban.KindBan, Ban: bans[100]})
		k.wantChain("iptables", "-m set --match-set freeswitch-blocked src -j DROP")
		if n := len(k.members("freeswitch-blocked")); n != 101 {
			t.Fatal(n)
		}
		k.quiet(a, bans...)
		k.resync(a, bans[:75]...)
		k.wantChain("iptables", "-m set --match-set freeswitch-blocked src -j DROP")
		if d := k.resync(a, bans[:74]...); d.Any() { // the set is destroyed with the ban that is over
			t.Fatalf("%+v", d)
		}
		if n := len(k.chain("iptables")); n != 74 {
			t.Fatal(n)
		}
		if out, err := k.try("ipset", "list", "-n"); err != nil || out != "" {
			t.Fatal(out, err)
		}
	})
}
