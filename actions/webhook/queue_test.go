package webhook

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// A story is what happens to a queue, and where each notice of it went.
type story struct {
	*testing.T
	seed   uint64
	rand   *rand.Rand
	queue  queue
	now    time.Time
	pushed int
	seen   map[uint64]string
	told   int             // lost notices that a delivered group told of
	ids    map[string]bool // of the groups there were
}

func (s *story) fatalf(format string, args ...any) {
	s.Helper()
	s.Fatalf("seed %d: %s", s.seed, fmt.Sprintf(format, args...))
}

// mark notes where notices went, which happens once to each.
func (s *story) mark(entries []entry, where string) {
	for _, e := range entries {
		if s.seen[e.seq] != "" {
			s.fatalf("notice %d is %s, and was %s", e.seq, where, s.seen[e.seq])
		}
		s.seen[e.seq] = where
	}
}

func (s *story) push() {
	var es []entry
	for range s.rand.IntN(8) {
		s.pushed++
		es = append(es, entry{seq: uint64(s.pushed), queued: s.now, notice: make([]byte, 1+s.rand.IntN(100))})
	}
	s.mark(s.queue.push(es), "dropped")
	if q := &s.queue; len(q.waiting) > q.maxNotices || q.bytes > q.maxBytes {
		s.fatalf("%d notices with %d bytes wait", len(q.waiting), q.bytes)
	}
}

// try takes the next group and lets one of the things happen to it that can.
func (s *story) try() {
	q := &s.queue
	g, formed, wait := q.next(s.now)
	if g == nil {
		if len(q.waiting) > 0 && (wait <= 0 || wait > q.groupWait) {
			s.fatalf("wait %v", wait)
		}
		return
	}
	if s.ids[g.id] == formed || len(g.entries) == 0 || len(g.entries) > q.groupMax {
		s.fatalf("group %s of %d", g.id, len(g.entries))
	}
	s.ids[g.id] = true
	switch s.rand.IntN(4) {
	case 0:
		q.answered(g)
	case 1:
		s.mark(g.entries, "given up")
		q.end(g, false)
	case 2:
		s.mark(g.entries, "delivered")
		s.told += g.lost
		q.end(g, true)
	}
}

// settle holds that nothing was lost but what was counted.
func (s *story) settle() {
	lost, inGroups := 0, 0
	for _, where := range s.seen {
		if where != "delivered" {
			lost++
		}
	}
	for _, g := range s.queue.groups {
		inGroups += g.lost
	}
	if n, _ := s.queue.size(); n+len(s.seen) != s.pushed {
		s.fatalf("%d pushed, %d wait, %d ended", s.pushed, n, len(s.seen))
	}
	if s.told+inGroups+s.queue.lost != lost {
		s.fatalf("%d lost, %d told of, %d in groups, %d to be told", lost, s.told, inGroups, s.queue.lost)
	}
}

// TestQueueAgainstModel lets random stories happen to a queue and holds that each
// notice is delivered once, in a group within its bounds, or counted as lost.
func TestQueueAgainstModel(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := story{T: t, seed: seed, rand: r, now: start, seen: map[uint64]string{}, ids: map[string]bool{}, queue: queue{
			maxNotices: 1 + r.IntN(30), maxBytes: 50 + r.IntN(2000), groupMax: 1 + r.IntN(10),
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
		es = append(es, entry{seq: uint64(from + i), queued: at, notice: fmt.Appendf(nil, `{"seq":%d,"kind":"banned"}`, from+i)})
	}
	return es
}

func TestFullGroupDoesNotWait(t *testing.T) {
	q := queue{maxNotices: 100, maxBytes: 1 << 20, groupMax: 3, groupWait: time.Minute}
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
		t.Error("a clock that was set back closes no group")
	}
	if g, _, _ := q.next(start.Add(time.Minute)); g == nil || len(g.entries) != 1 {
		t.Errorf("%+v", g)
	}
}

func TestGroupIsBoundedInBytes(t *testing.T) {
	q := queue{maxNotices: 100, maxBytes: 1 << 30, groupMax: 100}
	for i := range 3 {
		q.push([]entry{{seq: uint64(i + 1), queued: start, notice: make([]byte, maxGroupBytes-1)}})
	}
	if g, _, _ := q.next(start); len(g.entries) != 1 {
		t.Errorf("%d notices of %d bytes in one group", len(g.entries), maxGroupBytes-1)
	}
}

func TestWhatTheEndpointFailsOnIsSetAside(t *testing.T) {
	q := queue{maxNotices: 100, maxBytes: 1 << 20, groupMax: 2, groupWait: time.Second}
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
			t.Fatal("a message that fails is tried before one that was never tried")
		}
		q.end(g, true)
		q.waiting, q.bytes = nil, 0
		if g, _, _ := q.next(now); g != poison {
			t.Fatal("with nothing else to do, it is tried again")
		}
		q.answered(poison)
		if poison.unfit() {
			if i < 9 {
				t.Errorf("given up after %d others", i+1)
			}
			return
		}
	}
	t.Error("never given up")
}
