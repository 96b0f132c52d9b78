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
	waiting unsaved           // changes that wait to be committed
	moved   map[string][]byte // positions of sources, valid once these are durable
	flushed []chan struct{}   // closed when all that was handed over before is durable
	err     error             // of the last attempt; nil: all is saved
	ended   bool
	room    *sync.Cond // waiting has shrunk

	wake chan struct{}
	now  chan struct{} // the saver must not gather changes
	idle sync.WaitGroup
}

// unsaved is how much waits to be saved.
type unsaved struct {
	changes int
	urgent  int // of them are more than a refusal
	events  int // of their evidence
	text    int // bytes of the texts of these
}

// maxUnsaved bounds what waits to be saved; as much is being saved. Beyond it the core waits for the disk, and the
// sources for the core. The ledger gives up texts beyond twice the bound.
var maxUnsaved = unsaved{changes: 1 << 13, events: 1 << 16, text: 4 << 20}

func (u *unsaved) add(more unsaved) {
	u.changes += more.changes
	u.urgent += more.urgent
	u.events += more.events
	u.text += more.text
}

// addChange adds one change.
func (u *unsaved) addChange(c *ban.Change) {
	u.add(unsaved{changes: 1, events: len(c.Evidence)})
	if c.Kind != ban.KindRefuse {
		u.urgent++
	}
	for i := range c.Evidence {
		u.text += len(c.Evidence[i].Text)
	}
}

// exceeds reports whether it is beyond a part of maxUnsaved.
func (u *unsaved) exceeds(part float64) bool {
	beyond := func(n, most int) bool { return float64(n) > part*float64(most) }
	return beyond(u.changes, maxUnsaved.changes) || beyond(u.events, maxUnsaved.events) || beyond(u.text, maxUnsaved.text)
}

// manyDecided is from how many decisions in a burst, or from peers, on they are many at once. Then the saver waits for
// more of them, for gatherFor at most: meanwhile the processor is left to what brings bans into force, and a few large
// commits take less of it. Where as many are no refusals, the heap has more room as well.
const (
	manyDecided = 1 << 5
	gatherFor   = 100 * time.Millisecond
)

// tryAgain is the time from a failure to the next attempt to save, if nothing is
// decided before.
const tryAgain = 5 * time.Second

func newSaver(ledger *ban.Ledger, o *Options) *saver {
	s := &saver{ledger: ledger, pass: o.pass, busy: o.Busy, log: o.Log, moved: map[string][]byte{}, wake: make(chan struct{}, 1), now: make(chan struct{}, 1)}
	s.room = sync.NewCond(&s.mu)
	return s
}

// hand tells the saver how much more the ledger has published, and how far sources were read by then.
func (s *saver) hand(more unsaved, moved map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.waiting.exceeds(1) {
		s.room.Wait()
	}
	if s.waiting.add(more); s.waiting.urgent > manyDecided {
		s.busy()
	}
	if s.waiting.exceeds(0.9) { // sooner would take the processor from bringing bans into force
		fill(s.now)
	}
	maps.Copy(s.moved, moved)
	s.signal()
}

// isFull reports whether hand would wait.
func (s *saver) isFull() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting.exceeds(1)
}

// flush returns a channel that is closed when all that was handed over is durable
// and passed on, or could not be saved.
func (s *saver) flush() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := make(chan struct{})
	s.flushed = append(s.flushed, done)
	fill(s.now)
	s.signal()
	return done
}

// gather waits for more changes, if there are many.
func (s *saver) gather() {
	s.mu.Lock()
	many := s.waiting.changes > manyDecided
	s.mu.Unlock()
	if !many {
		return
	}
	timer := time.NewTimer(gatherFor)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.now:
	}
}

// fill fills a channel of one slot.
func fill(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// signal wakes the saver; the mutex is held.
func (s *saver) signal() {
	if !s.ended {
		fill(s.wake)
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
	s.waiting, s.moved, s.flushed = unsaved{}, map[string][]byte{}, nil
	s.room.Broadcast()
	return moved, flushed
}

// start saves until end is called, which saves the rest.
func (s *saver) start() (end func()) {
	s.idle.Go(func() {
		for range s.wake {
			s.gather()
			s.save()
		}
		s.save()
	})
	return func() {
		s.mu.Lock()
		s.ended = true
		close(s.wake)
		fill(s.now)
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
