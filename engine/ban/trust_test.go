package ban

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestGrantUnbansAndForbidsUntilItEnds(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	order := func(target string, at time.Time) Order {
		p := netip.MustParsePrefix(target)
		return Order{Target: Network(p), Address: p.Addr(), Rule: "r", At: at, Terms: terms("1h")}
	}
	for _, target := range []string{"203.0.113.7/32", "203.0.113.8/32", "198.51.100.1/32"} {
		if c := l.Enter(order(target, t0), t0); !c.InForce() {
			t.Fatal(c.Why)
		}
	}
	freed := l.Grant(Trusted{Name: "whitelist", Target: Network(netip.MustParsePrefix("203.0.113.0/24")), Author: "api alice", Comment: "the Bonn office", Since: t0, Until: t0.Add(time.Minute)}, t0)
	if len(freed) != 2 || freed[0].Kind != KindUnban || l.Size() != 1 {
		t.Fatalf("freed %v, %d bans stand", freed, l.Size())
	}
	c := l.Enter(order("203.0.113.7/32", t0), t0)
	const why = "trusted: whitelist, the Bonn office (by api alice until 2026-05-04 10:01:00 UTC)"
	if c.InForce() || c.Why != why {
		t.Fatalf("refusal %+v, want %q", c, why)
	}
	around := order("203.0.0.0/16", t0)
	around.Address = netip.MustParseAddr("203.0.113.9")
	wide := l.Enter(around, t0)
	if wide.InForce() || !strings.HasPrefix(wide.Why, "trusted") {
		t.Fatalf("a network around it, about an address inside: %+v", wide)
	}
	l.Advance(t0.Add(time.Minute))
	if c := l.Enter(order("203.0.113.7/32", t0.Add(time.Minute)), t0.Add(time.Minute)); !c.InForce() {
		t.Fatalf("after its end: %v", c.Why)
	}
	if l.grants.table.size() != 0 {
		t.Fatal("the grant is over and still listed")
	}
}

func TestRevokedGrantForbidsNothing(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	p := netip.MustParsePrefix("203.0.113.7/32")
	l.Grant(Trusted{Name: "whitelist", Target: Network(p), Author: "api", Since: t0}, t0)
	if l.Trusted(Network(p)) == nil {
		t.Fatal("not trusted")
	}
	if !l.Revoke(Network(p)) || l.Revoke(Network(p)) {
		t.Fatal("a grant can be revoked once")
	}
	if l.Trusted(Network(p)) != nil {
		t.Fatal("still trusted")
	}
}

func TestOrderByHandEndsTheGrace(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	p := netip.MustParsePrefix("203.0.113.7/32")
	o := Order{Target: Network(p), Address: p.Addr(), Rule: "r", At: t0, Terms: terms("1h")}
	l.Unban(Network(p), "by hand", t0, time.Hour)
	if c := l.Enter(o, t0); c.InForce() {
		t.Fatal("a rule may ban in the grace time")
	}
	o.ByHand, o.Rule = true, ""
	if c := l.Enter(o, t0); !c.InForce() {
		t.Fatal(c.Why)
	}
	l.Unban(Network(p), "by hand", t0, 0)
	o.ByHand, o.Rule = false, "r"
	if c := l.Enter(o, t0); !c.InForce() {
		t.Fatalf("the grace is over: %s", c.Why)
	}
}

func TestGrantUnbansAroundAndWithin(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	for _, target := range []string{"203.0.113.0/24", "203.0.113.7/32", "203.0.113.8/32", "203.0.112.0/32", "198.51.100.0/24"} {
		p := netip.MustParsePrefix(target)
		if c := l.Enter(Order{Target: Network(p), Rule: "r", At: t0, Terms: terms("1h")}, t0); !c.InForce() && target != "203.0.113.7/32" && target != "203.0.113.8/32" {
			t.Fatal(target, c.Why)
		}
	}
	var freed []string
	for _, c := range l.Grant(Trusted{Name: "whitelist", Target: Network(netip.MustParsePrefix("203.0.113.7/32")), Author: "api", Since: t0}, t0) {
		freed = append(freed, c.Ban.Target.String())
	}
	if len(freed) != 1 || freed[0] != "203.0.113.0/24" {
		t.Fatalf("freed %v", freed)
	}
	if l.Size() != 2 {
		t.Fatalf("%d bans stand, want those that have nothing to do with it", l.Size())
	}
}

// TestDeadlinesAreBounded extends one ban 10,000 times before it ends.
func TestDeadlinesAreBounded(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	p := netip.MustParsePrefix("203.0.113.7/32")
	now := t0
	for range 10_000 {
		now = now.Add(time.Minute)
		if c := l.Enter(Order{Target: Network(p), Author: "feed x", At: now, Terms: terms("7d")}, now); !c.InForce() {
			t.Fatal(c.Why)
		}
	}
	if len(l.due) > 2000 {
		t.Fatalf("%d deadlines for one ban", len(l.due))
	}
	if expired := l.Advance(now.Add(7 * 24 * time.Hour)); len(expired) != 1 {
		t.Fatalf("%d bans expired", len(expired))
	}
}

// TestTrustedAccounts: an account is trusted in its domain, or in any, and that survives a restart.
func TestTrustedAccounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	f := open(t, path)
	rules := NewTrust([]Trusted{{Target: target("2000@pbx"), Name: "dialers", Where: "a.hcl:1"}, {Target: Account("2001", AnyDomain), Name: "dialers", Where: "a.hcl:1"}})
	l := NewLedger(rules)
	l.SetKinds([]TargetKind{TargetAccount})
	if err := l.Restore(f); err != nil {
		t.Fatal(err)
	}
	account := func(s string) Order {
		return Order{Target: target(s), Rule: "r", Author: ByRule, At: t0, Terms: terms("1h")}
	}
	mustRefuse(t, l, account("2000@PBX"), "trusted: dialers (a.hcl:1)")
	mustRefuse(t, l, account("2001@pbx"), "trusted: dialers (a.hcl:1)")
	mustRefuse(t, l, account("2001@other"), "trusted: dialers (a.hcl:1)")
	mustRefuse(t, l, account("2002@*"), "an account is banned with its domain")
	mustBan(t, l, account("2000@other"))
	for _, s := range []string{"3000@pbx", "3000@other", "3001@pbx"} {
		mustBan(t, l, account(s))
	}
	grant := Trusted{Target: Account("3000", AnyDomain), Name: "whitelist", Author: "api alice", Since: t0, Until: at("1h")}
	if freed := l.Grant(grant, t0); len(freed) != 2 || freed[0].Target != target("3000@other") || freed[1].Target != target("3000@pbx") {
		t.Fatalf("freed %v", freed)
	}
	if _, err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again := NewLedger(rules)
	again.SetKinds([]TargetKind{TargetAccount})
	if err := again.Restore(open(t, path)); err != nil {
		t.Fatal(err)
	}
	sameState(t, "restart", l, again)
	mustRefuse(t, again, account("3000@pbx"), "trusted: whitelist (by api alice until")
	if all := again.AllTrusted(); len(all) != 9 || all[8].Target != grant.Target || all[6].Target != target("2000@pbx") {
		t.Fatalf("trusted are %v", all)
	}
	if freed := again.SetTrust(NewTrust([]Trusted{{Target: target("3001@pbx")}}), t0); len(freed) != 1 || freed[0].Target != target("3001@pbx") {
		t.Fatalf("a reload freed %v", freed)
	}
	again.Advance(at("1h"))
	if again.Trusted(target("3000@pbx")) != nil || again.Trusted(target("2001@pbx")) != nil || again.Revoke(grant.Target) {
		t.Fatal("trust did not end")
	}
}

// TestTrustCovering: the narrowest entry covers, of equal ones that of the rule files.
func TestTrustCovering(t *testing.T) {
	l := NewLedger(NewTrust([]Trusted{
		{Target: target("203.0.113.0/24"), Name: "written"}, {Target: target("198.51.100.7"), Name: "written"},
		{Target: Account("2000", AnyDomain), Name: "written"}, {Target: target("2001@pbx"), Name: "written"},
	}))
	for _, s := range []string{"203.0.113.7", "198.51.100.0/24", "198.51.100.7", "2000@pbx", "2001@*", "2002@*"} {
		l.Grant(Trusted{Target: target(s), Name: "given", Author: "api", Since: t0}, t0)
	}
	for s, want := range map[string]string{
		"203.0.113.7": "given", "203.0.113.8": "written", "203.0.113.7:5060/udp": "given", "198.51.100.7": "written", "198.51.100.8": "given", "192.0.2.1": "",
		"2000@pbx": "given", "2000@other": "written", "2001@pbx": "written", "2001@other": "given", "2002@pbx": "given", "2003@pbx": "",
	} {
		got := ""
		if entry := l.TrustCovering(target(s), false); entry != nil {
			got = entry.Name
		}
		if got != want {
			t.Errorf("%s: %q, want %q", s, got, want)
		}
	}
	if entry := l.TrustCovering(target("2001@pbx"), true); entry == nil || entry.Target != Account("2001", AnyDomain) {
		t.Errorf("given: %v", entry)
	}
}
