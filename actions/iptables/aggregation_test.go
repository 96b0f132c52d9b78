package iptables

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"freeswitch-security/engine/ban"
)

// TestAggregationKeepsProtected aggregates two bans until an address beside them is
// protected.
func TestAggregationKeepsProtected(t *testing.T) {
	protected := false
	d := newDesired(aggregation{bits: 24, protected: func(netip.Prefix) bool { return protected }})
	a, b := targetOf("203.0.113.7/32"), targetOf("203.0.113.8/32")
	network := expiries{keyOf(targetOf("203.0.113.0/24")): permanent}
	single := expiries{keyOf(a): permanent, keyOf(b): permanent}
	d.apply(single)
	if !maps.Equal(d.entries(), network) {
		t.Fatalf("aggregated to %v", d.entries())
	}
	protected = true
	if !maps.Equal(d.entries(), network) {
		t.Fatalf("without a refresh the entries changed to %v", d.entries())
	}
	if w := d.refresh(); len(w.upserts) != 2 || !slices.Equal(w.removals, []ban.Target{targetOf("203.0.113.0/24")}) {
		t.Fatalf("the refresh did not see the protected address: %+v", w)
	}
	if !maps.Equal(d.entries(), single) {
		t.Fatalf("with a protected address: %v", d.entries())
	}
	if w := d.refresh(); !w.empty() {
		t.Fatal("a refresh with the same answers reports a change")
	}
	d.apply(expiries{keyOf(a): unbanned, keyOf(b): unbanned})
	d.refresh()
	if len(d.aggregation.answers) != 0 {
		t.Fatalf("answers without bans: %v", d.aggregation.answers)
	}
}
