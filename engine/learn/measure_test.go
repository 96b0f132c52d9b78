package learn

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

func failure(r *recording, ip string) *event.Event {
	r.at = r.at.Add(time.Second)
	return &event.Event{Time: r.at, Name: event.AuthFailure, Source: stream, IP: netip.MustParseAddr(ip), User: "207"}
}

// TestMeasureAgreesWithRules compares peaks with the rules themselves: an address
// makes a rule fire at a threshold of n exactly if its peak is n or more.
func TestMeasureAgreesWithRules(t *testing.T) {
	const highest = 8
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		base := guessing(t)
		base.Threshold.Within = time.Duration(1+rnd.IntN(20)) * time.Second
		if rnd.IntN(2) == 0 {
			base.Threshold.Distinct = "user"
		}
		var ladder []*rule.Spec
		for count := 1; count <= highest; count++ {
			one, th := *base, *base.Threshold
			th.Count = count
			one.Threshold = &th
			ladder = append(ladder, &one)
		}
		fired := map[netip.Addr]int{} // the highest threshold at which it fired
		rules := rule.NewSet(ladder)
		r := record(t, base)
		now := start
		for range 300 {
			now = now.Add(time.Duration(rnd.IntN(2000)) * time.Millisecond)
			ev := &event.Event{
				Time: now.Add(-time.Duration(rnd.IntN(900)) * time.Millisecond), // out of order, a little
				Name: []string{event.AuthFailure, event.AuthFailure, event.Challenge}[rnd.IntN(3)], Source: []string{stream, log}[rnd.IntN(2)],
				IP: netip.MustParseAddr(fmt.Sprintf("203.0.113.%d", rnd.IntN(4))), User: []string{"", "1", "2", "3", "4", "5", "6"}[rnd.IntN(7)],
				Repeat: rnd.IntN(8) == 0,
			}
			rules.Observe(ev, func(f *rule.Firing) { fired[ev.IP] = max(fired[ev.IP], f.Spec.Threshold.Count) })
			r.Record(ev)
		}
		for _, a := range r.addresses {
			count := int(a.with(0).peak)
			if got, want := min(count, highest), fired[a.single]; got != want {
				t.Errorf("seed %d: %s reached %d, and the rule fired up to a threshold of %d", seed, a.single, got, want)
			}
		}
	}
}

// TestMeasureOfAll gives each address in a window the count of all, where a rule bans
// them all.
func TestMeasureOfAll(t *testing.T) {
	all := guessing(t)
	all.Threshold.Per = rule.Key{{Field: "user"}}
	all.Ban.All = true
	r := record(t, all)
	r.fail("203.0.113.1", "200", 1)
	r.fail("203.0.113.2", "200", 3)
	for _, a := range r.addresses {
		if count := int(a.with(0).peak); count != 4 {
			t.Errorf("%s reached %d, want 4", a.single, count)
		}
	}
}

// TestBusyAddress counts one address among many to the limit, and no further.
func TestBusyAddress(t *testing.T) {
	r := record(t, guessing(t))
	for i := range 20_000 {
		ev := failure(r, fmt.Sprintf("10.0.%d.%d", i>>8&0xff, i&0xff))
		ev.Time = start.Add(time.Duration(i) * time.Millisecond)
		r.Record(ev)
		if i%4 == 0 {
			ev.IP = netip.MustParseAddr("203.0.113.7")
			r.Record(ev)
		}
	}
	if count := int(r.address(netip.MustParseAddr("203.0.113.7")).with(0).peak); count != countLimit(5) {
		t.Errorf("the busiest reached %d", count)
	}
}
