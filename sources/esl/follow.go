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

// The pause is the time from the start of an attempt to connect to that of the next one, or a
// little less. A refused connection costs the switch nothing. After a refused login the pause
// is maxPause at once: FreeSWITCH logs each refusal of its access list.
const (
	minPause  = time.Second
	maxPause  = 5 * time.Second
	slowAfter = 10 * time.Minute       // without a connection: then the pause is maxPause
	minRest   = 500 * time.Millisecond // at least, from the end of an attempt: mod_event_socket may be reloading, and the fault is logged
)

// Follow reports the events of the switch until ctx ends, and reconnects. It subscribes
// only to what the wanted events need. A stream has no past, and so no position.
func (s *source) Follow(ctx context.Context, stream plugin.Stream) error {
	f := s.newFollower(stream)
	stream.Ready()
	f.run(ctx)
	return nil
}

// A follower follows one switch in four goroutines. One listens and decodes, and never
// waits: it passes a burst of events on while the engine waits, and else queues it. One lists registrations and
// gateways, one the calls. The one of run emits their events, and those that are queued, and waits for the engine.
type follower struct {
	sub      esl.Subscription
	decoder  *decoder // of the listening goroutine
	queue    *plugin.Queue
	lister   *lister
	progress *progress
	silent   bool // a connection ended without a heartbeat, and none has come since
	listen   func(ctx context.Context, sub esl.Subscription, up func(), take func(esl.Message)) error

	// Of the listening goroutine: the latest stamp of an event, and when it came; the events of a
	// burst, with what the list of calls is to know of each, and whether they are collected.
	stamp, stamped time.Time
	burst          []*event.Event
	calls          []callNote
	collects       bool
}

// maxBurst bounds the events that are collected.
const maxBurst = 64

// A callNote is the name and the call of an event, before the event is the engine's.
type callNote struct{ name, uuid string }

func (s *source) newFollower(stream plugin.Stream) *follower {
	sub, events := s.subscription(stream.Want), plugin.NewQueue(s.queue, stream)
	progress := newProgress(stream.Progress, sub.LogLevel >= 0, events.Len)
	sub.Unreadable = progress.unreadable
	dial := func(ctx context.Context) (console, error) { return s.at.Console(ctx) }
	f := &follower{
		sub: sub, decoder: s.newDecoder(stream.Want), queue: events, progress: progress,
		lister: newLister(s.name, stream.Want, progress, dial, net.DefaultResolver),
	}
	f.listen = func(ctx context.Context, sub esl.Subscription, up func(), take func(esl.Message)) error {
		f.collects, sub.Idle = true, f.flush
		defer f.flush(false)
		return s.at.Listen(ctx, sub, up, take)
	}
	f.decoder.several = f.lister.several
	f.lister.captures = s.capture
	if sub.LogLevel >= 0 {
		f.lister.hidesWarnings = s.at.HidesWarnings
	}
	return f
}

// run returns when ctx has ended and all events are emitted.
func (f *follower) run(ctx context.Context) {
	var finders sync.WaitGroup
	finders.Go(func() { f.connect(ctx) })
	finders.Go(func() { f.lister.run(ctx) })
	finders.Go(func() { f.lister.reconcileCalls(ctx) })
	ended := make(chan struct{})
	go func() {
		finders.Wait()
		close(ended)
	}()
	f.queue.EmitUntil(ended, f.lister.events)
}

// connect listens until ctx ends, and reconnects. While the switch cannot be reached, the
// fault also says how the last connection ended.
func (f *follower) connect(ctx context.Context) {
	lost, last := time.Now(), error(nil) // the end of the last good connection, and why
	for ctx.Err() == nil {
		begun, connected := time.Now(), false
		err := f.listen(ctx, f.sub, func() {
			connected = true
			f.progress.up()
			f.progress.silent(f.silent)
			f.lister.connected()
		}, f.take)
		if ctx.Err() != nil {
			f.progress.down("")
			return
		}
		fault, pause := err.Error(), minPause
		switch {
		case connected:
			lost, last, f.silent = time.Now(), err, errors.Is(err, esl.ErrSilent)
		case errors.Is(err, esl.ErrAuthRefused), errors.Is(err, esl.ErrACLRefused):
			pause = maxPause
		case errors.Is(err, esl.ErrUnreachable) && last != nil:
			fault += "; before that: " + last.Error()
		}
		f.progress.down(fault)
		if time.Since(lost) > slowAfter {
			pause = maxPause
		}
		pause -= rand.N(pause / 4) // so that many hosts do not reconnect together
		plugin.Rest(ctx, max(minRest, time.Until(begun.Add(pause))), nil)
	}
}

// take decodes a message. It never waits.
func (f *follower) take(m esl.Message) {
	restarts, doubted, lost := f.decoder.restarts, f.decoder.doubted, esl.Lost(m)
	for _, e := range f.decoder.read(&m) {
		if e == nil {
			continue
		}
		e.Live = true
		if m.Record {
			e.Time = f.byEvents(e.Time)
		}
		note := callNote{e.Name, e.UUID}
		if e.UUID != "" && isCut(m.Headers) {
			note.name = "" // the list cannot tell which call it is
		}
		f.burst, f.calls = append(f.burst, e), append(f.calls, note)
	}
	if !f.collects || len(f.burst) >= maxBurst {
		f.flush(false)
	}
	f.progress.message(&m, f.decoder.restarts-restarts, uint64(f.decoder.doubted-doubted), lost)
	if at, ok := stamp(m.Headers); ok {
		f.stamp, f.stamped = at, time.Now()
		if m.Name() == esl.Heartbeat {
			f.progress.Stamped(at)
			f.silent = false
			f.progress.silent(false)
		}
	}
	if setsLevel(&m) {
		f.lister.retestLevel()
	}
	if startsProfile(&m) {
		f.lister.recapture()
	}
	if f.decoder.gateways {
		f.decoder.gateways = false
		f.lister.refresh()
	}
}

// flush passes on the events that were collected. If the switch is to be waited for, the engine may take them
// meanwhile: else it works beside the decoder.
func (f *follower) flush(waits bool) {
	var lost uint64
	passed := waits && f.queue.Offer(f.burst)
	for i, e := range f.burst {
		if !passed && !f.queue.Put(e) {
			lost++
		} else if f.lister.calls != nil {
			f.lister.calls.note(f.calls[i].name, f.calls[i].uuid, time.Now())
		}
	}
	clear(f.burst)
	clear(f.calls)
	f.burst, f.calls = f.burst[:0], f.calls[:0]
	if lost > 0 {
		f.progress.lost(lost)
	}
}

// zoneStep divides the offset of every zone.
const zoneStep = 15 * time.Minute

// byEvents gives a log record, which has a local time, its time by the stamps of events. Both
// are of one clock, so they differ by the zone, if `timezone` is not that of the switch.
func (f *follower) byEvents(at time.Time) time.Time {
	if f.stamp.IsZero() {
		return at
	}
	return at.Add(f.stamp.Add(time.Since(f.stamped)).Sub(at).Round(zoneStep))
}
