package esl

import (
	"sync/atomic"

	"freeswitch-security/engine/event"
)

// maxQueueBytes bounds the events in a queue, whatever its length: callers decide how
// long headers are.
const maxQueueBytes = 64 << 20

// A queue holds events while the engine is busy. A full queue drops the new event, so
// that there is no gap before the loss.
type queue struct {
	events chan *event.Event
	bytes  atomic.Int64 // estimate of its events
}

func newQueue(length int) *queue { return &queue{events: make(chan *event.Event, length)} }

// put adds an event if there is room. It never waits.
func (q *queue) put(e *event.Event) bool {
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

// out frees the room of an event that was received from the channel.
func (q *queue) out(e *event.Event) *event.Event {
	q.bytes.Add(-weight(e))
	return e
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
