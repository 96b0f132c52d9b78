package tail

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"freeswitch-security/sources/logfile/logtest"

	"github.com/nxadm/tail"
	"github.com/nxadm/tail/util"
)

// TestLive checks which lines a tail delivers, and which are read by blocks.
func TestLive(t *testing.T) {
	l := newLogger(t)
	l.Open()
	f, sink := deaf(t, l, nil)
	f.Pace.Stall, f.Pace.Awake, f.Pace.Burst = patience, time.Hour, 0
	unfinished := ""
	step := func(what string, live bool) {
		t.Helper()
		f.Step(t.Context())
		c := f.current()
		if live != (c.live != nil) || live && c.live.end != c.offset || c.offset != size(l.File) {
			t.Fatalf("%s: tail %+v, offset %d of %d", what, c.live, c.offset, size(l.File))
		}
	}
	begin := func() { unfinished = logtest.Line(l.N); l.Write(unfinished[:40]) }
	finish := func() { l.Write(unfinished[40:]); l.N++ }

	step("an empty file", false)
	l.Lines(10)
	step("the first lines", false)
	l.Lines(10)
	step("more lines", true)
	first := f.current().live
	f.Pace.Stall = 0
	begin()
	step("an unfinished line", false)
	finish()
	step("its end", false)
	f.Pace.Stall = patience
	l.Lines(1)
	step("a line after it", true)
	if f.current().live == first {
		t.Error("a tail that was stopped reads on")
	}
	l.Lines(2000)
	step("more than a chunk", false)
	l.Lines(1)
	step("after a backlog", true)
	f.Pace.Awake = 0
	step("silence", false)
	l.Lines(1)
	step("a line after silence", false)
	f.Pace.Awake = time.Hour
	l.Lines(1)
	step("the next line", true)
	f.Pace.Burst = time.Hour
	l.Lines(burstLength/len(logtest.Line(l.N)) + 2)
	step("a burst", false)
	l.Lines(1)
	step("a line of a busy file", false)
	f.Pace.Burst = 0
	l.Lines(1)
	step("a line of a file that is not busy", true)
	old := f.current()
	l.shift(3)
	l.Lines(2) // to the old file
	l.Open()
	l.Lines(1)
	step("a rotation", false)
	if old.live != nil {
		t.Error("the rotated file has a tail")
	}
	l.Lines(1)
	step("a line of the new file", true)
	f.offer(t.Context(), f.current(), true)
	sink.checkOnce(0, l.N)
}

// TestTailFails breaks the tail of a log, and checks that no line is lost.
func TestTailFails(t *testing.T) {
	for name, fail := range map[string]func(t *testing.T, live *liveTail){
		"it is killed":            func(t *testing.T, live *liveTail) { live.tail.Kill(nil) },
		"its file is closed":      func(t *testing.T, live *liveTail) { live.file.Close() },
		"it is not attended to":   func(t *testing.T, live *liveTail) { live.deadline.Reset(0); <-live.tail.Dead() },
		"it overlooks the growth": func(t *testing.T, live *liveTail) { live.tail = elsewhere(t, live.end) },
		"it skips bytes":          func(t *testing.T, live *liveTail) { live.end -= 10 },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogger(t)
			l.Open()
			l.Lines(3)
			f, sink := deaf(t, l, nil)
			f.Pace.Burst = 0
			from := l.N
			for range 5 {
				l.Lines(3)
				f.Step(t.Context())
				if f.current().live != nil {
					fail(t, f.current().live)
				}
			}
			f.offer(t.Context(), f.current(), true)
			sink.checkOnce(from, l.N)
		})
	}
}

// elsewhere is a tail of a file that does not grow.
func elsewhere(t *testing.T, size int64) *tail.Tail {
	path := filepath.Join(t.TempDir(), "silent")
	if err := os.WriteFile(path, bytes.Repeat([]byte{'\n'}, int(size)), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := startTail(path, size, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.cut)
	return l.tail
}

// TestNoExit checks that the process goes on where the tail package ends it.
func TestNoExit(t *testing.T) {
	prepareTail()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		util.Fatal("%s", "the text is dropped")
		t.Error("Fatal returned")
	}()
	<-ended

	// The directory becomes a file: the status of what is in it is an error then, and not
	// that it does not exist.
	dir := filepath.Join(t.TempDir(), "a")
	path := filepath.Join(dir, "log")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(dir, 0o700))
	must(os.WriteFile(path, []byte(logtest.Line(0)), 0o600))
	l, err := startTail(path, 0, patience)
	must(err)
	defer l.cut()
	if !l.add(<-l.tail.Lines) {
		t.Error("the line is not at its place")
	}
	polls := func() bool {
		stacks := make([]byte, 1<<20)
		return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "PollingFileWatcher")
	}
	logtest.Poll(t, "poller", polls)
	must(os.Rename(dir, dir+".old"))
	must(os.WriteFile(dir, nil, 0o600))
	logtest.Poll(t, "end of the poller", func() bool { return !polls() })
}

// A stuck consumer takes no line until it is released.
type stuck struct {
	*follows
	taking, released chan struct{}
}

func (s *stuck) Take(ctx context.Context, c Chunk) Verdict {
	select {
	case s.taking <- struct{}{}:
		<-s.released
	default:
	}
	return s.follows.Take(ctx, c)
}

// TestEndlessLine checks that a line of 200 MB costs less memory than its length, whenever
// it is written. A tail that reads it whole takes three times its length.
func TestEndlessLine(t *testing.T) {
	const length = 200 << 20
	written := func(l *logger) {
		for part := strings.Repeat("x", 64<<10); size(l.File) < length; {
			l.Write(part)
		}
	}
	atOnce := func(l *logger) { l.Must(l.File.Truncate(size(l.File) + length)) }
	for _, test := range []struct {
		name  string
		awake time.Duration
		stuck bool
		write func(l *logger)
	}{
		{"written", time.Hour, false, written},
		{"written after silence", 0, false, written},
		{"there at once", time.Hour, false, atOnce},
		{"there at once after silence", 0, false, atOnce},
		{"while the consumer is busy", time.Hour, true, atOnce},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLogger(t)
			l.Open()
			l.Lines(1) // so that a tail reads the next ones
			pace := testPace()
			pace.Awake = test.awake
			f := newFollows(t, l.Path, pace)
			s := &stuck{f, make(chan struct{}), make(chan struct{})}
			f.follower.Consumer = s
			f.run(nil)
			<-f.begun
			from := l.N
			l.Lines(10)
			f.wait(l.N - from)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if test.stuck {
				l.Lines(1)
				<-s.taking
			}
			test.write(l)
			if test.stuck {
				if live := f.follower.current().live; live != nil { // the follower waits for the consumer
					<-live.tail.Dead()
				}
				close(s.released)
			}
			l.Write("\n")
			l.Lines(10)
			f.wait(l.N - from + 1) // the endless line is one, too
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > length {
				t.Errorf("%d MB were allocated", n>>20)
			}
			if n := len(f.numbers()); n != l.N-from+1 {
				t.Errorf("%d lines came, want %d", n, l.N-from+1)
			}
		})
	}
}

// TestTwoFollowers follows one log twice.
func TestTwoFollowers(t *testing.T) {
	l := newLogger(t)
	l.Open()
	one, other := follow(t, l.Path, nil, testPace()), follow(t, l.Path, nil, testPace())
	for i := range 20 {
		l.Lines(20)
		if i%5 == 4 {
			l.Must(os.Rename(l.Path, fmt.Sprint(l.Path, ".", i)))
			l.Open()
		}
	}
	one.checkAll(l)
	one.stop()
	l.Lines(20)
	other.checkAll(l)
}
