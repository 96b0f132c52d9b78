package engine

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// follows is the sources that are being followed, by their references.
type follows struct {
	running   map[string]*follow
	ended     chan ending
	all       sync.WaitGroup
	positions map[string][]byte // how far each source was read, as the core knows it
	moved     map[string][]byte // the positions that the store does not have yet
}

// A follow is one source that is being followed. It is the sink of its source.
type follow struct {
	ref     string
	source  plugin.Source
	want    map[string]bool
	cancel  context.CancelFunc
	done    chan struct{}
	reports chan<- report
	fault   string // that the log was told of; of the core
}

// A report is what a source hands to the core: an event, or how far it has read.
type report struct {
	event    *event.Event
	ref      string
	position []byte
}

// Emit implements [plugin.Sink].
func (f *follow) Emit(ev *event.Event) { f.send(report{event: ev}) }

// Position implements [plugin.Sink].
func (f *follow) Position(position []byte) { f.send(report{ref: f.ref, position: position}) }

// send waits for the core, also when the source has been told to end: what it
// reports until then is not lost. The core takes reports until every source has
// ended.
func (f *follow) send(r report) { f.reports <- r }

// An ending is a source that has ended by itself.
type ending struct {
	follow *follow
	err    error
}

// lookEvery is how often sources are asked whether they can read.
const lookEvery = time.Second

// tellFaults writes to the log what has begun to keep a source from reading, and
// that it reads again. A source that tries again and again has nobody else to tell.
func (f *follows) tellFaults(log *slog.Logger) {
	for ref, running := range f.running {
		meter, ok := running.source.(plugin.Meter)
		if !ok {
			continue
		}
		fault := meter.Progress().Fault
		if fault == running.fault {
			continue
		}
		if running.fault = fault; fault != "" {
			log.Error("source cannot be read", "source", ref, "err", fault)
		} else {
			log.Info("source is read again", "source", ref)
		}
	}
}

// restartAfter is how long a source that failed is left alone before it is
// started again.
const restartAfter = 5 * time.Second

func newFollows() follows {
	return follows{
		running: map[string]*follow{}, ended: make(chan ending),
		positions: map[string][]byte{}, moved: map[string][]byte{},
	}
}

// agree follows the sources of the configuration, and no others. One that says
// the same as before, and is asked for the same events, is left alone.
func (f *follows) agree(e *Engine) {
	wanted := map[string]plugin.Source{}
	for _, s := range e.cfg.Sources {
		wanted[s.Ref] = s.Source
	}
	for ref, running := range f.running {
		if same(running.source, wanted[ref]) && sameEvents(running.want, e.wants(ref)) {
			continue
		}
		running.cancel()
		e.takeUntil(running.done) // so that the next one starts where this one ended
		delete(f.running, ref)
	}
	for _, s := range e.cfg.Sources {
		if f.running[s.Ref] == nil {
			f.start(e, s)
		}
	}
}

// same reports whether two plugins were made from the same words.
func same(running, wanted any) bool {
	c, ok := running.(plugin.Comparer)
	return ok && c.Same(wanted)
}

// sameEvents reports whether two sets of events are the same; nil is every event,
// which is not the empty set.
func sameEvents(a, b map[string]bool) bool {
	return (a == nil) == (b == nil) && maps.Equal(a, b)
}

func (f *follows) start(e *Engine, s config.Source) {
	hear := e.hearing(s.Source, f.positions[s.Ref])
	if hear == nil {
		e.Log.Warn("source can only be replayed", "source", s.Ref)
		return
	}
	ctx, cancel := context.WithCancel(e.live.ctx)
	running := &follow{
		ref: s.Ref, source: s.Source, want: e.wants(s.Ref),
		cancel: cancel, done: make(chan struct{}), reports: e.live.reports,
	}
	f.running[s.Ref] = running
	f.all.Go(func() {
		err := hear(ctx, running)
		close(running.done)
		if err != nil {
			err = fmt.Errorf("source %s: %w", s.Ref, err)
		}
		select {
		case f.ended <- ending{running, err}:
		case <-ctx.Done():
		}
	})
}

// hearing returns what hears a source: events from where it was left, or what a
// feed lists. It is nil where there is nothing to hear.
func (e *Engine) hearing(s plugin.Source, from []byte) func(context.Context, *follow) error {
	switch s := s.(type) {
	case plugin.Feed:
		return func(ctx context.Context, _ *follow) error { return s.Keep(ctx, e.list) }
	case plugin.Follower:
		return func(ctx context.Context, f *follow) error { return s.Follow(ctx, from, f.want, f) }
	}
	return nil
}

// gone deals with a source that has ended by itself: one that failed is started
// again after a while. It reports whether none is left and nothing will come.
func (f *follows) gone(e *Engine, end ending) bool {
	ref := end.follow.ref
	if f.running[ref] != end.follow {
		return false // a reload has taken its place
	}
	delete(f.running, ref)
	if end.err == nil {
		return len(f.running) == 0
	}
	e.Log.Error("source failed", "source", ref, "err", end.err, "retry", restartAfter)
	time.AfterFunc(restartAfter, func() {
		_ = e.Do(e.live.ctx, func() { f.agree(e) }) // an error: the engine has stopped
	})
	return false
}

// moveTo notes how far a source has read.
func (f *follows) moveTo(ref string, position []byte) {
	f.positions[ref] = position
	f.moved[ref] = position
}

// wait returns a channel that is closed when every source has ended.
func (f *follows) wait() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		f.all.Wait()
		close(done)
	}()
	return done
}
