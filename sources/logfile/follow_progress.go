package logfile

import (
	"os"
	"sync"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// progress is what a follower tells of itself while it is at work.
type progress struct {
	mu   sync.Mutex // guards all below
	told plugin.Progress
	at   *os.File // the newest file that is read; nil: none
	read int64    // how much of it
}

// Progress says how far the log was followed.
func (s *source) Progress() plugin.Progress {
	p := &s.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	told := p.told
	if p.at == nil {
		return told
	}
	if info, err := p.at.Stat(); err == nil {
		told.Behind = max(0, info.Size()-p.read)
	}
	return told
}

func (f *follower) count(e *event.Event) {
	f.saving.events = true
	p := &f.source.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told.Events++
	p.told.LastEvent = e.Time
}

// countBlock counts a block of which n bytes were handed on.
func (f *follower) countBlock(b *block, n int) {
	f.saving.noise = true
	p := &f.source.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told.Lines += b.lines
	p.told.Bytes += int64(n)
	p.told.Skipped += b.skipped
	p.told.Doubted += b.doubted
	p.told.Recognised = p.told.Recognised || b.known
}

// tell says which file is read and how far.
func (f *follower) tell() {
	p := &f.source.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told.Fault = f.absent.fault()
	p.at = nil
	if t := f.newest(); t != nil {
		p.at, p.read = t.file, t.offset
	}
}

func (f *follower) forgetProgress() {
	p := &f.source.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = nil
}

// An absence is a time in which the log cannot be read.
type absence struct {
	since  time.Time // zero: it can
	err    error
	warned bool
}

// note records that the log cannot be read, and warns once it lasts: in the
// middle of a rotation there is no file for a moment.
func (a *absence) note(f *follower, err error) {
	if a.since.IsZero() {
		a.since = f.now
	}
	a.err = err
	if f.now.Sub(a.since) >= f.pace.absence {
		a.warn(f)
	}
}

// atOnce records that the log cannot be read from the start on.
func (a *absence) atOnce(f *follower, err error) {
	a.since, a.err = f.now, err
	a.warn(f)
}

func (a *absence) warn(f *follower) {
	if !a.warned {
		a.warned = true
		f.log.Warn("log cannot be read; waiting for it", "err", a.err)
	}
}

func (a *absence) over(f *follower) {
	if a.warned {
		f.log.Info("log has appeared", "path", f.path)
	}
	*a = absence{}
}

func (a *absence) fault() string {
	if a.err == nil {
		return ""
	}
	return a.err.Error()
}
