package plugin

import (
	"sync/atomic"

	"freeswitch-security/engine/event"
)

// maxQueueBytes bounds the events in a queue, whatever its length: callers decide how
// long headers are.
const maxQueueBytes = 64 << 20

// A Queue passes on the events of a source that cannot wait, and holds them while the engine is busy. A full
// queue drops the new event, so that there is no gap before the loss. One goroutine puts, another one emits.
type Queue struct {
	stream Stream
	events chan *event.Event
	bytes  atomic.Int64 // estimate of the events that the engine does not have yet
}

// NewQueue makes a queue for at most length events of a stream.
func NewQueue(length int, stream Stream) *Queue {
	return &Queue{stream: stream, events: make(chan *event.Event, length)}
}

// Len returns how many events wait.
func (q *Queue) Len() int { return len(q.events) }

// Offer passes on the events of a burst at once, and reports whether it did: not if others wait, or the engine is
// busy. At a few thousand events a second, to wake up another goroutine costs more than the events.
func (q *Queue) Offer(burst []*event.Event) bool {
	if len(burst) == 0 || q.stream.Offer == nil || q.bytes.Load() > 0 {
		return false
	}
	latest := burst[len(burst)-1].Time // from Offer on the events are the engine's
	if !q.stream.Offer(burst) {
		return false
	}
	q.stream.Progress.emitted(len(burst), latest)
	return true
}

// Put adds an event if there is room. It never waits.
func (q *Queue) Put(e *event.Event) bool {
	n := weight(e)
	if q.bytes.Add(n) <= maxQueueBytes {
		select {
		case q.events <- e:
			return true
		default:
		}
	}
	q.bytes.Add(-n)
	return false
}

// EmitUntil emits events until ended is closed and the queue is empty. Those of the queue come before the others.
func (q *Queue) EmitUntil(ended <-chan struct{}, others <-chan *event.Event) {
	for {
		now := others
		if len(q.events) > 0 {
			now = nil
		}
		select {
		case e := <-q.events:
			q.emit(e)
		case e := <-now:
			q.stream.Progress.Emitted(e)
			q.stream.Emit(e)
		case <-ended:
			for len(q.events) > 0 {
				q.emit(<-q.events)
			}
			return
		}
	}
}

func (q *Queue) emit(e *event.Event) {
	n := weight(e)
	q.stream.Progress.Emitted(e)
	q.stream.Emit(e)
	q.bytes.Add(-n)
}

// weight estimates the memory of an event, in bytes.
func weight(e *event.Event) int64 {
	const itself, perField = 512, 48
	n := itself + len(e.Text) + len(e.Message)
	for name, value := range e.Fields {
		n += perField + len(name) + len(value)
	}
	return int64(n)
}
