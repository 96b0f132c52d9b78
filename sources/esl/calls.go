package esl

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

const (
	// callsEvery is the shortest time between two lists of the calls, and the age from which a call
	// must be in one: the switch lists a new one late. A list that takes long is made less often, so
	// that it takes one of callsShare parts of the time.
	callsEvery = time.Minute
	callsShare = 100

	// maxOpenCalls bounds the open calls that are known; a switch of one host carries fewer. The lost
	// end of a further one is not found.
	maxOpenCalls = 50_000
)

// An openCalls holds the calls that the engine was told of, and not of their ends. It is safe for
// concurrent use.
type openCalls struct {
	due   chan struct{} // has an item when the calls are to be listed now
	mu    sync.Mutex    // guards began
	began map[string]time.Time
}

// note takes the name and the call of an event that the engine is told of.
func (c *openCalls) note(name, uuid string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch name {
	case event.Call, event.CallAnswered:
		if _, known := c.began[uuid]; !known && uuid != "" && len(c.began) < maxOpenCalls {
			c.began[uuid] = now
		}
	case event.CallEnded, event.CallRejected:
		if delete(c.began, uuid); uuid == "" && name == event.CallEnded {
			clear(c.began)
		}
	}
}

// before returns the calls that began before a time.
func (c *openCalls) before(at time.Time) map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := maps.Clone(c.began)
	maps.DeleteFunc(old, func(_ string, began time.Time) bool { return !began.Before(at) })
	return old
}

// reconcileCalls reports the ends of calls that the stream has lost, until ctx ends.
func (l *lister) reconcileCalls(ctx context.Context) {
	if l.calls == nil {
		return
	}
	next := callsEvery
	for {
		select {
		case <-l.calls.due:
		case <-time.After(next):
		case <-ctx.Done():
			return
		}
		begun, fault := time.Now(), ""
		if l.progress.isUp() {
			if err := l.endLostCalls(ctx); err != nil && ctx.Err() == nil {
				fault = "ends of calls that were lost cannot be found: " + err.Error()
			}
			l.progress.warn("calls", status.Warning, fault)
		}
		next = max(callsEvery, callsShare*time.Since(begun))
	}
}

// endLostCalls ends the known calls that the switch no longer lists.
func (l *lister) endLostCalls(ctx context.Context) error {
	ended := l.calls.before(time.Now().Add(-callsEvery))
	if len(ended) == 0 {
		return nil
	}
	listed, err := ask(ctx, l, esl.Channels)
	if err != nil {
		return err
	}
	for i := range listed {
		delete(ended, bound(listed[i].UUID))
	}
	for _, uuid := range slices.Sorted(maps.Keys(ended)) {
		l.calls.note(event.CallEnded, uuid, time.Time{})
		l.emit(ctx, &event.Event{Name: event.CallEnded, Source: l.source, UUID: uuid, Text: "show channels: the call is not listed"})
	}
	return nil
}
