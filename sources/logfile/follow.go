package logfile

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"freeswitch-security/engine/plugin"
)

var (
	_ plugin.Beginner = (*source)(nil)
	_ plugin.Comparer = (*source)(nil)
	_ plugin.Meter    = (*source)(nil)
)

// A pace says how long the follower waits, and for what.
type pace struct {
	// pulse is the time between two looks at a log that grows. Reading on a
	// timer rather than at every write is what keeps a busy log cheap. It is
	// also how long a message that looks complete must have been the last one
	// before it is judged.
	pulse time.Duration

	// glance is the time between two looks at the path while the file that stood
	// there grows. One that was rotated away soon does not.
	glance time.Duration

	// tick is the time between two looks at a log of which nothing is heard:
	// nobody tells when the target of a symbolic link is another one, or when
	// another machine writes to a network file system.
	tick time.Duration

	message time.Duration // how long the further lines of a message are waited for
	line    time.Duration // how long the rest of a line is, that may belong to the message before it
	linger  time.Duration // how long a file that was rotated away is read on, for late writers
	absence time.Duration // how long the log may be missing before that is worth a warning

	saveEvents time.Duration // at most so often the position is saved after events,
	saveNoise  time.Duration // and after lines that were none, which do no harm if they are read again
}

// pollTick is the tick where the system tells of no changes at all.
const pollTick = 20 * time.Millisecond

func defaultPace() pace {
	return pace{
		pulse: 2 * time.Millisecond, glance: 20 * time.Millisecond, tick: 200 * time.Millisecond,
		message: 50 * time.Millisecond, line: time.Second, linger: 2 * time.Second, absence: time.Second,
		saveEvents: 200 * time.Millisecond, saveNoise: 5 * time.Second,
	}
}

// Follow reads what is written to the log from a position on, through all files
// that it was rotated into meanwhile. Without a position it begins at the present
// end: what stands there is history, which Replay reads. A log that does not
// exist yet is read from its start when it appears. Follow returns nil when ctx
// has ended.
//
// Every complete line counts once, whatever is done to the file: rename and
// create, copy and truncate, a symbolic link that moves, several of these in a
// row. The sink is told a position at most every 200 ms, and at the end; so only a
// kill -9 can have events counted twice, those of its last 200 ms. Lost is what
// nobody could read: what stood in a file that was deleted or truncated before it
// was read, and a last line without a line break.
//
// A message is judged when the next one begins. The last one waits for that:
// 2 ms if it looks complete, 50 ms if FreeSWITCH writes more lines after its first
// one, 1 s while there is an unfinished line behind it that may be its own. If
// they come later still, they are too late to refuse it as evidence; FreeSWITCH
// writes a message at once.
func (s *source) Follow(ctx context.Context, from []byte, want map[string]bool, sink plugin.Sink) error {
	s.follow(ctx, from, want, sink, defaultPace())
	return nil
}

func (s *source) follow(ctx context.Context, from []byte, want map[string]bool, sink plugin.Sink, pace pace) {
	f := s.newFollower(want, sink, pace)
	f.watch = newWatch(f.log)
	if f.watch.notify == nil {
		f.pace.tick = pollTick
	}
	defer f.close()
	f.begin(from)
	s.once.Do(func() { close(s.begun) })
	f.run(ctx)
}

func (s *source) newFollower(want map[string]bool, sink plugin.Sink, pace pace) *follower {
	decoder := s.newDecoder(want, defaultSizes().maxLine, time.Time{})
	f := &follower{
		source: s, path: s.path, pace: pace, use: decoder.use, sink: sink,
		log:     slog.With("source", s.name),
		scanner: scanner{decoder: decoder},
		block:   block{limits: decoder.limits, lead: make([]byte, 0, decoder.before())},
		buf:     make([]byte, contextLength+chunk),
		timer:   time.NewTimer(0),
		watch:   &watch{},
	}
	f.order = ordered{clock: clock{zone: s.zone}, emit: f.emit}
	return f
}

// Begun is closed once Follow has found where it begins.
func (s *source) Begun() <-chan struct{} { return s.begun }

// Same reports whether other follows the same log with the same patterns.
func (s *source) Same(other any) bool {
	o, ok := other.(*source)
	return ok && s.name == o.name && s.path == o.path && s.zone.String() == o.zone.String() &&
		s.detect == o.detect && s.witness.ref == o.witness.ref &&
		slices.EqualFunc(s.patterns, o.patterns, func(a, b pattern) bool {
			return a.event == b.event && a.file == b.file && a.level == b.level && a.text == b.text
		})
}

// A follower reads the log while it grows. It belongs to one goroutine.
type follower struct {
	source *source
	path   string
	pace   pace
	use    []use
	sink   plugin.Sink
	log    *slog.Logger

	scanner scanner
	block   block   // handed to the scanner again and again
	order   ordered // of all files: an attempt may be reported across a rotation
	emitted int
	buf     []byte

	now    time.Time
	looked time.Time // at the path
	grew   bool      // there was something to read at the last step
	timer  *time.Timer
	watch  *watch
	aimed  bool // the watch is on what counts

	// chain holds the files that are read, in the order of the log. The last one
	// is the one that stands, or stood last, at the path; the others were rotated
	// away and are kept for what was not read yet and for late writers.
	chain    []*tail
	finished []finished // the last ones that are not read any more, oldest first
	last     time.Time  // stamp of the last line before the chain's newest file that told one
	handed   time.Time  // the same of what was handed on

	unfound *position // the stored one, while there is no log to look for it in
	unread  bool      // there is a log from before the start, which cannot be opened

	absent absence
	saving saving
}

// run looks at the log until ctx ends. While there is something to read, it looks
// once in a pulse and does not listen, so that it is not woken by every write.
func (f *follower) run(ctx context.Context) {
	heard := false
	for ctx.Err() == nil {
		grew := f.step(ctx)
		if grew || heard {
			heard = false
			nap(f.pace.pulse)
			continue
		}
		heard = f.listen(ctx)
	}
}

// step reads all there is to read and reports whether there was anything.
func (f *follower) step(ctx context.Context) (grew bool) {
	f.now = time.Now()
	f.scanner.modTime = f.now
	if !f.grew || f.now.Sub(f.looked) >= f.pace.glance {
		f.looked = f.now
		f.look()
	}
	if !f.aimed {
		f.aim()
		f.look() // what was done before the watch was on it is not heard
	}
	read, end := f.drainAll(ctx)
	if end {
		f.retire()
	}
	f.tell()
	f.saveDue()
	f.grew = read || !end
	return f.grew
}

// drainAll reads the files one after the other; end tells that the end of the last
// one was reached.
func (f *follower) drainAll(ctx context.Context) (grew, end bool) {
	for i, t := range f.chain {
		read, end := f.drain(ctx, t)
		grew = grew || read
		if !end {
			return grew, false
		}
		f.settleEnd(ctx, t, i < len(f.chain)-1)
	}
	return grew, true
}

// chunksPerStep bounds how much is read of one file, in chunks, before the path
// is looked at again: the engine may be slow, and files that are rotated away
// meanwhile must be held before they are deleted.
const chunksPerStep = 64

// drain reads a file to its end; end tells that it was reached.
func (f *follower) drain(ctx context.Context, t *tail) (grew, end bool) {
	for range chunksPerStep {
		if ctx.Err() != nil {
			return grew, false
		}
		read, end, err := t.read(f.buf)
		if err == errRewritten && !t.copied {
			f.rewind(ctx, t)
			continue
		}
		if err != nil {
			f.giveUp(t, err)
			return grew, true
		}
		if read {
			grew = true
			f.now = time.Now()
			t.grown = f.now
			f.digest(ctx, t, false)
			f.saveDue()
		}
		if end {
			return grew, true
		}
	}
	return grew, false
}

// settleEnd does what is to be done with a file that was read to its end. In one
// that was rotated away the last message is complete.
func (f *follower) settleEnd(ctx context.Context, t *tail, superseded bool) {
	if t.held > 0 && (superseded || !f.now.Before(t.grown.Add(t.held))) {
		f.digest(ctx, t, superseded || !t.doubted)
	}
	if superseded && t.until.IsZero() {
		t.until = f.now.Add(f.pace.linger)
	}
}

// nap waits for a moment without listening. It sleeps in the kernel: a timer of
// the runtime wakes several threads each time, which at 500 naps a second costs
// more than all the rest of the follower. Whoever waits for the processor, such as
// the receiver of an event, goes first.
func nap(d time.Duration) {
	runtime.Gosched()
	t := syscall.NsecToTimespec(d.Nanoseconds())
	_ = syscall.Nanosleep(&t, nil) // a signal may cut it short, which does no harm
}

// listen waits until something is heard of the log, a message that was held back
// is due, or it is time to look without a reason.
func (f *follower) listen(ctx context.Context) (heard bool) {
	d := f.pace.tick
	if t := f.newest(); t != nil && t.held > 0 {
		d = min(d, max(0, time.Until(t.grown.Add(t.held))))
	}
	f.timer.Reset(d)
	select {
	case e := <-f.watch.events():
		if f.watch.drain(e) {
			f.aimed = false
		}
	case <-f.watch.errors():
		f.aimed = false
	case <-f.timer.C:
		f.aimed = f.aimed && d < f.pace.tick
		return false
	case <-ctx.Done():
		return false
	}
	return true
}

// aim puts the watch on the log. While a file that was rotated away is read on, its
// late writers must be heard too, so that it is on the directories then.
func (f *follower) aim() {
	f.aimed = true
	var log os.FileInfo
	if len(f.chain) == 1 {
		log = f.newest().info
	}
	f.watch.aim(f.path, log)
}

func (f *follower) newest() *tail {
	if len(f.chain) == 0 {
		return nil
	}
	return f.chain[len(f.chain)-1]
}

func (f *follower) close() {
	if len(f.chain) > 0 {
		f.saveNow()
	}
	f.watch.close()
	f.timer.Stop()
	for _, t := range f.chain {
		t.file.Close()
	}
	f.forgetProgress()
}
