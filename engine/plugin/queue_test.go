package plugin

import (
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

func TestQueueIsBounded(t *testing.T) {
	e := &event.Event{Text: strings.Repeat("x", event.MaxText)}
	for _, c := range []struct{ length, want int }{{100, 100}, {1_000_000, int(maxQueueBytes / weight(e))}} {
		to := &engineOf{}
		q, n := NewQueue(c.length, Stream{Sink: to, Progress: &Progress{}}), 0
		for q.Put(e) {
			n++
		}
		if n != c.want {
			t.Errorf("a queue of %d holds %d events; want %d", c.length, n, c.want)
		}
		if q.emit(<-q.events); !q.Put(e) || q.Put(e) {
			t.Error("one event taken out does not make room for one")
		}
		ended := make(chan struct{})
		close(ended)
		q.EmitUntil(ended, nil)
		if bytes := q.bytes.Load(); bytes != 0 || to.emitted != n+1 {
			t.Errorf("%d bytes in an empty queue, %d events of %d emitted", bytes, to.emitted, n+1)
		}
	}
}

// An engineOf counts what it takes.
type engineOf struct {
	emitted, offered int
	busy             bool
	during           func() // of Emit
}

func (e *engineOf) Emit(*event.Event) {
	if e.during != nil {
		e.during()
	}
	e.emitted++
}

func (e *engineOf) Position([]byte) { panic("a queue has no position") }

func (e *engineOf) offer(burst []*event.Event) bool {
	if !e.busy {
		e.offered += len(burst)
	}
	return !e.busy
}

// TestOffer offers a burst only if the engine waits and has all earlier events: their order stays.
func TestOffer(t *testing.T) {
	to, progress := &engineOf{}, &Progress{}
	q := NewQueue(10, Stream{Sink: to, Progress: progress, Offer: to.offer})
	e := &event.Event{Time: time.Unix(1, 0)}
	burst := []*event.Event{e, e}
	refused := func(when string) {
		t.Helper()
		if q.Offer(burst) {
			t.Error("taken", when)
		}
	}
	if !q.Offer(burst) {
		t.Error("the engine waits, and is not offered a burst")
	}
	to.busy = true
	refused("while the engine is busy")
	to.busy = false
	q.Put(e)
	refused("before an event that waits")
	to.during = func() { refused("before an event that is emitted") }
	q.emit(<-q.events)
	if !q.Offer(burst) || q.Offer(nil) {
		t.Error("the queue is empty: a burst is taken, and nothing is none")
	}
	if s := progress.Status(); to.emitted != 1 || to.offered != 4 || s.Events != 5 || !s.LastEvent.Equal(e.Time) {
		t.Errorf("%+v, %+v", to, s)
	}
}
