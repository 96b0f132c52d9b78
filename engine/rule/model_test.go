package rule

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

// A model is the definition of a threshold, written down as plainly as can be:
// per source and key every match that ever counted, looked through each time.
type model struct {
	count    int
	within   int64
	distinct bool
	windows  map[string]map[netip.Addr][]modelMatch // by source and key
}

type modelMatch struct {
	time int64
	user string
}

// observe returns the times of the matches that fired, oldest first, the event
// itself last; nil if it did not fire.
func (m *model) observe(source string, key netip.Addr, e modelMatch) []int64 {
	w := m.windows[source][key]
	newest := e.time
	for _, o := range w {
		newest = max(newest, o.time)
	}
	if e.time < newest-m.within {
		return nil
	}
	own := true // whether the event itself stands in the window
	if m.distinct {
		i := slices.IndexFunc(w, func(o modelMatch) bool { return o.user == e.user && o.time >= newest-m.within })
		if i >= 0 && w[i].time > e.time {
			own = false
		} else if i >= 0 {
			w = slices.Delete(w, i, i+1)
		}
	}
	w = slices.DeleteFunc(w, func(o modelMatch) bool { return o.time < newest-m.within })
	times := []int64{}
	for _, o := range w {
		times = append(times, o.time)
	}
	slices.Sort(times)
	if own {
		w = append(w, e)
	}
	if m.windows[source] == nil {
		m.windows[source] = map[netip.Addr][]modelMatch{}
	}
	m.windows[source][key] = w
	if len(w) < m.count {
		return nil
	}
	for _, windows := range m.windows {
		delete(windows, key)
	}
	return append(times, e.time)
}

// TestWindowsAgreeWithModel drives a set and the model with the same random
// events: counted and distinct, in and out of order, over several sources.
func TestWindowsAgreeWithModel(t *testing.T) {
	const sequences = 100_000
	match := compiled(t, "event == 'auth_failure'")
	for seed := range uint64(sequences) {
		if !agreesWithModel(t, seed, match) {
			t.Fatalf("seed %d", seed)
		}
	}
}

func agreesWithModel(t *testing.T, seed uint64, match *Matcher) bool {
	random := rand.New(rand.NewPCG(seed, 5))
	within := int64(1 + random.IntN(20))
	keys, late := 1+random.IntN(4), within
	if keys == 1 {
		late = 10 * within // a lone key is never forgotten
	}
	th := &Threshold{
		Count: 1 + random.IntN(5), Within: time.Duration(within) * time.Microsecond,
		Per: Key{{Field: "ip", Network: Host}},
	}
	if random.IntN(2) == 0 {
		th.Distinct = "user"
	}
	sources := []string{"log.a", "esl.b", "esl.c"}[:1+random.IntN(3)]
	set := NewSet([]*Spec{{Name: "r", On: sources, Match: match, Threshold: th, Alert: &Alert{}}})
	set.ring = newRing(2 << 10) // or each sequence would fill 8 MB with zeros
	m := &model{count: th.Count, within: within, distinct: th.Distinct != "", windows: map[string]map[netip.Addr][]modelMatch{}}

	now := int64(0)
	for step := range 2 + random.IntN(20) {
		now += random.Int64N(within + 2)
		e := modelMatch{time: now, user: fmt.Sprint(random.IntN(4))}
		if random.IntN(3) == 0 {
			e.time -= random.Int64N(late + 1)
		}
		key := netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(keys))})
		source := sources[random.IntN(len(sources))]
		want := m.observe(source, key, e)
		var got []int64
		set.Observe(&event.Event{Name: event.AuthFailure, Source: source, IP: key, User: e.user, Time: time.UnixMicro(e.time)},
			func(f *Firing) {
				for _, evidence := range f.Evidence {
					got = append(got, evidence.Time.UnixMicro())
				}
			})
		if !slices.Equal(got, want) {
			t.Errorf("step %d, %+v of %v on %s: fired with %v, want %v (%+v)", step, e, key, source, got, want, *th)
			return false
		}
	}
	for _, tr := range set.rules[0].trackers {
		if len(tr.keys) > 0 {
			tr.check(t)
		}
	}
	return true
}
