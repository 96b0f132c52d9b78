package webhook

import (
	"crypto/rand"
	"slices"
	"time"
)

// An entry is one notification in the queue.
type entry struct {
	seq    uint64 // counts the notifications of this action, across restarts
	queued time.Time
	json   []byte
}

// A group is what one request sends. Its entries follow one another, and it does not
// change until it is sent or dropped, not even across restarts.
type group struct {
	ID          string
	Formed      time.Time
	Lost        int    // notifications dropped before it, which its message reports
	First, Last uint64 // seq of its entries
	entries     []entry

	// How the endpoint reacted to it, in this run.
	answers int // times that the endpoint had the group and failed
	passed  int // other groups delivered since the first of these
	against int // of these, times after it had taken another group

	body        []byte // rendered; nil before the first attempt, and while set aside
	contentType string
}

// A queue holds the notifications that are not delivered yet, in memory. Beyond its
// bounds the oldest are dropped: late news should be recent. Those of a group are
// kept, since its request may be under way.
//
// Time is an argument, and nothing outside the queue is touched.
type queue struct {
	maxEntries, maxBytes int           // of those that wait; bytes of JSON
	groupWait            time.Duration // how long a group waits for more
	groupMax             int           // notifications in one group

	state
	waiting []entry // in no group yet; oldest first
	bytes   int     // of those

	asideUntil time.Time // when the groups that are set aside may be tried again
}

// A state is what a queue stores beside its notifications. It is stored as JSON.
type state struct {
	Last   uint64   // seq of the latest notification
	Lost   int      // dropped since the last group was formed
	Groups []*group // the first is tried next; those set aside are last
}

const (
	// maxGroupBytes bounds the JSON of a group with more than one notification.
	maxGroupBytes = 256 << 10

	// asideAfter is how often the endpoint may fail on a group before others are tried
	// first: a text in it may break the receiver, and its author must not block the
	// other notifications.
	asideAfter = 3

	// maxGroups bounds the groups that are set aside. With the pauses in between, it
	// takes an outage of most of a day to have so many.
	maxGroups = 256
)

// push adds notifications and returns those that are dropped for them.
func (q *queue) push(entries []entry) (dropped []entry) {
	for _, e := range entries {
		q.waiting = append(q.waiting, e)
		q.bytes += len(e.json)
		q.Last = e.seq
	}
	n, bytes := 0, q.bytes
	for len(q.waiting)-n > q.maxEntries || bytes > q.maxBytes {
		bytes -= len(q.waiting[n].json)
		n++
	}
	return q.drop(n)
}

// drop drops the n oldest of those that wait.
func (q *queue) drop(n int) []entry {
	q.Lost += n
	return q.take(n)
}

func (q *queue) take(n int) []entry {
	taken := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	for _, e := range taken {
		q.bytes -= len(e.json)
	}
	return taken
}

// expire drops the notifications that were queued before oldest.
func (q *queue) expire(oldest time.Time) []entry {
	n := 0
	for n < len(q.waiting) && q.waiting[n].queued.Before(oldest) {
		n++
	}
	return q.drop(n)
}

// next returns the group to be tried, and whether it has just been formed. Without one
// it returns nil and how long to wait for it; 0: until the next push.
func (q *queue) next(now time.Time) (g *group, formed bool, wait time.Duration) {
	if len(q.Groups) > 0 && !q.Groups[0].aside() {
		return q.Groups[0], false, 0
	}
	if len(q.Groups) < maxGroups {
		if g, wait = q.form(now); g != nil {
			q.Groups = slices.Insert(q.Groups, 0, g)
			return g, true, 0
		}
	}
	if len(q.Groups) == 0 {
		return nil, false, wait
	}
	rest := q.asideUntil.Sub(now)
	if rest <= 0 {
		return q.Groups[0], false, 0
	}
	if wait == 0 {
		wait = rest
	}
	return nil, false, min(wait, rest)
}

// form makes a group of those that wait.
func (q *queue) form(now time.Time) (*group, time.Duration) {
	if len(q.waiting) == 0 {
		return nil, 0
	}
	n, bytes := 0, 0
	for n < len(q.waiting) && n < q.groupMax {
		if bytes += len(q.waiting[n].json); bytes > maxGroupBytes && n > 0 {
			break
		}
		n++
	}
	full := n < len(q.waiting) || n == q.groupMax
	waited := max(0, now.Sub(q.waiting[0].queued)) // the clock may have been set back
	if !full && waited < q.groupWait {
		return nil, q.groupWait - waited
	}
	taken := q.take(n)
	g := &group{ID: rand.Text(), Formed: now.UTC(), Lost: q.Lost, First: taken[0].seq, Last: taken[n-1].seq, entries: taken}
	q.Lost = 0
	return g, 0
}

// end removes a group. If it was not delivered, its notifications are lost.
func (q *queue) end(g *group, delivered bool) {
	q.remove(g)
	if !delivered {
		q.Lost += g.Lost + len(g.entries)
		return
	}
	for _, other := range q.Groups {
		if other.answers > 0 {
			other.passed++
		}
	}
}

func (q *queue) remove(g *group) {
	q.Groups = slices.DeleteFunc(q.Groups, func(other *group) bool { return other == g })
}

// answered notes that the endpoint had a group and failed. It sets the group aside if
// that has happened before.
func (q *queue) answered(g *group) {
	g.answers++
	if g.passed > 0 {
		g.against++
	}
	if g.aside() {
		g.body = nil // there may be many
		q.remove(g)
		q.Groups = append(q.Groups, g)
	}
}

// aside reports whether other groups are tried first.
func (g *group) aside() bool { return g.answers >= asideAfter }

// unfit reports whether the endpoint fails because of this group: it takes others, and
// has failed too often for a coincidence.
func (g *group) unfit() bool { return g.against >= 20 && g.passed >= 10 }

// size is how many notifications are not delivered yet, and when the oldest was queued.
func (q *queue) size() (n int, since time.Time) {
	n = len(q.waiting)
	if n > 0 {
		since = q.waiting[0].queued
	}
	for _, g := range q.Groups {
		n += len(g.entries)
		if first := g.entries[0].queued; since.IsZero() || first.Before(since) {
			since = first
		}
	}
	return n, since
}
