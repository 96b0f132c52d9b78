package rule

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// maxLooked bounds the windows that Closest looks at for each rule and source:
// those that were seen last. It is called between two events.
const maxLooked = 20_000

// Closest returns up to top keys whose windows are not over at now, those that
// lack the smallest part of their threshold first.
func (s *Set) Closest(top int, now time.Time) []status.Tracker {
	var all []status.Tracker
	for _, r := range s.rules {
		for slot, t := range r.trackers {
			all = append(all, r.near(t, slot, now, s.ring)...)
			slices.SortStableFunc(all, nearer)
			all = all[:min(len(all), top)]
		}
	}
	return all
}

// nearer orders by what is missing, in parts of the threshold, then by time.
func nearer(a, b status.Tracker) int {
	return cmp.Or(
		cmp.Compare(b.Count*steps(&a), a.Count*steps(&b)),
		b.Last.Compare(a.Last),
		cmp.Compare(a.Key, b.Key),
	)
}

// steps is how many events it takes: a window that only waits for Then is not the
// nearest of all, or those would hide the rest for as long as they last.
func steps(n *status.Tracker) int {
	if n.Then != "" {
		return n.Limit + 1
	}
	return n.Limit
}

// near lists the windows of a tracker that are not over.
func (r *state) near(t *tracker, slot int, now time.Time, ring *ring) []status.Tracker {
	var all []status.Tracker
	looked := 0
	for i := t.first(); i != 0 && looked < maxLooked; i = t.windows.at(i).next {
		looked++
		w := t.windows.at(i)
		newest := t.matches.at(w.newest)
		if w.n == 0 || newest.time < now.UnixMicro()-t.within {
			continue
		}
		n := status.Tracker{
			Rule: r.spec.Name, Source: r.spec.On[slot], Limit: r.spec.Threshold.Count, Within: status.InSeconds(r.spec.Threshold.Within),
			Last: time.UnixMicro(newest.time).UTC(), Key: r.keyer.recall(w.key, newest.place, ring),
		}
		if then := r.spec.Threshold.Then; then != nil {
			n.Then = then.String()
		}
		n.Count = int(w.n)
		for m := w.oldest; t.matches.at(m).time < now.UnixMicro()-t.within; m = t.matches.at(m).next {
			n.Count--
		}
		all = append(all, n)
	}
	return all
}

// first is the window that was seen last, 0 where there is none.
func (t *tracker) first() uint32 {
	if t.windows.used == 0 {
		return 0
	}
	return t.windows.at(0).next
}

// recall writes a key for people from what is still known of it: that of an
// address is the digest itself, others must be looked up at their newest match.
func (k *keyer) recall(key digest, place uint64, ring *ring) string {
	if len(k.key) == 1 && k.key[0].Field == "ip" {
		addr := netip.AddrFrom16(key).Unmap()
		network, _ := k.key[0].Network.Of(addr)
		return networkText(network)
	}
	kept, ok := ring.at(place)
	if !ok {
		return ""
	}
	ev := &event.Event{IP: kept.ip, User: kept.user, Domain: kept.domain}
	if again, ok := k.digest(ev); !ok || again != key {
		return "" // the key has parts that are not kept
	}
	return k.text(ev)
}
