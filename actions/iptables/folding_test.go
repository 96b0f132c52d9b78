package iptables

import (
	"net/netip"
	"testing"
)

// TestFoldingSparesWhoComes folds two bans, until somebody registers beside them.
func TestFoldingSparesWhoComes(t *testing.T) {
	here := false
	d := newDesired(folding{bits4: 24, holds: func(netip.Prefix) bool { return here }})
	a, b := netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("203.0.113.8/32")
	d.apply(map[netip.Prefix]end{a: forever, b: forever}, nil)
	if got := d.entries(ipv4); len(got) != 1 || got[netip.MustParsePrefix("203.0.113.0/24")] != forever {
		t.Fatalf("folded to %v", got)
	}
	here = true
	if got := d.entries(ipv4); len(got) != 1 {
		t.Fatalf("between two looks it is %v: what is taken out then was never put in", got)
	}
	if !d.folding.askAnew(d.bans) {
		t.Fatal("somebody has come, and nothing has changed")
	}
	if got := d.entries(ipv4); len(got) != 2 || got[a] != forever || got[b] != forever {
		t.Fatalf("with somebody beside them: %v", got)
	}
	if d.folding.askAnew(d.bans) {
		t.Fatal("nobody has come or gone, and something has changed")
	}
	d.apply(nil, map[netip.Prefix]bool{a: true, b: true})
	d.folding.askAnew(d.bans)
	if len(d.folding.answered) != 0 {
		t.Fatalf("%v is remembered of nobody", d.folding.answered)
	}
}
