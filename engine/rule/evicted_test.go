package rule

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

// TestEvictedWindowsGoOn evicts windows all the time, and compares them with those of a tracker that
// never does.
func TestEvictedWindowsGoOn(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	const within = 600_000_000
	for range 20 {
		narrow, wide := newTracker(within, false, false), newTracker(within, false, false)
		narrow.maxKeys = 3
		for now := int64(1_800_000_000_000_000); now < 1_800_000_000_000_000+within; now += random.Int64N(within / 200) {
			h := hit{key: keyNumber(random.IntN(30)), time: now, name: "x"}
			if got, want := narrow.add(h), wide.add(h); got != want {
				t.Fatalf("%d matches, want %d", got, want)
			}
		}
		if narrow.evicted == 0 {
			t.Fatal("nothing was evicted")
		}
		narrow.check(t)
	}
}

// TestEvictedWindowsEnd: what is remembered is over when the window would be, proven as it was, and of
// one key of two in a slot.
func TestEvictedWindowsEnd(t *testing.T) {
	var e evictedKeys
	const second, within, start = int64(1e6), 600 * int64(1e6), 1_800_000_000 * int64(1e6)
	key := keyNumber(1)
	put := func() {
		e.put(key, faded{n: 4, oldest: start, newest: start + within/2, proven: true}, start+within/2, within)
	}
	for _, c := range []struct {
		after int64
		n     int
	}{{within / 2, 4}, {within + within/2 - 5*second, 4}, {within + within/2 + 5*second, 0}, {1000 * within, 0}} {
		put()
		f := e.take(key, start+c.after, within)
		if f.n != c.n || c.n > 0 && (!f.proven || (f.oldest-start)/second != 0 || max(f.newest-start-within/2, start+within/2-f.newest) > 4*second) {
			t.Errorf("after %d s: %+v, want %d", c.after/second, f, c.n)
		}
		if again := e.take(key, start+c.after, within); again.n != 0 {
			t.Errorf("it is remembered twice: %+v", again)
		}
	}
	put()
	slot, _ := e.slot(key)
	other := func(i int) digest {
		for ; ; i++ {
			if s, _ := e.slot(keyNumber(i)); s == slot && i > 1 {
				return keyNumber(i)
			}
		}
	}
	for range 3 {
		e.put(other(2), faded{n: 1, oldest: start, newest: start}, start, within)
	}
	if f := e.take(key, start+within/2, within); f.n != 1 {
		t.Errorf("%d matches are left after three of another key, want 1", f.n)
	}
	put()
	e.put(other(2), faded{n: 4, oldest: start, newest: start}, start, within)
	if f := e.take(key, start+within/2, within); f.n != 0 {
		t.Errorf("it is remembered behind a key with as many matches: %+v", f)
	}
}

// TestEvictedByForgedSenders: attackers gain next to nothing by 400,000 senders. Of a hundred attackers
// some 20 matches are forgotten, where a sender has the slot of one.
func TestEvictedByForgedSenders(t *testing.T) {
	const attackers, senders = 100, 400_000
	tr := newTracker((12 * time.Hour).Microseconds(), false, false)
	now := int64(1_800_000_000_000_000)
	add := func(i int) int {
		now++
		return tr.add(hit{key: keyNumber(i), time: now, name: "x"})
	}
	for range 4 {
		for i := range attackers {
			add(i)
		}
	}
	for i := range senders {
		add(attackers + i)
	}
	left := 0
	for i := range attackers {
		left += add(i)
	}
	if left < 450 || tr.evicted < senders/2 {
		t.Errorf("%d matches of 500, %d keys evicted", left, tr.evicted)
	}
}

// TestSavedWindows restores what was counted into rules that count the same, and into others.
func TestSavedWindows(t *testing.T) {
	counted := func(s *Set, n int) (fired int) {
		for i := range n {
			s.Observe(failure("203.0.113.7", i), func(*Firing) { fired++ })
		}
		return fired
	}
	spec := guessing(t)
	spec.Threshold.Count = 5
	old := NewSet([]*Spec{spec})
	counted(old, 4)
	old.Step(time.Hour)
	saved, err := old.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Spec)
		fired  int
	}{
		"the same":      {func(*Spec) {}, 1},
		"another count": {func(s *Spec) { s.Threshold.Count = 6 }, 0},
		"another time":  {func(s *Spec) { s.Threshold.Within *= 2 }, 0},
		"another name":  {func(s *Spec) { s.Name = "other" }, 0},
		"another match": {func(s *Spec) { s.Match = compiled(t, "event == 'auth_failure' and method == 'INVITE'") }, 0},
	} {
		other := *spec
		th := *spec.Threshold
		other.Threshold = &th
		c.change(&other)
		s := NewSet([]*Spec{&other})
		if err := s.UnmarshalBinary(saved); err != nil {
			t.Fatal(err)
		}
		s.Step(-time.Hour)
		if fired := counted(s, 1); fired != c.fired {
			t.Errorf("%s: %d firings, want %d", name, fired, c.fired)
		}
	}
	for n := range saved {
		_ = NewSet([]*Spec{spec}).UnmarshalBinary(saved[:n]) // it must not panic
	}
}

// TestSavedWindowsOfALaterRule has more senders fail once than are saved: what the next rule has
// counted of an attacker is saved all the same.
func TestSavedWindowsOfALaterRule(t *testing.T) {
	first, second := guessing(t), guessing(t)
	second.Name, second.Match, second.Threshold.Count = "second", compiled(t, "event == 'auth_failure' and user == 'victim'"), 5
	guesses := func(s *Set, n int) []*Firing {
		var all []*event.Event
		for i := range n {
			ev := failure("203.0.113.7", i)
			ev.User = "victim"
			all = append(all, ev)
		}
		return observe(s, all...)
	}
	old := NewSet([]*Spec{first, second})
	for i := range maxSaved + 100 {
		observe(old, failure(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), 0))
	}
	guesses(old, 4)
	saved, _ := old.MarshalBinary()
	s := NewSet([]*Spec{first, second})
	if err := s.UnmarshalBinary(saved); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(guesses(s, 1), func(f *Firing) bool { return f.Spec == second }) {
		t.Error("a fifth guess did not fire")
	}
}
