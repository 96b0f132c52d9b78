package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	ref      string
	source   config.Source
	stream   plugin.Stream
	ready    chan struct{} // closed by the source
	cancel   context.CancelFunc
	done     chan struct{}
	reports  chan<- report
	reported struct { // in the log; of the core
		fault   string
		warning string
		lost    uint64
		at      time.Time // of the loss
	}
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

// lossEvery is how often the log is told that a source goes on losing events.
const lossEvery = time.Minute

// logFaults logs when a source degrades, recovers or loses events.
func (f *follows) logFaults(log *slog.Logger) {
	for ref, running := range f.running {
		p, reported := running.stream.Progress.Status(), &running.reported
		if p.Lost > reported.lost && time.Since(reported.at) >= lossEvery {
			log.Warn("source has lost events", "source", ref, "lost", p.Lost-reported.lost)
			reported.lost, reported.at = p.Lost, time.Now()
		}
		if p.Warning != "" && p.Warning != reported.warning {
			log.Warn("source degraded", "source", ref, "err", p.Warning)
		}
		reported.warning = p.Warning
		if p.Fault == reported.fault {
			continue
		}
		if reported.fault = p.Fault; p.Fault != "" {
			log.Error("source cannot be read", "source", ref, "err", p.Fault)
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

// agree follows the sources of the configuration, and no others, and returns when
// those that are new are ready, or [readyWithin] is over: what is written once somebody
// is told that they are followed must be seen. One that says the same as before, and was
// asked for all that is wanted now, is left alone: a stream that is connected to anew
// misses what is said meanwhile.
func (f *follows) agree(e *Engine) {
	wanted := map[string]config.Source{}
	for _, s := range e.cfg.Sources {
		wanted[s.Ref] = s
	}
	for ref, running := range f.running {
		if w, ok := wanted[ref]; ok && running.source.Fingerprint == w.Fingerprint && covers(running.stream.Want, e.wants(ref)) {
			continue
		}
		running.cancel()
		e.takeUntil(running.done) // so that the next one starts where this one ended
		delete(f.running, ref)
	}
	var started []*follow
	for _, s := range e.cfg.Sources {
		if f.running[s.Ref] == nil && f.start(e, s) {
			started = append(started, f.running[s.Ref])
		}
	}
	e.takeUntil(e.ready(started))
}

// readyWithin is how long new sources are waited for, all together: a log on a file
// system that hangs must not keep the engine from its work.
const readyWithin = 5 * time.Second

// ready returns a channel that is closed when all these sources are ready, or have been
// waited for long enough.
func (e *Engine) ready(started []*follow) <-chan struct{} {
	ctx, cancel := context.WithTimeout(e.live.ctx, readyWithin)
	var waiting sync.WaitGroup
	for _, f := range started {
		waiting.Go(func() { f.awaitReady(ctx, e.options.Log) })
	}
	ready := make(chan struct{})
	go func() {
		waiting.Wait()
		cancel()
		close(ready)
	}()
	return ready
}

// awaitReady waits until the source is ready, or has ended.
func (f *follow) awaitReady(ctx context.Context, log *slog.Logger) {
	select {
	case <-f.ready:
	case <-f.done:
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			log.Warn("source not ready: what is written to it now may be missed", "source", f.ref, "waited", readyWithin)
		}
	}
}

// covers reports whether a set of events holds all that are wanted; nil is every
// event, which is not the empty set.
func covers(asked, wanted map[string]bool) bool {
	if asked == nil || wanted == nil {
		return asked == nil
	}
	for name := range wanted {
		if !asked[name] {
			return false
		}
	}
	return true
}

// start begins to follow a source, and reports whether it can be followed.
func (f *follows) start(e *Engine, s config.Source) bool {
	if s.Description.ReplayOnly {
		e.options.Log.Warn("source can only be replayed", "source", s.Ref)
		return false
	}
	ctx, cancel := context.WithCancel(e.live.ctx)
	running := &follow{
		ref: s.Ref, source: s, ready: make(chan struct{}), cancel: cancel, done: make(chan struct{}), reports: e.live.reports,
	}
	running.stream = plugin.Stream{
		Sink: running, From: f.positions[s.Ref], Want: e.wants(s.Ref), Progress: &plugin.Progress{},
		Ready: sync.OnceFunc(func() { close(running.ready) }), List: e.list,
	}
	f.running[s.Ref] = running
	f.all.Go(func() {
		err := s.Source.Follow(ctx, running.stream)
		close(running.done)
		if err != nil {
			err = fmt.Errorf("source %s: %w", s.Ref, err)
		}
		select {
		case f.ended <- ending{running, err}:
		case <-ctx.Done():
		}
	})
	return true
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
	e.options.Log.Error("source failed", "source", ref, "err", end.err, "retry", restartAfter)
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
