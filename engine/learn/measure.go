package learn

import (
	"net/netip"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

// countLimit is how far is counted: beyond any threshold that is proposed.
func countLimit(count int) int { return min(rule.MaxCount, max(100, 2*maxCount(count))) }

// measureOf returns a set that records how high the counts in the windows of the rules
// go. The rules decide what matches, by which key, and whether it counts.
//
// Invariant: an address reaches n in a window exactly if an event of that address would
// make the rule fire at a threshold of n, or would have done so before.
func (r *Recorder) measureOf(specs []*rule.Spec) *rule.Set {
	index := map[*rule.Spec]int{}
	var measured []*rule.Spec
	for i, spec := range specs {
		if spec.Threshold == nil {
			continue
		}
		copied, t := *spec, *spec.Threshold
		t.Count, t.Then = countLimit(t.Count), nil
		copied.Threshold = &t
		index[&copied] = i
		measured = append(measured, &copied)
	}
	set := rule.NewSet(measured)
	set.Meter = func(spec *rule.Spec, ev *event.Event, n int, addrs []netip.Addr) {
		for _, addr := range addrs {
			network, _ := rule.Host.Of(addr, r.NAT64)
			if a := r.addresses[network]; a != nil {
				a.reach(index[spec], min(n, spec.Threshold.Count), ev.Time.UnixMicro())
			}
		}
	}
	return set
}
