package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// follows is the sources that are being followed, by their references.
type follows struct {
	running map[string]*follow
	ended   chan ending
	all     sync.WaitGroup
}

// A follow is one source that is being followed.
type follow struct {
	source plugin.Source
	cancel context.CancelFunc
	done   chan struct{}
}

// An ending is a source that has ended by itself.
type ending struct {
	follow *follow
	ref    string
	err    error
}

// restartAfter is how long a source that failed is left alone before it is
// started again.
const restartAfter = 5 * time.Second

func newFollows() follows {
	return follows{running: map[string]*follow{}, ended: make(chan ending)}
}

// agree follows the sources of the configuration, and no others. One that says
// the same as before is left alone.
func (f *follows) agree(e *Engine) {
	wanted := map[string]plugin.Source{}
	for _, s := range e.cfg.Sources {
		wanted[s.Ref] = s.Source
	}
	for ref, running := range f.running {
		if !same(running.source, wanted[ref]) {
			running.cancel()
			<-running.done // so that two never follow one file
			delete(f.running, ref)
		}
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

func (f *follows) start(e *Engine, s config.Source) {
	follower, ok := s.Source.(plugin.Follower)
	if !ok {
		e.Log.Warn("source can only be replayed", "source", s.Ref)
		return
	}
	ctx, cancel := context.WithCancel(e.live.ctx)
	running := &follow{source: s.Source, cancel: cancel, done: make(chan struct{})}
	f.running[s.Ref] = running
	want := e.rules.Wants(s.Ref)
	f.all.Go(func() {
		err := follower.Follow(ctx, want, func(ev *event.Event) {
			select {
			case e.live.events <- ev:
			case <-ctx.Done():
			}
		})
		close(running.done)
		if err != nil {
			err = fmt.Errorf("source %s: %w", s.Ref, err)
		}
		select {
		case f.ended <- ending{running, s.Ref, err}:
		case <-ctx.Done():
		}
	})
}

// gone deals with a source that has ended by itself: one that failed is started
// again after a while. It reports whether none is left and nothing will come.
func (f *follows) gone(e *Engine, end ending) bool {
	if f.running[end.ref] != end.follow {
		return false // a reload has taken its place
	}
	delete(f.running, end.ref)
	if end.err == nil {
		return len(f.running) == 0
	}
	e.Log.Error("source failed", "source", end.ref, "err", end.err, "retry", restartAfter)
	time.AfterFunc(restartAfter, func() {
		_ = e.Do(e.live.ctx, func() { f.agree(e) }) // an error: the engine has stopped
	})
	return false
}

func (f *follows) wait() { f.all.Wait() }
