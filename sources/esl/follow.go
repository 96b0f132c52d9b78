package esl

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// Pauses before the next attempt to connect. Each is twice the one before. After a
// refusal of the login, the longest follows at once.
const (
	minPause = time.Second
	maxPause = time.Minute
)

// Follow reports the events of the switch until ctx ends, and reconnects. It subscribes
// only to what the wanted events need. A stream has no past, and so no position.
func (s *source) Follow(ctx context.Context, stream plugin.Stream) error {
	f := s.newFollower(stream.Want, stream)
	stream.Progress.Look(s.progress.look)
	stream.Progress.Hear(s.progress.hearing)
	stream.Ready()
	f.run(ctx)
	return nil
}

// A follower follows one switch in three goroutines. One listens and decodes, and never
// waits. One lists registrations and gateways. The one of run emits the events of both,
// and waits for the engine.
type follower struct {
	source  *source
	sub     esl.Subscription
	sink    plugin.Sink
	decoder *decoder // of the listening goroutine
	queue   *queue
	lister  *lister
	listen  func(ctx context.Context, sub esl.Subscription, up func(), take func(esl.Message)) error
}

func (s *source) newFollower(want map[string]bool, sink plugin.Sink) *follower {
	sub := s.subscription(want)
	sub.Unreadable = s.progress.unreadable
	events := newQueue(s.queue)
	s.progress.following(sub.LogLevel >= 0, func() int { return len(events.events) })
	return &follower{
		source: s, sub: sub, sink: sink, decoder: s.newDecoder(want), queue: events,
		lister: newLister(s, want, func(ctx context.Context) (console, error) { return s.at.Console(ctx) }, net.DefaultResolver),
		listen: s.at.Listen,
	}
}

// run returns when ctx has ended and all events are emitted.
func (f *follower) run(ctx context.Context) {
	var finders sync.WaitGroup
	finders.Go(func() { f.connect(ctx) })
	finders.Go(func() { f.lister.run(ctx) })
	ended := make(chan struct{})
	go func() {
		finders.Wait()
		close(ended)
	}()
	f.emitUntil(ended)
}

// emitUntil emits events until ended is closed and the queue is empty. Those of the
// stream come before those that are only listed.
func (f *follower) emitUntil(ended <-chan struct{}) {
	for {
		select {
		case item := <-f.queue.events:
			f.emit(f.queue.out(item))
			continue
		default:
		}
		select {
		case item := <-f.queue.events:
			f.emit(f.queue.out(item))
		case e := <-f.lister.events:
			f.emit(e)
		case <-ended:
			for len(f.queue.events) > 0 {
				f.emit(f.queue.out(<-f.queue.events))
			}
			return
		}
	}
}

func (f *follower) emit(e *event.Event) {
	f.source.progress.emitted(e)
	f.sink.Emit(e)
}

// connect listens until ctx ends, and reconnects.
func (f *follower) connect(ctx context.Context) {
	pause := minPause
	for ctx.Err() == nil {
		up := time.Time{} // when the switch accepted the subscription
		err := f.listen(ctx, f.sub, func() {
			up = time.Now()
			f.source.progress.up()
			f.lister.connected()
		}, f.take)
		f.lister.disconnected()
		if ctx.Err() != nil {
			f.source.progress.down("")
			return
		}
		f.source.progress.down(err.Error())
		switch {
		case errors.Is(err, esl.ErrAuthRefused), errors.Is(err, esl.ErrACLRefused):
			pause = maxPause
		case !up.IsZero() && time.Since(up) >= maxPause:
			pause = minPause
		}
		sleep(ctx, pause+rand.N(pause/4)) // so that many hosts do not reconnect together
		pause = min(2*pause, maxPause)
	}
}

// take decodes a message. It never waits.
func (f *follower) take(m esl.Message) {
	restarts := f.decoder.restarts
	e := f.decoder.decode(&m)
	f.source.progress.message(&m, f.decoder.restarts-restarts)
	if at, ok := stamp(m.Headers); ok && m.Name() == "HEARTBEAT" {
		f.source.progress.heartbeat(at)
	}
	if f.decoder.gateways {
		f.decoder.gateways = false
		f.lister.refresh()
	}
	lost := esl.Lost(m)
	if e != nil && !f.queue.put(e) {
		lost++
	}
	if lost > 0 {
		f.source.progress.lost(lost)
	}
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
