package esl

import (
	"sync/atomic"

	"freeswitch-security/engine/event"
)

// maxQueueBytes bounds what waits in a queue, however many events it is made for:
// a caller decides how long the headers of his events are.
const maxQueueBytes = 64 << 20

// A queue holds events while the engine is busy. Putting never waits: what finds
// it full is dropped, so that what is kept is in its order and without a gap
// before the loss.
type queue struct {
	events chan queued
	bytes  atomic.Int64 // about what the events in it take
}

type queued struct {
	event *event.Event
	bytes int64
}

func newQueue(length int) *queue { return &queue{events: make(chan queued, length)} }

// put reports whether there was room.
func (q *queue) put(e *event.Event) bool {
	item := queued{e, weight(e)}
	if q.bytes.Add(item.bytes) <= maxQueueBytes {
		select {
		case q.events <- item:
			return true
		default:
		}
	}
	q.bytes.Add(-item.bytes)
	return false
}

// out accounts for an item that was received from the channel.
func (q *queue) out(item queued) *event.Event {
	q.bytes.Add(-item.bytes)
	return item.event
}

// weight is about how many bytes an event takes.
func weight(e *event.Event) int64 {
	const itself, perField = 512, 48
	n := itself + len(e.Text) + len(e.Message)
	for name, value := range e.Fields {
		n += perField + len(name) + len(value)
	}
	return int64(n)
}
