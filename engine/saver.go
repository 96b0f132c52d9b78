package engine

import (
	"log/slog"
	"maps"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
)

// A saver makes the changes durable and passes them on, while the core goes on: a disk
// may take tens of milliseconds, in which attackers go on too.
type saver struct {
	ledger *ban.Ledger
	store  Store // nil: nothing outlives the process
	pass   func([]*ban.Change)
	busy   func() // many changes wait
	log    *slog.Logger
	none   error // why there is no store; nil: there is one, or none is wanted

	mu      sync.Mutex        // guards what follows
	waiting int               // changes that wait to be committed
	moved   map[string][]byte // positions of sources, valid once these are durable
	flushed []chan struct{}   // closed when all that was handed over before is durable
	err     error             // of the last attempt; nil: all is saved
	ended   bool
	room    *sync.Cond // waiting has shrunk

	wake chan struct{}
	idle sync.WaitGroup
}

// maxUnsaved bounds the changes that wait to be saved, each with up to 100 KB of evidence. Beyond
// it the core waits for the disk, and the sources for the core.
const maxUnsaved = 1 << 11

// manyUnsaved is from how many on they are many at once.
const manyUnsaved = 1 << 8

// tryAgain is the time from a failure to the next attempt to save, if nothing is
// decided before.
const tryAgain = 5 * time.Second

func newSaver(ledger *ban.Ledger, o *Options) *saver {
	s := &saver{ledger: ledger, pass: o.pass, busy: o.Busy, log: o.Log, moved: map[string][]byte{}, wake: make(chan struct{}, 1)}
	s.room = sync.NewCond(&s.mu)
	return s
}

// hand tells the saver that the ledger has published so many more changes, and how far
// sources were read by then.
func (s *saver) hand(changes int, moved map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.waiting > maxUnsaved {
		s.room.Wait()
	}
	if s.waiting += changes; s.waiting > manyUnsaved {
		s.busy()
	}
	maps.Copy(s.moved, moved)
	s.signal()
}

// flush returns a channel that is closed when all that was handed over is durable
// and passed on, or could not be saved.
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

// failed returns why the state is not saved; nil if it is.
func (s *saver) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.none != nil {
		return s.none
	}
	return s.err
}

// take empties the saver.
func (s *saver) take() (moved map[string][]byte, flushed []chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	moved, flushed = s.moved, s.flushed
	s.waiting, s.moved, s.flushed = 0, map[string][]byte{}, nil
	s.room.Broadcast()
	return moved, flushed
}

// start saves until end is called, which saves the rest.
func (s *saver) start() (end func()) {
	s.idle.Go(func() {
		for range s.wake {
			s.save()
		}
		s.save()
	})
	return func() {
		s.mu.Lock()
		s.ended = true
		close(s.wake)
		s.mu.Unlock()
		s.idle.Wait()
	}
}

// save commits the changes, passes them on, and then saves how far the sources had been
// read.
func (s *saver) save() {
	moved, flushed := s.take()
	changes, err := s.ledger.Commit()
	s.pass(changes)
	if err == nil && s.store != nil && len(moved) > 0 {
		err = s.store.SavePositions(moved)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		for _, done := range flushed {
			close(done) // the error is there by now
		}
	}()
	if err != nil && s.err == nil {
		s.log.Error("state not saved: bans are kept as long as the program runs", "err", err)
	}
	if err == nil && s.err != nil {
		s.log.Info("state saved again")
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
