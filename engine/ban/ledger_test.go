package ban

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)

func at(s string) time.Time {
	d, err := ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return t0.Add(d)
}

func terms(list ...string) []Term {
	var out []Term
	for _, s := range list {
		t, err := ParseTerm(s)
		if err != nil {
			panic(err)
		}
		out = append(out, t)
	}
	return out
}

func target(s string) Target {
	t, err := ParseTarget(s)
	if err != nil {
		panic(err)
	}
	return t
}

func network(s string) netip.Prefix { return target(s).Prefix() }

// order is an order of a rule for the whole of s.
func order(s string, when time.Time, ladder ...string) Order {
	p := target(s)
	return Order{Target: p, Address: p.Prefix().Addr(), Rule: "r", Author: "rule", At: when, Terms: terms(ladder...)}
}

func mustBan(t *testing.T, l *Ledger, o Order) Ban {
	t.Helper()
	c := l.Enter(o, o.At)
	if !c.InForce() {
		t.Fatalf("Enter(%s at %s) refused: %s", o.Target, o.At, c.Why)
	}
	return c.Ban
}

func mustRefuse(t *testing.T, l *Ledger, o Order, reason string) {
	t.Helper()
	c := l.Enter(o, o.At)
	if c.Kind != KindRefuse {
		t.Fatalf("Enter(%s) banned until %s, want refused: %s", o.Target, c.Ban.Until, reason)
	}
	if !strings.Contains(c.Why, reason) {
		t.Fatalf("Enter(%s) refused %q, want %q", o.Target, c.Why, reason)
	}
}

func TestLadder(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	now := t0
	for i, want := range []string{"10m", "2h", "7d", "7d"} {
		o := order("203.0.113.7", now, "10m", "2h", "7d")
		o.Forget = 30 * 24 * time.Hour
		b := mustBan(t, l, o)
		if b.Term.String() != want || b.Offence != i+1 {
			t.Fatalf("ban %d: %s, offence %d; want %s, %d", i, b.Term, b.Offence, want, i+1)
		}
		if !b.Until.Equal(now.Add(time.Duration(b.Term))) {
			t.Fatalf("ban %d ends %s", i, b.Until)
		}
		expired := l.Advance(b.Until)
		if len(expired) != 1 || expired[0].Kind != KindExpire || !expired[0].At.Equal(b.Until) {
			t.Fatalf("ban %d: expired %v", i, expired)
		}
		now = b.Until.Add(time.Second)
	}
	// 30 days after the end of the last ban, the first time is the first again.
	now = now.Add(30*24*time.Hour - time.Second)
	l.Advance(now)
	o := order("203.0.113.7", now, "10m", "2h")
	o.Forget = 30 * 24 * time.Hour
	if b := mustBan(t, l, o); b.Offence != 1 {
		t.Fatalf("offence %d after it was forgotten", b.Offence)
	}
	if len(l.history) != 1 {
		t.Fatalf("%d histories kept", len(l.history))
	}
}

// TestOffencesAreBounded has forged senders banned once each, after an attacker that was banned twice
// and beside one whose ban lasts: both are remembered, and of the others the latest.
func TestOffencesAreBounded(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "state"))
	l := NewLedger(NewTrust(nil))
	l.past = 1000
	if err := l.Restore(f); err != nil {
		t.Fatal(err)
	}
	now := t0
	ban := func(who string, ladder ...string) int {
		o := order(who, now, ladder...)
		o.Forget = 30 * 24 * time.Hour
		l.Advance(now)
		return mustBan(t, l, o).Offence
	}
	ban("203.0.113.7", "10m")
	now = now.Add(time.Hour)
	ban("203.0.113.7", "10m")
	ban("203.0.113.8", "7d")
	forged := func(i int) string { return fmt.Sprintf("198.18.%d.%d", i/250, i%250) }
	for i := range 5000 {
		now = now.Add(time.Second)
		ban(forged(i), "10m")
	}
	if _, err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	kept := 0
	if err := f.Load(func(Record) { kept++ }); err != nil {
		t.Fatal(err)
	}
	if over := len(l.history) - l.bans.size(); over > l.past || over < l.past*7/10 || kept != len(l.history) || len(l.due) > 5000 {
		t.Errorf("%d offences of bans that are over, %d in all, %d in the file, %d deadlines", over, len(l.history), kept, len(l.due))
	}
	l.Advance(now.Add(time.Hour))
	if l.Offended(target(forged(0))) || !l.Offended(target(forged(4300))) || !l.Offended(target("203.0.113.8")) {
		t.Error("the oldest of those banned once is not the first to be forgotten")
	}
	if now = now.Add(time.Hour); ban("203.0.113.7", "10m", "2h", "7d") != 3 {
		t.Error("the attacker begins again")
	}
	again := NewLedger(NewTrust(nil))
	again.past = 100
	if err := again.Restore(f); err != nil || len(again.history) > again.bans.size()+again.past {
		t.Errorf("restored %d, %v", len(again.history), err)
	}
}

// A ban by an operator or a list is no offence: it neither raises the ladder of rules
// nor makes the ledger forget offences.
func TestOnlyRulesCountOffences(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	byHand := order("203.0.113.7", t0, "1m")
	byHand.Rule = ""
	mustBan(t, l, byHand)
	l.Advance(at("1m"))
	if len(l.history) != 0 {
		t.Fatalf("%d histories kept", len(l.history))
	}
	for i, want := range []string{"10m", "2h"} {
		o := order("203.0.113.7", at("2m").AddDate(0, 0, 2*i), "10m", "2h")
		o.Forget = 30 * 24 * time.Hour
		if b := mustBan(t, l, o); b.Term.String() != want || b.Offence != i+1 {
			t.Fatalf("ban %d: %s, offence %d", i, b.Term, b.Offence)
		}
		l.Advance(o.At.Add(2 * time.Hour))
		byHand.At = o.At.Add(3 * time.Hour)
		if b := mustBan(t, l, byHand); b.Offence != i+1 {
			t.Fatalf("by hand after ban %d: offence %d", i, b.Offence)
		}
		l.Advance(o.At.Add(24 * time.Hour))
	}
}

func TestPermanentNeverEnds(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	b := mustBan(t, l, order("203.0.113.7", t0, "permanent"))
	if !b.Until.IsZero() || len(l.Advance(t0.Add(MaxDuration))) != 0 {
		t.Fatalf("a permanent ban ended: %+v", b)
	}
	mustRefuse(t, l, order("203.0.113.7", at("1h"), "permanent"), "already banned permanently")
	mustRefuse(t, l, order("203.0.113.7", at("1h"), "7d"), "already banned permanently")
}

func TestStandingBan(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	mustBan(t, l, order("203.0.113.0/24", t0, "1h"))
	mustRefuse(t, l, order("203.0.113.7", at("30m"), "1h"), "already banned with 203.0.113.0/24 until 2026-05-04 11:00:00 UTC")
	// A longer ban of one address inside is not covered by the shorter one.
	longer := order("203.0.113.7", at("30m"), "2h")
	if b := mustBan(t, l, longer); b.Offence != 1 || !b.Until.Equal(at("2h30m")) {
		t.Fatalf("longer ban inside a network: %+v", b)
	}
	if c := l.Enter(order("203.0.113.0/24", at("40m"), "3h"), at("40m")); c.Kind != KindExtend {
		t.Fatalf("a longer ban of the same network is %v, want extended", c)
	}
	got, ok := l.Covering(target("203.0.113.7"))
	if !ok || got.Target != target("203.0.113.0/24") {
		t.Fatalf("covering %v", got.Target)
	}
	if bans := l.Bans(); len(bans) != 2 {
		t.Fatalf("%d bans stand, want 2", len(bans))
	}
}

// TestBansOfDifferentActions: a ban by one action does not shorten a ban of the same
// target by others.
func TestBansOfDifferentActions(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	edge := order("203.0.113.7", t0, "1h")
	edge.Actions = []string{"iptables.edge"}
	mustBan(t, l, edge)
	again := edge
	again.At = at("1m")
	mustRefuse(t, l, again, "already banned")
	all := order("203.0.113.7", at("2m"), "10m")
	b := mustBan(t, l, all)
	if b.Actions != nil || !b.Until.Equal(at("1h")) {
		t.Fatalf("actions %v until %s, want all until the first ban's end", b.Actions, b.Until)
	}
	mustRefuse(t, l, again, "already banned")

	l = NewLedger(NewTrust(nil))
	mustBan(t, l, order("203.0.113.7", t0, "10m"))
	edge.At = at("1m")
	if b := mustBan(t, l, edge); b.Actions != nil || !b.Until.Equal(at("1h1m")) {
		t.Fatalf("actions %v until %s: a longer ban by one action ended it for the others", b.Actions, b.Until)
	}
}

func TestTrust(t *testing.T) {
	trust := NewTrust([]Trusted{
		{Target: Network(network("198.51.100.0/24")), Name: "carriers", Comment: "SIP trunks", Where: "rules.d/00-site.hcl:4"},
		{Target: Network(network("2001:db8:1::7")), Name: "office"},
	})
	l := NewLedger(trust)
	mustRefuse(t, l, order("198.51.100.9", t0, "1h"), "trusted: carriers, SIP trunks (rules.d/00-site.hcl:4)")
	mustRefuse(t, l, order("127.0.0.1", t0, "1h"), "trusted: loopback")
	mustRefuse(t, l, order("fe80::1", t0, "1h"), "trusted: link-local")

	// A network that holds a trusted address is narrowed to the one that fired.
	o := order("2001:db8:1::/64", t0, "1h")
	o.Address = netip.MustParseAddr("2001:db8:1::66")
	if b := mustBan(t, l, o); b.Target != target("2001:db8:1::66") {
		t.Fatalf("banned %s", b.Target)
	}
	// Without an address to narrow to, it is refused.
	o = order("198.51.0.0/16", t0, "1h")
	o.Address = netip.Addr{}
	mustRefuse(t, l, o, "trusted: carriers")
	o.Address = netip.MustParseAddr("198.51.100.1")
	mustRefuse(t, l, o, "trusted: carriers")
}

func TestWiderTrustEndsBans(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	mustBan(t, l, order("203.0.113.7", t0, "1h"))
	mustBan(t, l, order("203.0.112.0/22", t0, "1h"))
	mustBan(t, l, order("192.0.2.1", t0, "1h"))
	freed := l.SetTrust(NewTrust([]Trusted{{Target: Network(network("203.0.113.0/24")), Name: "office"}}), at("1m"))
	if len(freed) != 2 || freed[0].Kind != KindUnban || freed[0].Why != "trusted: office" {
		t.Fatalf("freed %+v", freed)
	}
	if bans := l.Bans(); len(bans) != 1 || bans[0].Target != target("192.0.2.1") {
		t.Fatalf("left %v", bans)
	}
}

func TestUnbanErasesOffencesAndGivesGrace(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	mustBan(t, l, order("203.0.113.7", t0, "10m", "2h"))
	if c := l.Unban(target("203.0.113.7"), "by hand", at("1m"), 10*time.Minute); c == nil || c.Kind != KindUnban {
		t.Fatalf("unban: %v", c)
	}
	mustRefuse(t, l, order("203.0.113.7", at("2m"), "10m"), "in its grace time until 2026-05-04 10:11:00 UTC")
	mustRefuse(t, l, order("203.0.113.0/24", at("2m"), "10m"), "in its grace time")
	l.Advance(at("11m"))
	if b := mustBan(t, l, order("203.0.113.7", at("11m"), "10m", "2h")); b.Offence != 1 {
		t.Fatalf("offence %d after it was erased", b.Offence)
	}
	if c := l.Unban(target("192.0.2.1"), "by hand", at("11m"), 0); c != nil {
		t.Fatalf("unbanned what was not banned: %v", c)
	}
}

func TestOffended(t *testing.T) {
	l := NewLedger(NewTrust(nil))
	mustBan(t, l, order("198.51.100.7", t0, "1h"))
	unbanned := order("198.51.100.8", t0, "1h")
	mustBan(t, l, unbanned)
	l.Unban(unbanned.Target, "a mistake", at("1m"), 0)
	byHand := order("198.51.100.9", t0, "1h")
	byHand.Rule, byHand.Author = "", "api alice"
	mustBan(t, l, byHand)
	l.Advance(at("2h"))
	for target, want := range map[string]bool{"198.51.100.7": true, "198.51.100.0/24": false, "198.51.100.8": false, "198.51.100.9": false} {
		if got := l.Offended(Network(network(target))); got != want {
			t.Errorf("%s: %t", target, got)
		}
	}
}

// TestNeverBansTrusted makes random orders, unbans and trust. It checks the invariants
// of the ledger after each of them.
func TestNeverBansTrusted(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 0))
	network := func() netip.Prefix {
		a := netip.AddrFrom4([4]byte{203, 0, byte(rng.IntN(2)), byte(rng.IntN(16))})
		p, _ := a.Prefix([]int{32, 32, 30, 28, 24}[rng.IntN(5)])
		return p
	}
	for round := range 300 {
		var entries []Trusted
		l := NewLedger(NewTrust(nil))
		now := t0
		for step := range 60 {
			now = now.Add(time.Duration(rng.IntN(120)) * time.Second)
			for _, c := range l.Advance(now) {
				if !c.Ban.Over(now) {
					t.Fatalf("seed %d round %d: expired %s at %s, ends %s", seed, round, c.Ban.Target, now, c.Ban.Until)
				}
			}
			switch rng.IntN(10) {
			case 0:
				entries = append(entries, Trusted{Target: Network(network()), Name: fmt.Sprint("t", step)})
				l.SetTrust(NewTrust(entries), now)
			case 1:
				l.Unban(Network(network()), "by hand", now, time.Duration(rng.IntN(3))*time.Minute)
			default:
				p := network()
				o := Order{Target: Network(p), Address: p.Addr(), Rule: "r", At: now, Terms: terms("1m", "5m")}
				before, had := l.Covering(Network(p))
				c := l.Enter(o, now)
				if c.InForce() == (c.Kind == KindRefuse) || c.InForce() != (c.Why == "") {
					t.Fatalf("seed %d round %d: neither or both of a ban and a refusal: %+v", seed, round, c)
				}
				after, has := l.Covering(Network(p))
				if had && (!has || outlasts(before.Until, after.Until)) {
					t.Fatalf("seed %d round %d: an order shortened the ban of %s", seed, round, p)
				}
			}
			for _, b := range l.Bans() {
				for _, e := range entries {
					if e.Target.Prefix().Overlaps(b.Target.Prefix()) {
						t.Fatalf("seed %d round %d: %s is banned, %s is trusted", seed, round, b.Target, e.Target)
					}
				}
				if b.Over(now) {
					t.Fatalf("seed %d round %d: %s stands after its end", seed, round, b.Target)
				}
			}
		}
	}
}
