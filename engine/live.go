package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// A swap is a configuration on its way to the goroutine that counts.
type swap struct {
	cfg  *config.Config
	done chan struct{}
}

// inFlight is how many events may wait for the core. A log file is its own
// buffer, so the channel is small: a full one stops the reader, not the caller.
const inFlight = 1024

// Run follows the live sources until ctx ends, or until every one of them has
// ended, and returns their joint error. Time is the clock's; events carry their
// own, and one that is stamped in the future counts as now.
func (e *Engine) Run(ctx context.Context) error {
	events := make(chan *event.Event, inFlight)
	ended := e.follow(ctx, events)
	wake := time.NewTimer(0)
	defer wake.Stop()
	for open := true; open; {
		select {
		case <-ctx.Done():
			return ended()
		case ev, more := <-events:
			open = more
			for ; ev != nil; ev = waiting(events) {
				e.observeLive(ev)
			}
		case s := <-e.swaps:
			e.advance(time.Now())
			e.Reload(s.cfg)
			close(s.done)
		case <-wake.C:
			e.advance(time.Now())
		}
		if err := e.settle(); err != nil {
			e.log.Error("state not saved", "err", err)
		}
		if at, ok := e.ledger.Next(); ok {
			wake.Reset(time.Until(at))
		}
	}
	return ended()
}

// waiting takes an event that is there already, so that what comes in a burst
// shares one commit; nil where there is none.
func waiting(events <-chan *event.Event) *event.Event {
	select {
	case ev := <-events:
		return ev
	default:
		return nil
	}
}

// observeLive lets the rules see an event now.
func (e *Engine) observeLive(ev *event.Event) {
	now := time.Now()
	if ev.Time.After(now) {
		ev.Time = now
	}
	e.observe(ev, now)
}

// follow starts every source that can be followed and closes events when all
// have ended. The function it returns waits for that and gives their errors.
func (e *Engine) follow(ctx context.Context, events chan<- *event.Event) (ended func() error) {
	emit := func(ev *event.Event) {
		select {
		case events <- ev:
		case <-ctx.Done():
		}
	}
	errs := make([]error, len(e.sources))
	var following sync.WaitGroup
	for i, s := range e.sources {
		follower, ok := s.Source.(plugin.Follower)
		if !ok {
			errs[i] = fmt.Errorf("source %s: can only be replayed", s.Ref)
			continue
		}
		want := e.rules.Wants(s.Ref)
		following.Go(func() {
			if err := follower.Follow(ctx, want, emit); err != nil && ctx.Err() == nil {
				errs[i] = fmt.Errorf("source %s: %w", s.Ref, err)
			}
		})
	}
	go func() {
		following.Wait()
		close(events)
	}()
	return func() error {
		following.Wait()
		return errors.Join(errs...)
	}
}

// Swap hands cfg to the running engine and returns when it counts by it. It may
// be called from any goroutine.
func (e *Engine) Swap(ctx context.Context, cfg *config.Config) error {
	s := swap{cfg: cfg, done: make(chan struct{})}
	select {
	case e.swaps <- s:
	case <-ctx.Done():
		return ctx.Err()
	}
	<-s.done
	return nil
}
