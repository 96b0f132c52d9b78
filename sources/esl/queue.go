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
	events chan queued
	bytes  atomic.Int64 // estimate of its events
}

type queued struct {
	event *event.Event
	bytes int64
}

func newQueue(length int) *queue { return &queue{events: make(chan queued, length)} }

// put adds an event if there is room. It never waits.
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

// out frees the room of an item that was received from the channel.
func (q *queue) out(item queued) *event.Event {
	q.bytes.Add(-item.bytes)
	return item.event
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
