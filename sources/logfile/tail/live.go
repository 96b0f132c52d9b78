package tail

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"os"
	"reflect"
	"runtime"
	"sync"
	"time"

	"github.com/nxadm/tail"
	"github.com/nxadm/tail/util"
	polling "github.com/nxadm/tail/watch"
)

// pollInterval is the time between two looks of a tail at its file.
const pollInterval = 3 * time.Millisecond

// burstLength is by how much a busy file has grown at a look, in bytes. It is read by blocks: a
// tail, which hands on each line by itself, takes twice the processor time.
const burstLength = 1 << 10

// A liveTail is a tail of the newest file, from a place on. What it has delivered counts only
// once the follower has checked it and taken it over: a tail loses lines when it is
// stopped, and does not notice every truncation.
type liveTail struct {
	tail *tail.Tail
	file *os.File // that the tail reads
	text []byte   // the lines that it has delivered
	end  int64    // where they end in the file

	// deadline stops the tail if the follower does not attend to it: it keeps an
	// unfinished line in memory, however long that is.
	deadline *time.Timer
}

// startTail starts a tail of a file, which must be at the end of a line. The path is that
// of a descriptor, because a tail follows its path to another file.
func startTail(path string, offset int64, deadline time.Duration) (*liveTail, error) {
	prepareTail()
	t, err := tail.TailFile(path, tail.Config{
		Location: &tail.SeekInfo{Offset: offset, Whence: io.SeekStart}, MustExist: true,
		Follow: true, Poll: true, CompleteLines: true, Logger: log.New(noExit{}, "", 0),
	})
	if err != nil {
		return nil, err
	}
	l := &liveTail{tail: t, end: offset}
	l.file = (*os.File)(reflect.ValueOf(t).Elem().FieldByName("file").UnsafePointer())
	l.deadline = time.AfterFunc(deadline, l.cut)
	return l, nil
}

// prepareTail sets what all tails of the process share, before the first one starts.
var prepareTail = sync.OnceFunc(func() {
	polling.POLL_DURATION = pollInterval
	util.LOGGER.SetOutput(noExit{})
})

// noExit ends the goroutine that writes to it, and drops what was written. A tail logs
// when it loses its file or begins again with a truncated one. Its package logs before it
// calls os.Exit, which it does if a file has no status.
type noExit struct{}

func (noExit) Write([]byte) (int, error) {
	runtime.Goexit()
	return 0, nil
}

// cut ends the tail without waiting for it. Nothing but the end of its file ends the
// reading of a line that has no end.
func (l *liveTail) cut() {
	l.tail.Kill(nil)
	l.file.Close()
}

// add takes a line that the tail delivered and reports whether it follows the line before.
// The line is nil if the tail has ended.
func (l *liveTail) add(line *tail.Line) bool {
	if line == nil {
		return false
	}
	l.text = append(append(l.text, line.Text...), '\n')
	l.end += int64(len(line.Text)) + 1
	return l.end == line.SeekInfo.Offset
}

// gather waits until the tail has delivered all up to a place in the file, and reports
// whether it has. It has not if an unfinished line stands there, or if it overlooked that
// the file grew.
func (f *Follower) gather(l *liveTail, to int64) bool {
	if l.end < to {
		f.timer.Reset(f.Pace.Stall)
	}
	for l.end < to {
		select {
		case line := <-l.tail.Lines:
			if !l.add(line) {
				return false
			}
		case <-f.timer.C:
			return false
		}
	}
	return true
}

// attend waits for the next line of a tail, but not for long: a line that becomes too
// long is not delivered.
func (f *Follower) attend(t *file, done <-chan struct{}) {
	f.setTimer(t, pollInterval)
	select {
	case line := <-t.live.tail.Lines:
		if !t.live.add(line) {
			t.stop()
		}
	case <-f.timer.C:
	case <-done:
	}
}

// read reads what a file has grown by: from its tail or else a block. A tail that has not
// delivered all that is there is stopped, and what it has delivered is read again.
func (f *Follower) read(t *file, buf []byte) (grew, end bool, err error) {
	if to, ok := f.tailed(t); ok && f.gather(t.live, to) && t.intact(f.buf) {
		t.live.deadline.Reset(2 * f.Pace.Stall)
		t.ended = t.live.end == to
		return t.takeOver(), true, nil
	}
	t.stop()
	return t.readBlock(buf)
}

// tailed reports whether a file has a tail, and where the file ends. The newest file gets one
// once it grows, at the end of a line, if not more than a chunk of it is left to read and it is not
// busy. The first lines after silence do not wait for a tail to start.
// An empty file gets none: a tail overlooks how it grows.
func (f *Follower) tailed(t *file) (to int64, ok bool) {
	atLineEnd := !t.Skipping() && (len(t.Log) == 0 || t.Log[len(t.Log)-1] == '\n')
	file, ok := t.file.(*os.File)
	if t != f.current() || !atLineEnd || !ok {
		return 0, false
	}
	to = size(t.file)
	grows := f.now.Sub(t.grown) < f.Pace.Awake || t.live != nil && to > t.offset
	if to-t.offset > burstLength {
		t.burst = f.now
	}
	busy := f.now.Sub(t.burst) < f.Pace.Burst
	if to == 0 || to < t.offset || to-t.offset > chunkLength || !grows || busy {
		return 0, false
	}
	if t.live == nil {
		t.live, _ = startTail(fmt.Sprintf("/proc/self/fd/%d", file.Fd()), t.offset, 2*f.Pace.Stall) // without it blocks are read
	}
	return to, t.live != nil
}

// intact reports whether the file still holds what was read last. It does not if it was
// truncated and has grown again.
func (t *file) intact(buf []byte) bool {
	known := buf[:len(t.context)]
	n, _ := t.file.ReadAt(known, t.offset-int64(len(known)))
	return n == len(known) && bytes.Equal(known, t.context)
}

// takeOver takes over what the tail has delivered.
func (t *file) takeOver() (grew bool) {
	l := t.live
	grew = len(l.text) > 0
	t.context = append(t.context, l.text...)
	t.context = append(t.context[:0], t.context[max(0, len(t.context)-contextLength):]...)
	t.offset = l.end
	old := len(t.Log)
	t.Log = append(t.Log, l.text...)
	t.Add(old)
	l.text = l.text[:0]
	return grew
}

// stop stops the tail of a file.
func (t *file) stop() {
	if t.live != nil {
		t.live.deadline.Stop()
		t.live.cut()
		t.live = nil
	}
}
