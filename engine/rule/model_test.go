package rule

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

// A model is the definition of a threshold in its simplest form: a list of all matches
// that count per source and key, searched each time.
type model struct {
	count    int
	within   int64
	distinct bool
	then     bool                                   // the rule waits for a further event
	windows  map[string]map[netip.Addr][]modelMatch // by source and key
	matches  int                                    // so far
}

type modelMatch struct {
	time   int64
	user   string
	number int
}

// observe shows the model an event that is a match, or what the rule waits for, or both.
// It returns the times of the matches that fired, oldest first, the event last; nil if
// it did not fire.
func (m *model) observe(source string, key netip.Addr, e modelMatch, match, then bool) []int64 {
	var fired []int64
	own := -1 // the number of the event among the matches
	if match {
		own = m.matches
		fired = m.add(source, key, e)
	}
	if m.then {
		fired = nil
		if then {
			fired = m.complete(source, key, e.time, own)
		}
	}
	if fired != nil {
		for _, windows := range m.windows {
			delete(windows, key)
		}
	}
	return fired
}

// complete checks whether the newest matches are all in the time before an event.
func (m *model) complete(source string, key netip.Addr, at int64, own int) []int64 {
	w := slices.Clone(m.windows[source][key])
	slices.SortStableFunc(w, func(a, b modelMatch) int { return cmp.Compare(a.time, b.time) })
	times := []int64{}
	for _, o := range w[max(0, len(w)-m.count):] {
		if o.time < at-m.within || o.time > at {
			return nil
		}
		if o.number != own {
			times = append(times, o.time)
		}
	}
	if len(w) < m.count {
		return nil
	}
	return append(times, at)
}

// add counts a match. It returns the result of observe for a rule that does not wait.
func (m *model) add(source string, key netip.Addr, e modelMatch) []int64 {
	e.number = m.matches
	m.matches++
	w := m.windows[source][key]
	newest := e.time
	for _, o := range w {
		newest = max(newest, o.time)
	}
	if e.time < newest-m.within {
		return nil
	}
	own := true // the event itself is in the window
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
	return append(times, e.time)
}

// TestWindowsAgreeWithModel shows the same random events to a set and the model: counted
// and distinct, with and without Then, in and out of order, on several sources. $SEQUENCES is how many
// sequences there are.
func TestWindowsAgreeWithModel(t *testing.T) {
	sequences := uint64(5_000)
	if n, err := strconv.ParseUint(os.Getenv("SEQUENCES"), 10, 32); err == nil {
		sequences = n
	}
	match, then := compiled(t, "method startsWith 'match'"), compiled(t, "method endsWith 'then'")
	for seed := range sequences {
		if !agreesWithModel(t, seed, match, then) {
			t.Fatalf("seed %d", seed)
		}
	}
}

func agreesWithModel(t *testing.T, seed uint64, match, then *Matcher) bool {
	random := rand.New(rand.NewPCG(seed, 5))
	within := int64(1 + random.IntN(20))
	keys, late := 1+random.IntN(4), within
	if keys == 1 {
		late = 10 * within // a single key is never forgotten
	}
	th := &Threshold{
		Count: 1 + random.IntN(5), Within: time.Duration(within) * time.Microsecond,
		Per: Key{{Field: "ip", Network: Host}},
	}
	if random.IntN(2) == 0 {
		th.Distinct = "user"
	}
	if random.IntN(2) == 0 {
		th.Then = then
	}
	sources := []string{"log.a", "esl.b", "esl.c"}[:1+random.IntN(3)]
	set := NewSet([]*Spec{{Name: "r", On: sources, Match: match, Threshold: th, Alert: &Alert{}}})
	m := &model{count: th.Count, within: within, distinct: th.Distinct != "", then: th.Then != nil,
		windows: map[string]map[netip.Addr][]modelMatch{}}
	kinds := []string{"match", "match", "match", "then", "match and then", "neither"}

	now := int64(0)
	for step := range 2 + random.IntN(20) {
		now += random.Int64N(within + 2)
		e := modelMatch{time: now, user: fmt.Sprint(random.IntN(4))}
		if random.IntN(3) == 0 {
			e.time -= random.Int64N(late + 1)
		}
		key := netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(keys))})
		source := sources[random.IntN(len(sources))]
		kind := kinds[random.IntN(len(kinds))]
		want := m.observe(source, key, e, strings.HasPrefix(kind, "match"), strings.HasSuffix(kind, "then"))
		var got []int64
		set.Observe(&event.Event{Name: event.AuthFailure, Source: source, IP: key, User: e.user, Method: kind, Time: time.UnixMicro(e.time)},
			func(f *Firing) {
				for _, evidence := range f.Evidence {
					got = append(got, evidence.Time.UnixMicro())
				}
			})
		if !slices.Equal(got, want) {
			t.Errorf("step %d, %s %+v of %v on %s: fired with %v, want %v (%+v)", step, kind, e, key, source, got, want, *th)
			return false
		}
	}
	for _, tr := range set.rules[0].trackers {
		if len(tr.keys) > 0 {
			tr.check(t)
		}
		for _, i := range tr.keys {
			if n := tr.windows.at(i).n; int(n) > th.Count {
				t.Errorf("a window holds %d matches for a count of %d", n, th.Count)
				return false
			}
		}
	}
	return true
}
