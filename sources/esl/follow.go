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

// Pauses before the next attempt to connect. They double from one to the next; a
// switch that has refused us is asked at the slowest pace at once.
const (
	minPause = time.Second
	maxPause = time.Minute
)

// Follow reports what happens at the switch until ctx ends. It connects as often
// as it must, and subscribes to no more than what the wanted events need. A
// stream has no past: from is not looked at, and no position is told.
func (s *source) Follow(ctx context.Context, _ []byte, want map[string]bool, sink plugin.Sink) error {
	f := s.newFollower(want, sink)
	f.run(ctx)
	return nil
}

// A follower follows one switch. Three goroutines share the work: one listens,
// decodes and never waits, one asks for the switch's lists, and the one that runs
// it hands on what they found and waits for the engine.
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

// run returns when ctx has ended and everything that was found is handed on.
func (f *follower) run(ctx context.Context) {
	var finders sync.WaitGroup
	finders.Go(func() { f.connect(ctx) })
	finders.Go(func() { f.lister.run(ctx) })
	ended := make(chan struct{})
	go func() {
		finders.Wait()
		close(ended)
	}()
	f.hand(ended)
}

// hand gives the sink what was found until ended is closed and the queue empty.
// What happens now goes before what is only listed.
func (f *follower) hand(ended <-chan struct{}) {
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

// connect listens again and again until ctx ends.
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
		sleep(ctx, pause+rand.N(pause/4)) // so that many hosts do not come back at the same moment
		pause = min(2*pause, maxPause)
	}
}

// take decodes a message. It never waits: a switch cuts off whoever does.
func (f *follower) take(m esl.Message) {
	restarts := f.decoder.restarts
	e := f.decoder.decode(&m)
	f.source.progress.message(&m, f.decoder.restarts-restarts)
	if at, ok := stamp(m.Headers); ok && m.Name() == "HEARTBEAT" {
		f.source.progress.heartbeat(at)
	}
	if changesGateways(&m) {
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
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
