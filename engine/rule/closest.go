package rule

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// maxLooked bounds the windows that Closest looks at per rule and source: those seen
// last. It runs between two events.
const maxLooked = 20_000

// Closest returns up to top keys whose windows are not over at now, ordered by the part
// of the threshold that they lack.
func (s *Set) Closest(top int, now time.Time) []status.Tracker {
	var all []status.Tracker
	for _, r := range s.rules {
		for slot, t := range r.trackers {
			all = append(all, r.open(t, slot, now, s.ring)...)
			slices.SortStableFunc(all, closer)
			all = all[:min(len(all), top)]
		}
	}
	return all
}

// closer orders by what is missing, in parts of the threshold, then by time.
func closer(a, b status.Tracker) int {
	return cmp.Or(
		cmp.Compare(b.Count*steps(&a), a.Count*steps(&b)),
		b.Last.Compare(a.Last),
		cmp.Compare(a.Key, b.Key),
	)
}

// steps returns the number of events to a firing. Then is one step: otherwise the
// windows that only wait for it would always be first.
func steps(t *status.Tracker) int {
	if t.Then != "" {
		return t.Limit + 1
	}
	return t.Limit
}

// open lists the windows of a tracker that are not over.
func (r *rule) open(t *tracker, slot int, now time.Time, ring *ring) []status.Tracker {
	th := r.spec.Threshold
	like := status.Tracker{Rule: r.spec.Name, Source: r.spec.On[slot], Limit: th.Count, Within: status.InSeconds(th.Within)}
	if th.Then != nil {
		like.Then = th.Then.String()
	}
	start := now.UnixMicro() - t.base - t.within
	var all []status.Tracker
	looked := 0
	for i := t.first(); i != 0 && looked < maxLooked; i = t.windows.at(i).next {
		looked++
		w := t.windows.at(i)
		newest := t.matches.at(w.newest)
		if w.n == 0 || newest.time < start {
			continue
		}
		n := like
		n.Last, n.Key = time.UnixMicro(newest.time+t.base).UTC(), r.keyer.recall(w.key, newest.place, ring)
		n.Count = int(w.n)
		for m := t.matches.at(w.oldest); m.time < start; m = t.matches.at(m.next) {
			n.Count--
		}
		all = append(all, n)
	}
	return all
}

// first returns the window that was seen last, 0 if there is none.
func (t *tracker) first() uint32 {
	if t.windows.used == 0 {
		return 0
	}
	return t.windows.at(0).next
}

// recall returns the text of a key. An address is the digest itself; any other key is
// taken from its newest match. It is empty if that is not kept, or lacks a part.
func (k *keyer) recall(key digest, place uint64, ring *ring) string {
	if k.isAddress() {
		network, _ := k.key[0].Network.Of(netip.AddrFrom16(key).Unmap(), k.nat64)
		return ban.Network(network).String()
	}
	kept, ok := ring.at(place)
	if !ok {
		return ""
	}
	ev := &event.Event{IP: kept.IP, User: kept.User, Domain: kept.Domain}
	if again, ok := k.digest(ev); !ok || again != key {
		return ""
	}
	return k.text(ev)
}
