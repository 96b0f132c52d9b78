package webhook

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"time"
)

// An entry is one notice that is to be sent.
type entry struct {
	seq    uint64
	queued time.Time
	notice []byte // JSON
}

// A group is what one request tells. Its entries follow one another, and it stays
// the same until it is sent or given up, also across restarts.
type group struct {
	id      string
	formed  time.Time
	lost    int // notices that were dropped before it and are told of with it
	entries []entry

	// What the endpoint made of it, in this run.
	answers int // how often it had the group and failed
	passed  int // how many other groups it took since the first of these
	against int // how many of these it gave after it had taken another

	body        []byte // rendered; nil before the first attempt, and while set aside
	contentType string
}

// A queue holds the notices that are not sent yet, in memory. Beyond its bounds
// the oldest go: who hears of an attack late wants to know how it stands now. Those
// of a group are spared, since a request under way says what it says.
//
// It is told the time, and touches nothing.
type queue struct {
	maxNotices, maxBytes int           // of those that wait; bytes of JSON
	groupWait            time.Duration // how long a group waits for more
	groupMax             int           // notices in one group

	last    uint64   // the number of the latest notice
	lost    int      // dropped since the last group was formed
	waiting []entry  // in no group yet; oldest first
	bytes   int      // of those
	groups  []*group // the first is tried next; those that are set aside stand last

	asideUntil time.Time // when one of those that are set aside may be tried again
}

// maxGroupBytes bounds the notices in one group, in bytes of JSON, unless it is
// a single one.
const maxGroupBytes = 256 << 10

// asideAfter is how often the endpoint may fail on a group before others are tried
// first: it may be a text in it that breaks the receiver, and whoever wrote that
// must not keep the others from being told of.
const asideAfter = 3

// maxGroups bounds the groups that are set aside. With the pauses in between it takes
// an outage of most of a day to have so many.
const maxGroups = 256

// push adds notices and returns those that had to go for them.
func (q *queue) push(entries []entry) (dropped []entry) {
	for _, e := range entries {
		q.waiting = append(q.waiting, e)
		q.bytes += len(e.notice)
		q.last = e.seq
	}
	n, bytes := 0, q.bytes
	for len(q.waiting)-n > q.maxNotices || bytes > q.maxBytes {
		bytes -= len(q.waiting[n].notice)
		n++
	}
	return q.drop(n)
}

// drop gives up the n oldest of those that wait.
func (q *queue) drop(n int) []entry {
	q.lost += n
	return q.take(n)
}

func (q *queue) take(n int) []entry {
	if n == 0 {
		return nil
	}
	taken := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	for _, e := range taken {
		q.bytes -= len(e.notice)
	}
	return taken
}

// expire drops what has waited since before oldest.
func (q *queue) expire(oldest time.Time) []entry {
	n := 0
	for n < len(q.waiting) && q.waiting[n].queued.Before(oldest) {
		n++
	}
	return q.drop(n)
}

// next is the group to be tried, and whether it has just been formed. Where there
// is none yet it returns nil and how long that takes; 0: nobody knows.
func (q *queue) next(now time.Time) (g *group, formed bool, wait time.Duration) {
	if len(q.groups) > 0 && !q.groups[0].aside() {
		return q.groups[0], false, 0
	}
	if len(q.groups) < maxGroups {
		if g, wait = q.form(now); g != nil {
			q.groups = append([]*group{g}, q.groups...)
			return g, true, 0
		}
	}
	if len(q.groups) == 0 {
		return nil, false, wait
	}
	if rest := q.asideUntil.Sub(now); rest > 0 {
		if wait == 0 || rest < wait {
			wait = rest
		}
		return nil, false, wait
	}
	return q.groups[0], false, 0
}

// form takes a group of those that wait.
func (q *queue) form(now time.Time) (*group, time.Duration) {
	if len(q.waiting) == 0 {
		return nil, 0
	}
	n, bytes := 0, 0
	for n < len(q.waiting) && n < q.groupMax {
		if bytes += len(q.waiting[n].notice); bytes > maxGroupBytes && n > 0 {
			break
		}
		n++
	}
	full := n < len(q.waiting) || n == q.groupMax
	waited := max(0, now.Sub(q.waiting[0].queued)) // the clock may have been set back
	if !full && waited < q.groupWait {
		return nil, q.groupWait - waited
	}
	g := &group{id: newID(), formed: now, lost: q.lost, entries: q.take(n)}
	q.lost = 0
	return g, 0
}

// end takes a group out. What was not delivered counts as lost.
func (q *queue) end(g *group, delivered bool) {
	q.groups = slices.DeleteFunc(q.groups, func(other *group) bool { return other == g })
	if !delivered {
		q.lost += g.lost + len(g.entries)
		return
	}
	for _, other := range q.groups {
		if other.answers > 0 {
			other.passed++
		}
	}
}

// answered notes that the endpoint had a group and failed, and sets it aside if
// that is not the first time.
func (q *queue) answered(g *group) {
	g.answers++
	if g.passed > 0 {
		g.against++
	}
	if !g.aside() {
		return
	}
	g.body = nil // there may be many of them
	q.groups = slices.DeleteFunc(q.groups, func(other *group) bool { return other == g })
	q.groups = append(q.groups, g)
}

// aside tells that other groups are tried first.
func (g *group) aside() bool { return g.answers >= asideAfter }

// unfit tells that it is the group at which the endpoint fails: it takes others,
// and has been asked so often that a run of bad luck is out of the question.
func (g *group) unfit() bool { return g.against >= 20 && g.passed >= 10 }

// size is how many notices are not sent yet, and since when the oldest waits.
func (q *queue) size() (n int, since time.Time) {
	n = len(q.waiting)
	if n > 0 {
		since = q.waiting[0].queued
	}
	for _, g := range q.groups {
		n += len(g.entries)
		if first := g.entries[0].queued; since.IsZero() || first.Before(since) {
			since = first
		}
	}
	return n, since
}

func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}
