package engine

import (
	"maps"
	"sync"
	"time"
)

// A saver makes durable what the core decided, and then tells it, while the core
// goes on: a disk may take tens of milliseconds, and an attacker must not have
// them.
type saver struct {
	mu       sync.Mutex // guards what follows
	verdicts []Verdict
	moved    map[string][]byte // positions of sources, valid for the verdicts before
	flushed  []chan struct{}   // closed when all that was handed over before is durable
	err      error             // of the last attempt; nil: all is saved
	none     error             // why there is no store at all; nil: there is one, or none was asked for
	ended    bool
	room     *sync.Cond // the saver has taken what was there

	wake chan struct{}
	idle sync.WaitGroup
}

// maxUnsaved bounds the verdicts that wait to be saved. Beyond it the core waits
// for the disk, and the sources for the core.
const maxUnsaved = 1 << 13

// tryAgain is how long after a failure the state is saved again, if nothing is
// decided before.
const tryAgain = 5 * time.Second

func newSaver() *saver {
	s := &saver{moved: map[string][]byte{}, wake: make(chan struct{}, 1)}
	s.room = sync.NewCond(&s.mu)
	return s
}

// hand takes over verdicts and positions.
func (s *saver) hand(verdicts []Verdict, moved map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.verdicts) > maxUnsaved {
		s.room.Wait()
	}
	s.verdicts = append(s.verdicts, verdicts...)
	maps.Copy(s.moved, moved)
	s.signal()
}

// flush returns a channel that is closed when all that was handed over is durable
// and told, or could not be saved.
func (s *saver) flush() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := make(chan struct{})
	s.flushed = append(s.flushed, done)
	s.signal()
	return done
}

// signal wakes the saver; the mutex is held.
func (s *saver) signal() {
	if s.ended {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Forgetful says that there is no store, and why: the status tells it. It must be
// called before the engine runs.
func (e *Engine) Forgetful(err error) { e.live.saver.none = err }

// failed is why the state is not saved; nil where it is.
func (s *saver) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.none != nil {
		return s.none
	}
	return s.err
}

// take empties the saver.
func (s *saver) take() (verdicts []Verdict, moved map[string][]byte, flushed []chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	verdicts, moved, flushed = s.verdicts, s.moved, s.flushed
	s.verdicts, s.moved, s.flushed = nil, map[string][]byte{}, nil
	s.room.Broadcast()
	return verdicts, moved, flushed
}

// start saves for the engine until end is called, which saves the rest.
func (s *saver) start(e *Engine) (end func()) {
	s.idle.Go(func() {
		for range s.wake {
			s.save(e)
		}
		s.save(e)
	})
	return func() {
		s.mu.Lock()
		s.ended = true
		close(s.wake)
		s.mu.Unlock()
		s.idle.Wait()
	}
}

// save commits what the ledger decided, tells the verdicts, and then keeps how far
// the sources had been read.
func (s *saver) save(e *Engine) {
	verdicts, moved, flushed := s.take()
	err := e.ledger.Commit()
	e.tell(verdicts)
	if err == nil && e.store != nil && len(moved) > 0 {
		err = e.store.SavePositions(moved)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		for _, done := range flushed {
			close(done) // who waited finds the error, if there is one
		}
	}()
	if err != nil && s.err == nil {
		e.options.Log.Error("state not saved: bans hold as long as the program runs", "err", err)
	}
	if err == nil && s.err != nil {
		e.options.Log.Info("state saved again")
	}
	s.err = err
	if err != nil {
		time.AfterFunc(tryAgain, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.signal()
		})
		for source, position := range moved {
			if _, newer := s.moved[source]; !newer {
				s.moved[source] = position
			}
		}
	}
}
