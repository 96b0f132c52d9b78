package engine

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// A sourceSet is the sources that are followed, by their references. It belongs to the
// core.
type sourceSet struct {
	running   map[string]*source
	reports   chan report  // from all of them
	waiting   atomic.Int64 // reports that the core does not have yet
	ended     chan ending
	all       sync.WaitGroup
	positions map[string][]byte           // how far each source was read, as the core knows it
	moved     map[string][]byte           // the positions that the store does not have yet
	progress  map[string]*plugin.Progress // of all that were ever followed: counters never decrease
}

// A source is one source that is followed, and the sink of its reports.
type source struct {
	config.Source
	stream   plugin.Stream
	ready    chan struct{} // closed by the source
	cancel   context.CancelFunc
	done     chan struct{}
	set      *sourceSet
	sight    sight
	reported struct { // in the log; of the core
		fault    string
		problems []status.Problem
		lost     uint64
		at       time.Time // of the loss
	}
}

// A report is what a source hands to the core: an event, or how far it has read.
type report struct {
	event    *event.Event
	ref      string
	position []byte
}

// Emit implements [plugin.Sink]. It waits for the core, also if the source has been told
// to end: its last reports are not lost. The core takes reports until every source has
// ended.
func (s *source) Emit(ev *event.Event) { s.send(report{event: ev}) }

// Position implements [plugin.Sink]. It waits as Emit does.
func (s *source) Position(position []byte) { s.send(report{ref: s.Ref, position: position}) }

func (s *source) send(r report) {
	s.set.waiting.Add(1)
	s.set.reports <- r
}

// An ending is a source that has ended by itself.
type ending struct {
	source *source
	err    error
}

const (
	// lookEvery is the interval at which the state of the sources is logged.
	lookEvery = time.Second

	// lossEvery is the shortest interval of log messages about lost events of a source.
	lossEvery = time.Minute

	// restartAfter is the time from the failure of a source to its restart.
	restartAfter = 5 * time.Second

	// readyWithin bounds the time that all new sources have to become ready: a log on a
	// file system that hangs must not keep the engine from its work.
	readyWithin = 5 * time.Second

	// inFlight is the number of reports that may wait for the core. A log file is its own
	// buffer, so the channel is small: a full one stops the reader, not the switch.
	inFlight = 1024
)

func newSourceSet() sourceSet {
	return sourceSet{
		running: map[string]*source{}, reports: make(chan report, inFlight), ended: make(chan ending),
		positions: map[string][]byte{}, moved: map[string][]byte{}, progress: map[string]*plugin.Progress{},
	}
}

// logFaults logs when a source degrades, recovers or loses events.
func (set *sourceSet) logFaults(log *slog.Logger) {
	for ref, s := range set.running {
		p, reported := s.stream.Progress.Status(), &s.reported
		if p.Lost > reported.lost && time.Since(reported.at) >= lossEvery {
			log.Warn("source has lost events", "source", ref, "lost", p.Lost-reported.lost)
			reported.lost, reported.at = p.Lost, time.Now()
		}
		for _, problem := range p.Problems {
			switch known := slices.Contains(reported.problems, problem); {
			case known:
			case problem.Severity == status.Info:
				log.Info("source notice", "source", ref, "notice", problem.Text)
			default:
				log.Warn("source degraded", "source", ref, "err", problem.Text)
			}
		}
		reported.problems = p.Problems
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

// reconcileSources follows the sources of the configuration, and no others, and returns
// when the new ones are ready, or readyWithin is over: what is written to a source after
// the engine is ready must be seen. A source whose block is the same, and which reports
// all that is wanted now, is left alone: a new connection to a stream misses what is
// reported meanwhile.
func (e *Engine) reconcileSources() {
	set := &e.live.sources
	wanted := map[string]config.Source{}
	for _, s := range e.cfg.Sources {
		wanted[s.Ref] = s
	}
	for ref, s := range set.running {
		if w, ok := wanted[ref]; ok && s.Fingerprint == w.Fingerprint && covers(s.stream.Want, e.wants(ref)) {
			continue
		}
		s.cancel()
		e.takeUntil(s.done) // so that the next one begins where this one ended
		if s.Fingerprint != wanted[ref].Fingerprint {
			delete(e.offsets, ref) // of another timezone, perhaps
		}
		delete(set.running, ref)
	}
	var started []*source
	for _, s := range e.cfg.Sources {
		switch {
		case set.running[s.Ref] != nil:
		case s.Description.ReplayOnly:
			e.options.Log.Warn("source can only be replayed", "source", s.Ref)
		default:
			e.rules.End(&event.Event{Name: event.CallEnded, Source: s.Ref}) // what ended meanwhile is not reported
			started = append(started, set.start(e.live.ctx, s, plugin.Stream{Want: e.wants(s.Ref), Offer: e.offer, List: e.list}))
		}
	}
	e.takeUntil(allReady(e.live.ctx, started, e.options.Log))
}

// allReady returns a channel that is closed when all these sources are ready, or have
// been waited for long enough.
func allReady(ctx context.Context, started []*source, log *slog.Logger) <-chan struct{} {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	var waiting sync.WaitGroup
	for _, s := range started {
		waiting.Go(func() { s.awaitReady(ctx, log) })
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
func (s *source) awaitReady(ctx context.Context, log *slog.Logger) {
	select {
	case <-s.ready:
	case <-s.done:
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			log.Warn("source not ready: what is written to it now may be missed", "source", s.Ref, "waited", readyWithin)
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

// progressOf returns the progress of a source that starts: its counters go on.
func (set *sourceSet) progressOf(ref string) *plugin.Progress {
	p := set.progress[ref]
	if p == nil {
		p = &plugin.Progress{}
		set.progress[ref] = p
	}
	p.Look(nil)
	p.Hear(nil)
	p.Update(func(s *status.Source) { s.Fault = "" })
	p.Forget()
	return p
}

// start begins to follow a source. The stream has what is the engine's.
func (set *sourceSet) start(ctx context.Context, c config.Source, stream plugin.Stream) *source {
	ctx, cancel := context.WithCancel(ctx)
	s := &source{Source: c, stream: stream, ready: make(chan struct{}), cancel: cancel, done: make(chan struct{}), set: set, sight: sight{seen: map[string]uint64{}}}
	s.stream.Sink, s.stream.From, s.stream.Progress = s, set.positions[c.Ref], set.progressOf(c.Ref)
	s.stream.Ready = sync.OnceFunc(func() { close(s.ready) })
	s.reported.lost = s.stream.Progress.Status().Lost
	set.running[c.Ref] = s
	set.all.Go(func() {
		err := c.Source.Follow(ctx, s.stream)
		close(s.done)
		select {
		case set.ended <- ending{s, err}:
		case <-ctx.Done():
		}
	})
	return s
}

// sourceEnded starts a source that failed again after a while. It reports whether no
// source is left.
func (e *Engine) sourceEnded(end ending) (last bool) {
	set := &e.live.sources
	if set.running[end.source.Ref] != end.source {
		return false // a reload has replaced it
	}
	delete(set.running, end.source.Ref)
	if end.err == nil {
		return len(set.running) == 0
	}
	end.source.stream.Progress.Forget()
	end.source.stream.Progress.Update(func(s *status.Source) { s.Fault = end.err.Error() })
	e.options.Log.Error("source failed", "source", end.source.Ref, "err", end.err, "retry", restartAfter)
	time.AfterFunc(restartAfter, func() {
		_ = e.Do(e.live.ctx, e.reconcileSources) // an error: the engine has stopped
	})
	return false
}

// moveTo notes how far a source has read.
func (set *sourceSet) moveTo(ref string, position []byte) {
	set.positions[ref] = position
	set.moved[ref] = position
}

// wait returns a channel that is closed when every source has ended.
func (set *sourceSet) wait() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		set.all.Wait()
		close(done)
	}()
	return done
}
