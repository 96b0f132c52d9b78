package tail

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/sources/logfile/logtest"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// hold is how long a follows holds back the last line of a chunk.
const hold = 2 * time.Millisecond

// A follows is a follower at work, and its consumer: every line is an event.
type follows struct {
	t        testing.TB
	follower *Follower
	cancel   context.CancelFunc
	begun    chan struct{} // closed once the follower knows where it begins
	done     chan struct{}

	mu       sync.Mutex // guards all below
	changed  chan struct{}
	lines    []string // the numbers of the lines, in the order in which they came
	recalled int      // how many lines were recalled
	position []byte
	saved    int // how many lines had come when it was saved

	stopAfter int // call cancel after so many lines; 0: never
}

// Take implements [Consumer].
func (f *follows) Take(ctx context.Context, c Chunk) (v Verdict) {
	data := c.Log[c.From:c.To]
	if wait := hold - c.Quiet; !c.Final && wait > 0 {
		data = data[:bytes.LastIndexByte(data[:len(data)-1], '\n')+1]
		v.Wait = wait
	}
	for line := range bytes.Lines(data) {
		if ctx.Err() != nil {
			return v
		}
		v.Done += len(line)
		v.Events = true
		f.mu.Lock()
		f.lines = append(f.lines, number(string(line)))
		if len(f.lines) == f.stopAfter {
			f.cancel()
		}
		f.tell()
		f.mu.Unlock()
	}
	return v
}

// Recall implements [Consumer].
func (f *follows) Recall(lines []byte, crlf bool) { f.recalled += bytes.Count(lines, []byte{'\n'}) }

func (f *follows) save(p []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.position, f.saved = p, len(f.lines)
	f.tell()
}

// tell wakes a test that waits for a change.
func (f *follows) tell() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// testPace is the default pace without the waits that only make a test long.
func testPace() Pace {
	p := DefaultPace()
	p.Tick, p.Rest, p.Absence = 20*time.Millisecond, 20*time.Millisecond, 50*time.Millisecond
	p.Linger = patience // a late writer may be held up
	p.Burst = 0         // a tail reads what the tests write in bursts
	return p
}

// newFollows makes a follower of a path that does not run yet.
func newFollows(t testing.TB, path string, pace Pace) *follows {
	f := &follows{t: t, begun: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{})}
	f.follower = New(Config{
		Path: path, Pace: pace, MaxLine: 64 << 10, Before: 1000, Consumer: f, Stamp: stamp,
		Save: f.save, Log: slog.New(slog.DiscardHandler),
	})
	return f
}

// follow follows a path from a position on. Without a position it returns when what is
// written from then on will be read.
func follow(t testing.TB, path string, position []byte, pace Pace) *follows {
	t.Helper()
	f := newFollows(t, path, pace)
	f.run(position)
	if position == nil {
		<-f.begun
	}
	return f
}

// run starts the follower, from a position on.
func (f *follows) run(position []byte) {
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel, f.position = cancel, position
	go func() {
		defer close(f.done)
		defer f.follower.Close()
		f.follower.Begin(position)
		close(f.begun)
		f.follower.Run(ctx)
	}()
	f.t.Cleanup(f.stop)
}

// stop ends the follower.
func (f *follows) stop() {
	f.cancel()
	select {
	case <-f.done:
	case <-time.After(patience):
		f.t.Error("the follower does not end")
	}
}

// wait waits for n lines.
func (f *follows) wait(n int) {
	f.t.Helper()
	deadline := time.After(patience)
	for {
		f.mu.Lock()
		got, changed := len(f.lines), f.changed
		f.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			f.t.Fatalf("%d of %d lines came in %v", got, n, patience)
		}
	}
}

// numbers returns the numbers of the lines that came.
func (f *follows) numbers() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lines
}

// A logger writes the log that is followed.
type logger struct{ *logtest.Logger }

func newLogger(t testing.TB) *logger { return &logger{logtest.New(t)} }

// number returns the number of a line; "" if it has none.
func number(line string) string {
	_, line, _ = strings.Cut(line, " for [")
	line, _, _ = strings.Cut(line, "@pbx]")
	return line
}

func stamp(line []byte) time.Time {
	t, _ := time.Parse(logtest.Stamp, string(line[:min(len(line), len(logtest.Stamp))]))
	return t
}

// shift renames freeswitch.log.1 to .2 and so on, and the log to .1, as
// FreeSWITCH does with maximum-rotate.
func (l *logger) shift(maximum int) {
	l.T.Helper()
	for i := maximum - 1; i >= 1; i-- {
		for _, end := range []string{"", ".gz"} {
			if err := os.Rename(fmt.Sprint(l.Path, ".", i, end), fmt.Sprint(l.Path, ".", i+1, end)); err != nil && !os.IsNotExist(err) {
				l.T.Fatal(err)
			}
		}
	}
	l.Must(os.Rename(l.Path, l.Path+".1"))
}

// checkAll waits for every line and checks that each came once, in order.
func (f *follows) checkAll(l *logger) {
	f.t.Helper()
	f.wait(l.N)
	f.checkOnce(0, l.N)
}

// checkOnce checks that the lines from one to before another came, in order.
func (f *follows) checkOnce(from, to int) {
	f.t.Helper()
	checkNumbers(f.t, f.numbers(), from, to)
}

func checkNumbers(t testing.TB, numbers []string, from, to int) {
	t.Helper()
	for i, n := range numbers {
		if want := strconv.Itoa(from + i); n != want {
			t.Fatalf("line %d is %q, want %s; %d of %d lines came", i, n, want, len(numbers), to-from)
		}
	}
	if len(numbers) != to-from {
		t.Fatalf("%d of %d lines came", len(numbers), to-from)
	}
}

// TestEnd checks that a follower leaves no goroutine and no open file behind.
func TestEnd(t *testing.T) {
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	rotate := func() {
		l := newLogger(t)
		l.Open()
		f := follow(t, l.Path, nil, testPace())
		for range 3 {
			l.Lines(10)
			l.shift(3)
			l.Open()
		}
		f.checkAll(l)
		f.stop()
		l.Close()
	}
	rotate() // the first time, the runtime opens files of its own
	goroutines, open := runtime.NumGoroutine(), descriptors()
	for range 20 {
		rotate()
	}
	logtest.Poll(t, "end of the goroutines", func() bool { return runtime.NumGoroutine() <= goroutines })
	logtest.Poll(t, "end of the open files", func() bool { return descriptors() <= open })
}

// A picky consumer notes the chunks it is given and holds back as many lines as told.
type picky struct {
	chunks []Chunk
	hold   int
	wait   time.Duration
}

func (p *picky) Take(_ context.Context, c Chunk) Verdict {
	noted := c
	noted.Log = bytes.Clone(c.Log)
	p.chunks = append(p.chunks, noted)
	end := c.To
	for i := 0; i < p.hold && !c.Final; i++ {
		end = max(c.From, bytes.LastIndexByte(c.Log[:end-1], '\n')+1)
	}
	return Verdict{Done: end - c.From, Wait: p.wait}
}

func (*picky) Recall([]byte, bool) {}

// TestChunks checks what a consumer is given: the lines, what stands around them, and
// for how long they have waited.
func TestChunks(t *testing.T) {
	l := newLogger(t)
	l.Open()
	p := &picky{hold: 1, wait: time.Hour}
	f := New(Config{Path: l.Path, Pace: Pace{}, MaxLine: 100, Before: 8, Consumer: p, Stamp: stamp, Save: func([]byte) {}, Log: slog.New(slog.DiscardHandler)})
	defer f.Close()
	f.Begin(nil)
	check := func(before, data, rest string, at int64, waited, final bool) {
		t.Helper()
		f.Step(t.Context())
		if len(p.chunks) == 0 {
			t.Fatalf("no chunk for %q", data)
		}
		c := p.chunks[len(p.chunks)-1]
		p.chunks = nil
		gotBefore, gotData, gotRest := string(c.Log[:c.From]), string(c.Log[c.From:c.To]), string(c.Log[c.To:])
		if gotBefore != before || gotData != data || gotRest != rest || c.At != at || c.Waited > 0 != waited || c.Final != final {
			t.Errorf("%q %q %q at %d, waited %v, final %v", gotBefore, gotData, gotRest, c.At, c.Waited, c.Final)
		}
	}
	l.Write("one\ntwo\nthr")
	check("", "one\ntwo\n", "thr", 0, false, false)
	l.Write("ee\n")
	check("one\n", "two\nthree\n", "", 4, true, false)
	l.Write("four\n")
	check("one\ntwo\n", "three\nfour\n", "", 8, true, false)
	f.Step(t.Context())
	if len(p.chunks) > 0 {
		t.Error("lines came again before they were due")
	}
	f.chain[0].due = time.Now()
	check("o\nthree\n", "four\n", "", 14, true, false)
	l.Write(strings.Repeat("x", 200))
	check("o\nthree\n", "four\n"+strings.Repeat("x", 102)+"\n", "", 14, true, true)
	p.hold = 0
	l.Write("x\nfive\n")
	check("xxxxxxx\n", "five\n", "", 14+5+202, false, false)
}

// TestPermit: the user of the guard never joins root's group, and its group is given no log of others.
func TestPermit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "freeswitch.log")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if os.Getegid() == 0 {
		if got := permit(path); !strings.HasPrefix(got, "its group is root's, ") || strings.Contains(got, "chgrp -R") {
			t.Error(got)
		}
		if err := os.Chown(path, -1, 33); err != nil {
			t.Fatal(err)
		}
	}
	if got := permit(path); !strings.HasPrefix(got, "usermod -a -G ") {
		t.Error(got)
	}
	// Neither the file nor its directory can be looked at, as below a directory that is closed to the guard.
	if got := permit("/nowhere/log/freeswitch.log"); strings.Contains(got, "usermod") || strings.Contains(got, "chgrp") {
		t.Error(got)
	}
	if info, err := os.Stat("/var/log"); err == nil && info.Sys().(*syscall.Stat_t).Gid == 0 {
		if got := permit("/var/log/no such freeswitch.log"); strings.Contains(got, "usermod") || strings.Contains(got, "chgrp") {
			t.Error(got)
		}
	}
}
