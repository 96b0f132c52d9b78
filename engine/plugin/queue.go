package plugin

import (
	"sync/atomic"

	"freeswitch-security/engine/event"
)

// maxQueueBytes bounds the events in a queue, whatever its length: callers decide how
// long headers are.
const maxQueueBytes = 64 << 20

// A Queue holds the events of a source that cannot wait while the engine is busy. A full
// queue drops the new event, so that there is no gap before the loss. One goroutine puts,
// another one takes.
type Queue struct {
	C     chan *event.Event // an event received from it is passed to Out
	bytes atomic.Int64      // estimate of its events
}

// NewQueue makes a queue for at most length events.
func NewQueue(length int) *Queue { return &Queue{C: make(chan *event.Event, length)} }

// Put adds an event if there is room. It never waits.
func (q *Queue) Put(e *event.Event) bool {
	n := weight(e)
	if q.bytes.Add(n) <= maxQueueBytes {
		select {
		case q.C <- e:
			return true
		default:
		}
	}
	q.bytes.Add(-n)
	return false
}

// Out frees the room of an event that was received from C.
func (q *Queue) Out(e *event.Event) *event.Event {
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
