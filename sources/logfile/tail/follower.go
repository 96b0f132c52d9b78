package tail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// A Config says what is followed, and what takes its lines.
type Config struct {
	Path     string
	Pace     Pace
	MaxLine  int // bytes; the rest of a longer line is skipped
	Before   int // how much in front of a chunk the consumer needs, in bytes
	Consumer Consumer

	// Stamp returns the time of a line, zero if it has none. The order of files follows
	// from it.
	Stamp func(line []byte) time.Time

	// CaughtUp, unless nil, is called once, when all that was written before is handed on.
	CaughtUp func()

	// Save keeps a position. A follower that begins there hands on every line that was
	// not done with, and no other.
	Save func(position []byte)

	// Lost counts lines of a named pipe that were dropped: its writer must not wait for the
	// consumer. Any goroutine may call it.
	Lost func(lines int)

	Log *slog.Logger
}

// A Pace says how often a follower looks, and for how long it waits.
type Pace struct {
	// Pulse is the time between two looks at a file that grows and has no tail. Reading
	// on a timer rather than at every write keeps a busy file cheap.
	Pulse time.Duration

	// Glance is the time between two looks at the path while the file there grows.
	Glance time.Duration

	// Tick is the time between two looks at a file that is silent and watched. Not
	// everything can be heard: not that a symbolic link has another target, nor what
	// another machine writes to a network file system. Rest is that time where neither is
	// possible: that a directory of the path was renamed is not heard either.
	Tick, Rest time.Duration

	Stall   time.Duration // how long a tail may leave what it can read
	Awake   time.Duration // how long a file may be silent before its tail is stopped: a tail polls
	Burst   time.Duration // how long a busy file has no tail after it was busy last
	Linger  time.Duration // how long a rotated file is read on, for late writers
	Absence time.Duration // how long the file may be missing before a warning

	SaveEvents time.Duration // the position is saved at most so often after events,
	SaveLines  time.Duration // and after other lines, which may be read again
}

// DefaultPace returns the pace of a follower at work.
func DefaultPace() Pace {
	return Pace{
		Pulse: pollInterval, Glance: 20 * time.Millisecond, Tick: 200 * time.Millisecond, Rest: time.Second,
		Stall: 3 * pollInterval, Awake: 20 * time.Millisecond, Burst: time.Second, Linger: 2 * time.Second, Absence: time.Second,
		SaveEvents: 200 * time.Millisecond, SaveLines: 5 * time.Second,
	}
}

// pollTick is the tick while nothing is watched: rotated files are read on for late
// writers, or the system cannot report changes. A file that has been missing for longer
// than a rotation takes is looked for in each Tick.
const pollTick = 20 * time.Millisecond

// A Follower reads a file while it grows. Only Behind and Fault may be called by
// several goroutines.
type Follower struct {
	Config
	buf []byte

	now     time.Time
	looked  time.Time // at the path
	grew    bool      // there was something to read at the last step
	reached bool      // the end of the log, at least once
	timer   *time.Timer
	watch   *watch
	aimed   bool // the watch is on the only file that is read

	// chain holds the files that are read, in the order of the log. The last one is at
	// the path, or was there last. The others were rotated away and are kept for what was
	// not read yet and for late writers.
	chain    []*file
	finished []finished // files that are not read any more, oldest first
	last     time.Time  // the last stamp before the chain's newest file
	handed   time.Time  // the last stamp of what was handed on

	resumed    bool  // no file was opened at the path since a position was found
	unpackable int64 // how much may be read of compressed files, in bytes

	retry func() // finds out where to begin; nil: that is known

	absentSince  time.Time // zero: the file can be read
	absentWarned bool
	saving       saving

	fault string // why the file cannot be read

	mu     sync.Mutex // guards status
	status status
}

// A status is what Behind and Fault tell.
type status struct {
	file  content // nil: none is read
	read  int64   // how much of it
	pipe  *pipe   // nil: it is none
	fault string
}

// New returns a follower. It touches nothing until Begin.
func New(c Config) *Follower {
	return &Follower{Config: c, unpackable: maxUnpacked, buf: make([]byte, contextLength+chunkLength), timer: time.NewTimer(0), watch: &watch{}}
}

// Run reads the file until ctx ends. While the file grows, its tail or a timer wakes the
// follower, so that not every write does. While it is silent, the watch does.
func (f *Follower) Run(ctx context.Context) {
	f.watch = newWatch(f.Log)
	heard := false
	for ctx.Err() == nil {
		grew := f.Step(ctx)
		t := f.current()
		switch {
		case t != nil && t.live != nil:
			f.attend(t, ctx.Done())
			heard = false
		case grew || heard:
			heard = false
			time.Sleep(f.pulse(t))
		default:
			heard = f.listen(ctx)
		}
	}
}

// pulse returns the time to the next look at the newest file, which may be nil. Lines that are held
// back usually wait for what is written next.
func (f *Follower) pulse(t *file) time.Duration {
	if t != nil && !t.due.IsZero() {
		return f.Pace.Pulse / 3
	}
	return f.Pace.Pulse
}

// Step reads all there is to read and reports whether there was anything.
func (f *Follower) Step(ctx context.Context) (grew bool) {
	f.now = time.Now()
	if !f.grew || f.now.Sub(f.looked) >= f.Pace.Glance {
		f.looked = f.now
		f.look()
	}
	if !f.aimed && len(f.chain) == 1 && f.fault == "" {
		f.aimed = f.watch.aim(f.Path)
		f.look() // what happened before the watch was on is not heard
	}
	read, end := f.drainAll(ctx)
	if end {
		f.retire()
		f.catchUp()
	}
	f.publish(f.progress())
	f.saveDue()
	f.grew = read || !end
	return f.grew
}

// catchUp notes that the end is reached. Lines that the consumer holds back at that time are
// handed on in the next step.
func (f *Follower) catchUp() {
	if t := f.current(); f.CaughtUp != nil && (f.reached || t == nil || t.due.IsZero()) {
		f.CaughtUp()
		f.CaughtUp = nil
	}
	f.reached = true
}

// drainAll reads the files one after the other, and offers the lines that were held back
// if they are due. end tells that it reached the end of the last file.
func (f *Follower) drainAll(ctx context.Context) (grew, end bool) {
	for i, t := range f.chain {
		read, end := f.drain(ctx, t)
		grew = grew || read
		if !end {
			return grew, false
		}
		superseded := i < len(f.chain)-1 // so that its last line is final
		if !t.due.IsZero() && (superseded || !f.now.Before(t.due)) {
			f.offer(ctx, t, superseded)
		}
		if superseded && t.until.IsZero() {
			t.until = f.now.Add(f.Pace.Linger)
		}
	}
	return grew, true
}

// chunksPerStep bounds how much of one file is read before the path is looked at
// again: the consumer may be slow, and rotated files must be opened before they are
// deleted.
const chunksPerStep = 64

// drain reads a file. end tells that it reached the end.
func (f *Follower) drain(ctx context.Context, t *file) (grew, end bool) {
	buf := f.buf
	if !f.grew {
		buf = buf[:contextLength+firstLength]
	}
	for range chunksPerStep {
		if ctx.Err() != nil {
			return grew, false
		}
		read, end, err := f.read(t, buf)
		buf = f.buf
		if err == errTruncated && !t.copied {
			f.rewind(ctx, t)
			continue
		}
		if err != nil {
			t.lost = true // a file that is still at the path is opened again
			if !t.copied {
				f.absent(err)
			}
			return grew, true
		}
		if read {
			grew = true
			f.now = time.Now()
			t.grown = f.now
			f.offer(ctx, t, false)
			f.saveDue()
		}
		if end {
			return grew, true
		}
	}
	return grew, false
}

// listen waits until something is heard of the file, held lines are due, or the tick
// is over.
func (f *Follower) listen(ctx context.Context) (heard bool) {
	d := f.Pace.Tick
	switch {
	case f.aimed && f.watch.complete:
		d = f.Pace.Rest
	case !f.aimed && !f.absentWarned:
		d = min(d, pollTick)
	}
	var fresh chan struct{}
	t := f.current()
	if t != nil && t.pipe != nil {
		fresh = t.pipe.fresh
	}
	f.setTimer(t, d)
	select {
	case <-fresh:
		return false
	case e := <-f.watch.events:
		if f.watch.drain(e) {
			f.aimed = false
		}
	case <-f.watch.errors:
		f.aimed = false
	case <-f.timer.C:
		return false
	case <-ctx.Done():
		return false
	}
	return true
}

// setTimer sets the timer to d, or to when the lines that a file holds back are due, if that is
// earlier. The file may be nil.
func (f *Follower) setTimer(t *file, d time.Duration) {
	if t != nil && !t.due.IsZero() {
		d = min(d, max(0, time.Until(t.due)))
	}
	f.timer.Reset(d)
}

// current returns the newest file that is read; nil if there is none.
func (f *Follower) current() *file {
	if len(f.chain) == 0 {
		return nil
	}
	return f.chain[len(f.chain)-1]
}

// Close saves the position and closes the files.
func (f *Follower) Close() {
	if len(f.chain) > 0 {
		f.saveNow()
	}
	f.watch.close()
	f.timer.Stop()
	f.publish(status{})
	for _, t := range f.chain {
		t.close()
	}
}

// progress returns how far the follower is.
func (f *Follower) progress() status {
	s := status{fault: f.fault}
	if t := f.current(); t != nil && !t.copied {
		s.file, s.read, s.pipe = t.file, t.offset, t.pipe
	}
	return s
}

// publish sets what Behind and Fault tell. It is called at each step, so it allocates
// nothing.
func (f *Follower) publish(s status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status = s
}

func (f *Follower) published() status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// absent notes why the file cannot be read. It warns once this lasts: in the middle of
// a rotation there is no file for a moment.
func (f *Follower) absent(err error) {
	if f.absentSince.IsZero() {
		f.absentSince = f.now
	}
	f.fault = err.Error()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.fault += "; if FreeSWITCH's log is elsewhere, set path in the block of this source"
	case errors.Is(err, fs.ErrPermission):
		f.fault += "; let the guard read it: " + permit(f.Path)
	}
	if !f.absentWarned && f.now.Sub(f.absentSince) >= f.Pace.Absence {
		f.absentWarned = true
		f.Log.Warn("log not readable", "err", f.fault)
	}
}

// permit says how to let the guard read a log: by its group, or by one of its own where that is root's.
// Files that are made later in the directory have its group.
func permit(path string) string {
	dir, of := filepath.Dir(path), path
	info, err := os.Stat(of)
	if err != nil {
		of = dir
		info, err = os.Stat(of)
	}
	switch {
	case err != nil: // it may be root's, which the guard must not join
		return "it may not enter the directories above " + dir + ": have FreeSWITCH write the log to a directory of its own, such as /var/log/freeswitch"
	case info.Sys().(*syscall.Stat_t).Gid != 0:
		return fmt.Sprintf(`usermod -a -G "$(stat -c %%G %s)" freeswitch-security && systemctl restart freeswitch-security`, of)
	case dir == "/var/log": // all its new logs would be the guard's to read
		return "its group is root's, and its directory has logs of others: have FreeSWITCH write it to a directory of its own, such as /var/log/freeswitch"
	}
	return fmt.Sprintf("its group is root's, so give it that of the guard: chgrp freeswitch-security %[1]s %[2]s && chmod g+rxs %[1]s && chmod g+r %[2]s", dir, path)
}

// present notes that the file can be read.
func (f *Follower) present() {
	if f.absentWarned {
		f.Log.Info("log readable", "path", f.Path)
	}
	f.absentSince, f.absentWarned = time.Time{}, false
	f.fault = ""
}

// Behind returns how many bytes the newest file has that were not read yet.
func (f *Follower) Behind() int64 {
	s := f.published()
	if s.file == nil {
		return 0
	}
	if s.pipe != nil {
		return s.pipe.behind()
	}
	return max(0, size(s.file)-s.read)
}

// Fault returns why the file cannot be read; "" if it can.
func (f *Follower) Fault() string { return f.published().fault }
