//go:build kernel

package iptables

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

// damage is a change to our firewall by another program, and what a resync reports.
type damage struct {
	name    string
	backend string // the only one it applies to; "": both
	do      func(k *kernel)
	missing int // of 200 bans
	surplus int
	note    string // a part of the drift's notes; ""
}

var damages = []damage{
	{"iptables -F", "", func(k *kernel) { k.iptables("-F") }, -1, 0, "IPv4: jump from INPUT was missing"},
	{"chain deleted", "", func(k *kernel) {
		k.iptables("-F", "INPUT")
		k.iptables("-F", "FREESWITCH")
		k.iptables("-X", "FREESWITCH")
	}, -1, 0, "IPv4: chain FREESWITCH was missing"},
	{"jump deleted", "", func(k *kernel) { k.iptables("-D", "INPUT", "-j", "FREESWITCH") }, 0, 0, "IPv4: jump from INPUT was missing"},
	{"IPv6 jump deleted", "", func(k *kernel) { k.ip6tables("-D", "INPUT", "-j", "FREESWITCH") }, 0, 0, "IPv6: jump from INPUT was missing"},
	{"jump twice", "", func(k *kernel) { k.iptables("-A", "INPUT", "-j", "FREESWITCH") }, 0, 0, "IPv4: jump from INPUT existed more than once"},
	{"ACCEPT above", "", func(k *kernel) { k.iptables("-I", "INPUT", "1", "-p", "udp", "-j", "ACCEPT") }, 0, 0,
		"IPv4: jump from INPUT was below rule 1 (-p udp -j ACCEPT)"},
	{"RETURN above", "", func(k *kernel) { k.ip6tables("-I", "INPUT", "1", "-j", "RETURN") }, 0, 0, "IPv6: jump from INPUT was below rule 1"},
	{"a chain that accepts above", "", func(k *kernel) {
		k.iptables("-N", "OTHER")
		k.iptables("-A", "OTHER", "-m", "comment", "--comment", "a b", "-j", "ACCEPT")
		k.iptables("-I", "INPUT", "1", "-j", "OTHER")
	}, 0, 0, "was below rule 1 (-j OTHER)"},
	{"a bare RETURN in the chain", "", func(k *kernel) { k.iptables("-I", "FREESWITCH", "1", "-j", "RETURN") }, -1, 0, // missing are the rules, or the one rule of the set
		"foreign rule in FREESWITCH is kept: -j RETURN"},
	{"half of the rules deleted", backendRules, func(k *kernel) {
		k.feed("*filter\n"+strings.Repeat("-D FREESWITCH 1\n", 100)+"COMMIT\n", "iptables-"+k.variant+"-restore", "--noflush")
	}, 100, 0, ""},
	{"a rule by hand", "", func(k *kernel) { k.iptables("-A", "FREESWITCH", "-s", "198.51.100.1", "-j", "DROP") }, 0, 1, "IPv4: removed: 198.51.100.1"},
	{"a rule twice", backendRules, func(k *kernel) { k.iptables("-A", "FREESWITCH", "-s", "10.0.0.1", "-j", "DROP") }, 0, 1, ""},
	{"another target", backendRules, func(k *kernel) { k.iptables("-R", "FREESWITCH", "2", "-s", "10.0.0.1", "-j", "REJECT") }, 1, 0, ""},
	{"ipset flush", backendSet, func(k *kernel) { k.sh("ipset", "flush", "freeswitch-blocked") }, 200, 0, ""},
	{"half of the members deleted", backendSet, func(k *kernel) {
		var input strings.Builder
		for _, b := range many(100, time.Time{}) {
			input.WriteString("del freeswitch-blocked " + b.Target.String() + "\n")
		}
		k.feed(input.String(), "ipset", "restore")
	}, 100, 0, ""},
	{"members by hand", backendSet, func(k *kernel) { k.sh("ipset", "add", "freeswitch-blocked", "198.51.100.0/24") }, 0, 1, "IPv4: removed: 198.51.100.0/24"},
	{"another expiry", backendSet, func(k *kernel) { k.sh("ipset", "add", "-exist", "freeswitch-blocked", "10.0.0.1", "timeout", "60") }, 0, 0,
		"IPv4: 1 bans in set freeswitch-blocked had another expiry"},
	{"ipset destroyed", backendSet, func(k *kernel) {
		if out, err := k.try("ipset", "destroy", "freeswitch-blocked"); err == nil {
			k.Fatal("a set in use was destroyed", out)
		}
		k.iptables("-F", "FREESWITCH")
		k.sh("ipset", "destroy", "freeswitch-blocked")
	}, 200, 0, "IPv4: set freeswitch-blocked was missing"},
	{"a smaller set without timeouts", backendSet, func(k *kernel) {
		k.sh("ipset", "create", "other", "hash:net", "maxelem", "64")
		k.sh("ipset", "swap", "other", "freeswitch-blocked")
	}, 200, 0, ""},
}

// TestKernelRepairs does each damage, in both backends and variants. One resync repairs
// and reports it, a second one finds nothing.
func TestKernelRepairs(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		for _, backend := range []string{backendRules, backendSet} {
			for _, d := range damages {
				if d.backend == "" || d.backend == backend {
					t.Run(backend+"/"+d.name, func(t *testing.T) { repairs(t, newKernel(t, k.variant), backend, d) })
				}
			}
		}
	})
}

func repairs(t *testing.T, k *kernel, backend string, d damage) {
	a := k.action(`backend = "` + backend + `"`)
	bans := append(many(200, time.Now().Add(time.Hour)), banOf("2001:db8::/64", time.Time{}))
	k.iptables("-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT")
	k.resync(a, bans...)
	k.quiet(a, bans...)
	var byHand []ban.Target
	a.adopt = func(targets []ban.Target) []ban.Target { byHand = append(byHand, targets...); return nil }
	d.do(k)
	began := time.Now()
	drift := k.resync(a, bans...)
	t.Logf("repaired in %v: %+v", time.Since(began).Round(100*time.Microsecond), drift)
	if d.missing >= 0 && drift.Missing != d.missing || drift.Surplus != d.surplus {
		t.Errorf("drift %+v; want %d missing, %d surplus", drift, d.missing, d.surplus)
	}
	if want := d.name == "a rule by hand"; (len(byHand) == 1) != want {
		t.Errorf("taken for drops by hand: %v", byHand)
	}
	if all := strings.Join(drift.Notes, "\n"); !strings.Contains(all, d.note) {
		t.Errorf("notes %q lack %q", drift.Notes, d.note)
	}
	if !drift.Any() {
		t.Error("no drift was reported")
	}
	k.wantFirst("iptables", "INPUT", "-j FREESWITCH")
	k.wantFirst("ip6tables", "INPUT", "-j FREESWITCH")
	k.quiet(a, bans...)
	in, err := a.Inspect(context.Background())
	if err != nil || len(status.Texts(in.Problems, status.Critical)) > 0 || len(in.Entries) != 201 {
		t.Errorf("%d entries, critical %q, %v", len(in.Entries), status.Texts(in.Problems, status.Critical), err)
	}
}

// TestKernelByHand: a drop by hand stays in force until its ban is, and one that does not become a ban
// is removed. A counter of 7 packets is that of the rule that was added.
func TestKernelByHand(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		for _, backend := range []string{backendRules, backendSet} {
			k.clear()
			a := k.action(`backend = "` + backend + `"`)
			a.adopt = func(targets []ban.Target) []ban.Target {
				return slices.DeleteFunc(targets, func(target ban.Target) bool { return target.String() != "198.51.100.1" })
			}
			k.resync(a, many(3, time.Time{})...)
			for _, address := range []string{"198.51.100.1", "198.51.100.2"} {
				k.iptables("-A", "FREESWITCH", "-s", address, "-j", "DROP", "-c", "7", "7")
			}
			for range 2 {
				if drift, err := a.Repair(context.Background()); err != nil {
					t.Fatal(drift, err)
				}
				if rules := k.iptables("-nvL", "FREESWITCH"); !regexp.MustCompile(`\b7 +7 DROP .*198\.51\.100\.1 `).MatchString(rules) || strings.Contains(rules, "198.51.100.2") {
					t.Fatalf("%s: after a repair: %s", backend, rules)
				}
			}
			k.apply(a, ban.Change{Kind: ban.KindBan, Ban: banOf("198.51.100.1", time.Time{})})
			kept := regexp.MustCompile(`\b7 +7 DROP .*198\.51\.100\.1 `).FindAllString(k.iptables("-nvL", "FREESWITCH"), -1)
			if want := backend == backendRules; (len(kept) == 1) != want {
				t.Errorf("%s: after its ban was applied: %q", backend, kept)
			}
			k.quiet(a, append(many(3, time.Time{}), banOf("198.51.100.1", time.Time{}))...)
		}
	})
}

// TestKernelApplyRepairs: a change restores a kernel that was cleared.
func TestKernelApplyRepairs(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		for _, backend := range []string{backendRules, backendSet} {
			k.clear()
			a := k.action(`backend = "` + backend + `"`)
			bans := many(50, time.Now().Add(time.Hour))
			k.resync(a, bans...)
			k.iptables("-F")
			k.iptables("-X")
			if backend == backendSet {
				k.sh("ipset", "destroy", "freeswitch-blocked")
			}
			fresh := banOf("203.0.113.7/32", time.Time{})
			k.apply(a, bannedBan(fresh))
			k.quiet(a, append(bans, fresh)...)
			k.apply(a, unban("203.0.113.7/32"), unban("198.51.100.1/32"))
			k.quiet(a, bans...)
		}
	})
}

// TestKernelKeepsForeign: foreign rules and counters are kept.
func TestKernelKeepsForeign(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		k.iptables("-N", "f2b-sshd")
		k.iptables("-A", "f2b-sshd", "-s", "192.0.2.9", "-j", "REJECT")
		k.iptables("-A", "f2b-sshd", "-j", "RETURN")
		k.iptables("-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT")
		a := k.action("")
		bans := many(3, time.Now().Add(time.Hour))
		k.resync(a, bans...)
		k.iptables("-I", "INPUT", "1", "-p", "tcp", "-j", "f2b-sshd") // as fail2ban does
		k.iptables("-I", "FREESWITCH", "2", "-s", "192.168.1.10/32", "-p", "tcp", "-m", "comment", "--comment", "load balancer", "-j", "ACCEPT")
		k.iptables("-R", "FREESWITCH", "1", "-s", "10.0.0.0/32", "-c", "17", "1700", "-j", "DROP")
		d := k.resync(a, bans...)
		if len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "load balancer") {
			t.Fatalf("%+v", d)
		}
		k.wantFirst("iptables", "INPUT", "-p tcp -j f2b-sshd")
		k.quiet(a, bans...) // it is reported once
		k.apply(a, unban("10.0.0.1/32"), banned("203.0.113.7/32", time.Time{}))
		chain := k.chain("iptables")
		if i := slices.IndexFunc(chain, func(s string) bool { return strings.Contains(s, "load balancer") }); i != 1 {
			t.Errorf("the foreign rule moved: %q", chain)
		}
		in, err := a.Inspect(t.Context())
		if err != nil || len(in.Foreign) != 1 || len(in.Entries) != 3 {
			t.Fatalf("%+v, %v", in, err)
		}
		if e := in.Entries[0]; e.Target.String() != "10.0.0.0" || e.Packets != 17 || e.Bytes != 1700 || e.Remaining < 60 {
			t.Errorf("%+v", e)
		}
		if err := a.Withdraw(t.Context()); err != nil {
			t.Fatal(err)
		}
		if chain := k.chain("iptables"); len(chain) != 1 {
			t.Errorf("withdrawn, but %q", chain)
		}
	})
}

// TestKernelExpiry: a ban whose end has passed is no drift, and is removed when its
// expiry is applied.
func TestKernelExpiry(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		for _, backend := range []string{backendRules, backendSet} {
			k.clear()
			a := k.action(`backend = "` + backend + `"`)
			clock := time.Now()
			a.now = func() time.Time { return clock }
			short, long := banOf("203.0.113.7/32", clock.Add(time.Minute)), banOf("203.0.113.8/32", time.Time{})
			k.resync(a, short, long)
			clock = clock.Add(2 * time.Minute)
			if backend == backendSet {
				k.sh("ipset", "del", "freeswitch-blocked", "203.0.113.7") // as the kernel does
			}
			k.quiet(a, short, long)
			k.apply(a, ban.Change{Kind: ban.KindExpire, Ban: short})
			k.quiet(a, long)
			in, err := a.Inspect(t.Context())
			if err != nil || len(in.Entries) != 1 || in.Entries[0].Target != long.Target {
				t.Errorf("%s: %+v, %v", backend, in.Entries, err)
			}
		}
	})
}

// TestKernelSlowList: the timeouts of a set that takes long to list are no drift.
func TestKernelSlowList(t *testing.T) {
	k := newKernel(t, "nft")
	a := k.action(`backend = "ipset"`)
	bans := many(20, time.Now().Add(10*time.Minute))
	k.resync(a, bans...)
	calls := 0
	a.now = func() time.Time {
		if calls++; calls <= 2 { // when the resync begins, and when it compares
			return time.Now().Add(-10 * time.Second)
		}
		return time.Now()
	}
	k.quiet(a, bans...)
	if calls <= 2 {
		t.Errorf("the clock was read %d times", calls)
	}
	k.sh("ipset", "del", "freeswitch-blocked", "10.0.0.7")
	calls = 0
	k.resync(a, bans...) // its timeout is reckoned when it is written
	calls = 0
	k.quiet(a, bans...)
}

// TestKernelStep: after a step of the host's clock the bans have other ends, and the kernel agrees with
// them as it is.
func TestKernelStep(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		for _, backend := range []string{backendRules, backendSet} {
			for _, by := range []time.Duration{2 * time.Hour, -2 * time.Hour, 30 * 365 * 24 * time.Hour} {
				k.clear()
				a := k.action(`backend = "` + backend + `"`)
				now := time.Now
				a.now = func() time.Time { return now() }
				until := time.Now().Add(10 * time.Minute)
				k.resync(a, banOf("203.0.113.7/32", until), banOf("203.0.113.8/32", time.Time{}))
				now = func() time.Time { return time.Now().Add(by) }
				until = until.Add(by)
				k.quiet(a, banOf("203.0.113.7/32", until), banOf("203.0.113.8/32", time.Time{}))
				in, err := a.Inspect(t.Context())
				if err != nil || len(in.Entries) != 2 || (in.Entries[0].Remaining.Duration()-10*time.Minute).Abs() > 10*time.Second {
					t.Errorf("%s, stepped by %s: %+v, %v", backend, by, in.Entries, err)
				}
			}
		}
	})
}

// TestKernelLimitsMoves: two programs that both move their jump to the top do not do
// so for ever.
func TestKernelLimitsMoves(t *testing.T) {
	k := newKernel(t, "nft")
	a := k.action("ipv6 = false")
	clock := time.Now()
	a.now = func() time.Time { return clock }
	k.resync(a)
	above := func() { k.iptables("-I", "INPUT", "1", "-p", "udp", "-j", "ACCEPT") }
	for range moveBurst {
		above()
		if d := k.resync(a); len(d.Notes) != 1 {
			t.Fatalf("%+v", d)
		}
	}
	above()
	if d := k.resync(a); len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "another program keeps moving the jump from INPUT down") {
		t.Fatalf("%+v", d)
	}
	k.quiet(a)
	clock = clock.Add(moveEvery)
	if d := k.resync(a); !strings.Contains(strings.Join(d.Notes, "\n"), "was below") {
		t.Fatalf("%+v", d)
	}
	k.wantFirst("iptables", "INPUT", "-j FREESWITCH")
}

// TestKernelWaitsForHook: Docker's chain gets a jump once it exists.
func TestKernelWaitsForHook(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		a := k.action("hooks = [\"INPUT\", \"DOCKER-USER\"]\nipv6 = false")
		d := k.resync(a)
		if !slices.Contains(d.Notes, "IPv4: waiting for chain DOCKER-USER") {
			t.Fatalf("%+v", d)
		}
		k.quiet(a)
		k.iptables("-N", "DOCKER-USER")
		k.iptables("-A", "DOCKER-USER", "-j", "RETURN")
		k.resync(a)
		k.wantFirst("iptables", "DOCKER-USER", "-j FREESWITCH")
		k.quiet(a)
	})
}

// TestKernelWithoutHook: if no hook exists, such as a chain of another program, the bans are not
// in force, which is a critical problem.
func TestKernelWithoutHook(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		a := k.action("hooks = [\"filter/VOIP-IN\"]\nipv6 = false")
		k.resync(a)
		problems := func() []string {
			in, err := a.Inspect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return status.Texts(in.Problems, status.Critical)
		}
		if found := problems(); len(found) != 1 || !strings.Contains(found[0], "none of its hooks exists, such as VOIP-IN") {
			t.Fatalf("%q", found)
		}
		k.iptables("-N", "VOIP-IN")
		k.resync(a)
		if found := problems(); len(found) > 0 {
			t.Fatalf("%q", found)
		}
	})
}

// TestKernelForeignSet: a set of our name but of another type is left alone, and the
// bans are rules until it is gone.
func TestKernelForeignSet(t *testing.T) {
	k := newKernel(t, "nft")
	k.sh("ipset", "create", "freeswitch-blocked", "hash:ip")
	bans := many(20, time.Now().Add(time.Hour))
	for _, body := range []string{`backend = "ipset"`, `ipset_above = 10`} {
		a := k.action(body)
		d, err := a.Resync(t.Context(), slices.Values(bans))
		all := strings.Join(d.Notes, "\n")
		if err != nil {
			all += err.Error()
		}
		if (err != nil) != strings.Contains(body, "backend") || !strings.Contains(all, "of type hash:ip exists already; remove it (ipset destroy freeswitch-blocked)") {
			t.Errorf("%s: %+v, %v", body, d, err)
		}
		if n := len(k.chain("iptables")); n != 20 {
			t.Errorf("%d rules", n)
		}
		if err := a.Apply(t.Context(), ban.BatchOf(time.Now(), banned("203.0.113.7/32", time.Time{}))); err != nil {
			t.Error(err)
		}
	}
	a := k.action(`ipset_above = 10`) // few bans are rules, until there are more: the set is in the way then
	k.resync(a, bans[:5]...)
	var more []ban.Change
	for _, b := range bans[5:] {
		more = append(more, bannedBan(b))
	}
	if err := a.Apply(t.Context(), ban.BatchOf(time.Now(), more...)); err != nil {
		t.Error(err)
	}
	if n := len(k.chain("iptables")); n != 20 {
		t.Errorf("%d rules after more bans", n)
	}
	if found, err := a.Inspect(t.Context()); err != nil || !strings.Contains(fmt.Sprint(found.Problems), "remove it (ipset destroy freeswitch-blocked)") {
		t.Errorf("%+v, %v", found.Problems, err)
	}
	k.sh("ipset", "destroy", "freeswitch-blocked")
	a = k.action(`ipset_above = 10`)
	k.resync(a, bans...)
	k.wantChain("iptables", "-m set --match-set freeswitch-blocked src -j DROP")
}

// TestKernelClearsUnusedTables: tables that only an earlier configuration used are
// cleared.
func TestKernelClearsUnusedTables(t *testing.T) {
	eachVariant(t, func(t *testing.T, k *kernel) {
		bans := many(5, time.Now().Add(time.Hour))
		k.resync(k.action("hooks = [\"raw/PREROUTING\"]\nports = [\"5060\"]"), bans...)
		if out := k.iptables("-t", "raw", "-S"); strings.Count(out, "DROP") != 5 {
			t.Fatal(out)
		}
		k.resync(k.action(""), bans...)
		if out := k.iptables("-t", "raw", "-S"); strings.Contains(out, "FREESWITCH") {
			t.Fatal(out)
		}
	})
}

// TestKernelLongBans: a timeout beyond the kernel's limit is renewed, and a permanent
// ban has none.
func TestKernelLongBans(t *testing.T) {
	k := newKernel(t, "nft")
	a := k.action("backend = \"ipset\"\nipv6 = false")
	clock := time.Now()
	a.now = func() time.Time { return clock }
	year := banOf("203.0.113.7/32", clock.Add(365*24*time.Hour))
	forever := banOf("203.0.113.8/32", time.Time{})
	k.resync(a, year, forever)
	timeouts := func() string {
		_, list, _ := strings.Cut(k.sh("ipset", "list", "freeswitch-blocked"), "Members:\n")
		return list
	}
	if out := timeouts(); !strings.Contains(out, "203.0.113.7 timeout 214748") || !strings.Contains(out, "203.0.113.8 timeout 0 ") {
		t.Fatal(out)
	}
	k.sh("ipset", "add", "-exist", "freeswitch-blocked", "203.0.113.7", "timeout", "1000000") // as if 13 days had passed
	k.quiet(a, year, forever)                                                                 // renewed without drift
	if out := timeouts(); !strings.Contains(out, "203.0.113.7 timeout 214748") {
		t.Fatal(out)
	}
}
