package webhook

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// A story is a random history of a queue. It records what became of each notification.
type story struct {
	*testing.T
	seed   uint64
	rand   *rand.Rand
	queue  queue
	now    time.Time
	pushed int
	seen   map[uint64]string
	told   int             // lost notifications that a delivered group reported
	ids    map[string]bool // of all groups
}

func (s *story) fatalf(format string, args ...any) {
	s.Helper()
	s.Fatalf("seed %d: %s", s.seed, fmt.Sprintf(format, args...))
}

// mark records what became of notifications; it happens to each once.
func (s *story) mark(entries []entry, where string) {
	for _, e := range entries {
		if s.seen[e.seq] != "" {
			s.fatalf("notification %d is %s, and was %s", e.seq, where, s.seen[e.seq])
		}
		s.seen[e.seq] = where
	}
}

func (s *story) push() {
	var es []entry
	for range s.rand.IntN(8) {
		s.pushed++
		es = append(es, entry{seq: uint64(s.pushed), queued: s.now, json: make([]byte, 1+s.rand.IntN(100))})
	}
	s.mark(s.queue.push(es), "dropped")
	if q := &s.queue; len(q.waiting) > q.maxEntries || q.bytes > q.maxBytes {
		s.fatalf("%d notifications with %d bytes wait", len(q.waiting), q.bytes)
	}
}

// try takes the next group and lets a random thing happen to it.
func (s *story) try() {
	q := &s.queue
	g, formed, wait := q.next(s.now)
	if g == nil {
		if len(q.waiting) > 0 && (wait <= 0 || wait > q.groupWait) {
			s.fatalf("wait %v", wait)
		}
		return
	}
	if s.ids[g.ID] == formed || len(g.entries) == 0 || len(g.entries) > q.groupMax {
		s.fatalf("group %s of %d", g.ID, len(g.entries))
	}
	s.ids[g.ID] = true
	switch s.rand.IntN(4) {
	case 0:
		q.answered(g)
	case 1:
		s.mark(g.entries, "refused")
		q.end(g, false)
	case 2:
		s.mark(g.entries, "delivered")
		s.told += g.Lost
		q.end(g, true)
	}
}

// settle demands that all losses are counted.
func (s *story) settle() {
	lost, inGroups := 0, 0
	for _, where := range s.seen {
		if where != "delivered" {
			lost++
		}
	}
	for _, g := range s.queue.Groups {
		inGroups += g.Lost
	}
	if n, _ := s.queue.size(); n+len(s.seen) != s.pushed {
		s.fatalf("%d pushed, %d wait, %d ended", s.pushed, n, len(s.seen))
	}
	if s.told+inGroups+s.queue.Lost != lost {
		s.fatalf("%d lost, %d reported, %d in groups, %d to be reported", lost, s.told, inGroups, s.queue.Lost)
	}
}

// TestQueueAgainstModel demands of random histories that each notification is delivered
// once, in a group within its bounds, or counted as lost.
func TestQueueAgainstModel(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := story{T: t, seed: seed, rand: r, now: start, seen: map[uint64]string{}, ids: map[string]bool{}, queue: queue{
			maxEntries: 1 + r.IntN(30), maxBytes: 50 + r.IntN(2000), groupMax: 1 + r.IntN(10),
			groupWait: time.Duration(r.IntN(3)) * time.Second,
		}}
		for range 300 {
			s.now = s.now.Add(time.Duration(r.IntN(1500)) * time.Millisecond)
			switch r.IntN(5) {
			case 0, 1:
				s.push()
			case 2:
				s.mark(s.queue.expire(s.now.Add(-20*time.Second)), "expired")
			default:
				s.try()
			}
		}
		s.settle()
	}
}

func entries(from, n int, at time.Time) (es []entry) {
	for i := range n {
		es = append(es, entry{seq: uint64(from + i), queued: at, json: fmt.Appendf(nil, `{"seq":%d,"kind":"ban"}`, from+i)})
	}
	return es
}

func TestFullGroupDoesNotWait(t *testing.T) {
	q := queue{maxEntries: 100, maxBytes: 1 << 20, groupMax: 3, groupWait: time.Minute}
	q.push(entries(1, 7, start))
	for range 2 {
		if g, _, _ := q.next(start); g == nil || len(g.entries) != 3 {
			t.Fatalf("%+v", g)
		} else {
			q.end(g, true)
		}
	}
	if g, _, wait := q.next(start.Add(10 * time.Second)); g != nil || wait != 50*time.Second {
		t.Errorf("%v, %v", g, wait)
	}
	if g, _, _ := q.next(start.Add(-time.Hour)); g != nil {
		t.Error("a clock that is set back closes a group")
	}
	if g, _, _ := q.next(start.Add(time.Minute)); g == nil || len(g.entries) != 1 {
		t.Errorf("%+v", g)
	}
}

func TestGroupIsBoundedInBytes(t *testing.T) {
	q := queue{maxEntries: 100, maxBytes: 1 << 30, groupMax: 100}
	for i := range 3 {
		q.push([]entry{{seq: uint64(i + 1), queued: start, json: make([]byte, maxGroupBytes-1)}})
	}
	if g, _, _ := q.next(start); len(g.entries) != 1 {
		t.Errorf("%d notifications of %d bytes in one group", len(g.entries), maxGroupBytes-1)
	}
}

func TestGroupIsSetAside(t *testing.T) {
	q := queue{maxEntries: 100, maxBytes: 1 << 20, groupMax: 2, groupWait: time.Second}
	q.push(entries(1, 2, start))
	poison, _, _ := q.next(start)
	for range asideAfter {
		q.answered(poison)
	}
	q.asideUntil = start.Add(5 * time.Second)
	if g, _, wait := q.next(start); g != nil || wait != 5*time.Second {
		t.Errorf("%v, %v", g, wait)
	}
	q.push(entries(3, 1, start))
	if g, _, wait := q.next(start); g != nil || wait != time.Second {
		t.Errorf("%v, %v", g, wait)
	}
	for i := range 100 {
		now := start.Add(time.Duration(i+10) * time.Second)
		q.push(entries(10+2*i, 2, now))
		g, formed, _ := q.next(now)
		if !formed || g == poison {
			t.Fatal("a failing message is tried before a new one")
		}
		q.end(g, true)
		q.waiting, q.bytes = nil, 0
		if g, _, _ := q.next(now); g != poison {
			t.Fatal("it is not retried although there is no other")
		}
		q.answered(poison)
		if poison.unfit() {
			if i < 9 {
				t.Errorf("dropped after %d others", i+1)
			}
			return
		}
	}
	t.Error("never dropped")
}
