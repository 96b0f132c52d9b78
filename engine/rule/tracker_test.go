package rule

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"freeswitch-security/engine/golden"
)

func keyNumber(i int) (d digest) {
	binary.BigEndian.PutUint64(d[8:], uint64(i))
	return d
}

// check walks through everything that a tracker holds.
func (t *tracker) check(tb testing.TB) {
	tb.Helper()
	remembered, windows := 0, 0
	for i := t.windows.at(0).next; i != 0; i = t.windows.at(i).next {
		w := t.windows.at(i)
		windows++
		if t.windows.at(w.next).prev != i {
			tb.Fatal("the windows are not a ring")
		}
		if t.keys[w.key] != i {
			tb.Fatal("a window is not found by its key")
		}
		if w.n == 0 {
			tb.Fatal("a window is empty")
		}
		n, last := uint32(0), w.oldest
		for m := w.oldest; m != 0; m = t.matches.at(m).next {
			if t.matches.at(m).time < t.matches.at(last).time {
				tb.Fatal("matches are out of order")
			}
			n, last = n+1, m
		}
		if n != w.n || last != w.newest {
			tb.Fatalf("a window holds %d matches and says %d", n, w.n)
		}
		if t.matches.at(w.oldest).time < t.matches.at(w.newest).time-t.within {
			tb.Fatal("a match is older than its window")
		}
		remembered += int(n)
	}
	if windows != len(t.keys) || remembered != t.remembered {
		tb.Fatalf("%d windows for %d keys, %d matches counted as %d", windows, len(t.keys), remembered, t.remembered)
	}
	if len(t.keys) > t.maxKeys || t.remembered > t.maxMatches {
		tb.Fatalf("%d keys, %d matches: more than the bounds allow", len(t.keys), t.remembered)
	}
	free := 0
	for m := t.freeMatch; m != 0; m = t.matches.at(m).next {
		free++
	}
	if t.matches.used > 0 && free+remembered+1 != int(t.matches.used) {
		tb.Fatalf("%d of %d matches are lost", int(t.matches.used)-1-free-remembered, t.matches.used)
	}
}

// TestTrackerBounds uses bounds so narrow that trackers evict all the time.
func TestTrackerBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 300 {
		tr := newTracker(int64(1+random.IntN(50)), round%2 == 0, round%3 == 0)
		tr.maxKeys, tr.maxMatches = 1+random.IntN(5), 4+random.IntN(20)
		now := int64(0)
		for range 300 {
			now += int64(random.IntN(8))
			h := hit{key: keyNumber(random.IntN(12)), time: now - int64(random.IntN(60)), value: uint64(random.IntN(4)), name: "x"}
			if n := tr.add(h); n >= 4 || random.IntN(30) == 0 {
				tr.forget(h.key)
			}
		}
		tr.check(t)
	}
}

func TestTrackerEviction(t *testing.T) {
	tr := newTracker(100, false, false)
	tr.maxKeys = 2
	add := func(key, at int) { tr.add(hit{key: keyNumber(key), time: int64(at)}) }
	held := func(key int) bool { return tr.keys[keyNumber(key)] != 0 }
	add(1, 0)
	add(2, 10)
	add(1, 20)
	add(3, 30)
	if !held(1) || held(2) || !held(3) || tr.evicted != 1 || tr.expired != 0 {
		t.Fatalf("the least recently seen key was not evicted: %+v", tr.keys)
	}
	add(4, 150)
	if held(1) || !held(3) || tr.evicted != 1 || tr.expired != 1 {
		t.Fatalf("a window that is over counts as evicted: evicted %d, expired %d", tr.evicted, tr.expired)
	}
	tr.maxKeys = 10
	add(5, 1000)
	if held(3) || held(4) || tr.expired != 3 {
		t.Fatal("windows that are long over are not forgotten")
	}
	tr.check(t)
}

func TestTrackerMatchBound(t *testing.T) {
	tr := newTracker(1000, false, false)
	tr.maxMatches = 10
	for i := range 10 {
		tr.add(hit{key: keyNumber(1), time: int64(i)})
	}
	if n := tr.add(hit{key: keyNumber(2), time: 10}); n != 1 || tr.remembered != 1 || tr.evicted != 1 {
		t.Fatalf("the other key was not evicted: %d, %d remembered, %d evicted", n, tr.remembered, tr.evicted)
	}
	tr.check(t)
}

// TestTrackerAddresses turns the keeping of addresses off and on again, as a reload can.
func TestTrackerAddresses(t *testing.T) {
	tr := newTracker(1000, false, true)
	key := keyNumber(1)
	add := func(at int64, ip string) { tr.add(hit{key: key, time: at, addr: netip.MustParseAddr(ip)}) }
	add(1, "192.0.2.1")
	tr.carryOver(false)
	tr.forget(key)
	add(2, "192.0.2.2")
	tr.carryOver(true)
	add(3, "2001:db8::3")
	got := tr.others(nil, key, 0, maxMatches)
	if len(got) != 2 || got[0].addr.IsValid() || got[1].addr != netip.MustParseAddr("2001:db8::3") {
		t.Fatalf("%+v", got)
	}
}

// TestTrackerMemory measures all memory of a key with one match.
func TestTrackerMemory(t *testing.T) {
	const keys = 1_000_000
	perKey := bytesPerKey(keys)
	t.Logf("%.1f bytes per key", perKey)
	if perKey > 200 {
		t.Fatalf("%.1f bytes per key, want at most 200", perKey)
	}
}

func bytesPerKey(keys int) float64 {
	before := golden.Heap()
	tr := newTracker(1<<40, false, false)
	tr.maxKeys = keys
	for i := range keys {
		tr.add(hit{key: keyNumber(i), time: int64(i), name: "auth_failure"})
	}
	defer runtime.KeepAlive(tr)
	return float64(golden.Heap()-before) / float64(keys)
}
