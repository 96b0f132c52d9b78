package logfile

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
	"freeswitch-security/sources/logfile/logtest"
	"freeswitch-security/sources/logfile/tail"
)

// TestMain discards the log of the followers.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "journalctl" {
		os.Exit(fakeJournalctl())
	}
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// limit is how long a test waits for what must happen.
const limit = 20 * time.Second

// A follows is a follower at work and its sink.
type follows struct {
	t      testing.TB
	source *source
	cancel context.CancelFunc
	done   chan struct{}
	stream plugin.Stream
	ready  chan struct{}

	mu       sync.Mutex // guards all below
	changed  chan struct{}
	events   []*event.Event
	at       []time.Time // when they came
	position []byte
	saved    int // how many events had come when it was told
}

func newFollows(t testing.TB, s *source, position []byte) *follows {
	f := &follows{t: t, source: s, done: make(chan struct{}), ready: make(chan struct{}), changed: make(chan struct{}), position: position}
	f.stream = streamTo(f, position, f.ready)
	return f
}

// streamTo is a stream of all events that closes ready.
func streamTo(sink plugin.Sink, position []byte, ready chan struct{}) plugin.Stream {
	return plugin.Stream{Sink: sink, From: position, Progress: &plugin.Progress{}, Ready: func() { close(ready) }}
}

func (f *follows) status() status.Source { return f.stream.Progress.Status() }

func (f *follows) Emit(e *event.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, e)
	f.at = append(f.at, time.Now())
	f.tell()
}

func (f *follows) Position(p []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.position, f.saved = p, len(f.events)
	f.tell()
}

// tell wakes a test that waits for a change.
func (f *follows) tell() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// testPace is the default pace without the waits that only make a test long.
func testPace() tail.Pace {
	p := tail.DefaultPace()
	p.Tick, p.Rest, p.Absence = 20*time.Millisecond, 20*time.Millisecond, 50*time.Millisecond
	return p
}

// follow follows a path from a position on. Without a position it returns when what is
// written from then on will be read.
func follow(t testing.TB, path string, position []byte, patience patience) *follows {
	t.Helper()
	return followAt(t, path, position, testPace(), patience)
}

func followAt(t testing.TB, path string, position []byte, pace tail.Pace, patience patience) *follows {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := builtinSource()
	s.path = path
	f := newFollows(t, s, position)
	f.cancel = cancel
	go func() {
		defer close(f.done)
		s.follow(ctx, f.stream, pace, patience)
	}()
	t.Cleanup(f.stop)
	if position == nil {
		f.begun()
	}
	return f
}

// begun waits until what is written from then on will be read.
func (f *follows) begun() {
	f.t.Helper()
	select {
	case <-f.ready:
	case <-time.After(limit):
		f.t.Fatal("the follower does not begin")
	}
}

// stop ends the follower.
func (f *follows) stop() {
	f.cancel()
	select {
	case <-f.done:
	case <-time.After(limit):
		f.t.Error("the follower does not end")
	}
}

// until waits until the condition holds, which is called with the lock held.
func (f *follows) until(what string, holds func() bool) {
	f.t.Helper()
	deadline := time.After(limit)
	for {
		f.mu.Lock()
		ok, changed, n := holds(), f.changed, len(f.events)
		f.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			f.t.Fatalf("no %s in time; %d events came", what, n)
		}
	}
}

// wait waits for n events.
func (f *follows) wait(n int) {
	f.t.Helper()
	f.until(fmt.Sprintf("%d events", n), func() bool { return len(f.events) >= n })
}

// users returns the users of the events that came.
func (f *follows) users() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var users []string
	for _, e := range f.events {
		users = append(users, e.User)
	}
	return users
}

// A logger writes the log that is followed.
type logger struct{ *logtest.Logger }

func newLogger(t testing.TB) *logger { return &logger{logtest.New(t)} }

// rotate renames the log and opens a new one.
func (l *logger) rotate() {
	l.T.Helper()
	l.Must(os.Rename(l.Path, l.Path+".1"))
	l.Open()
}

// checkAll waits for the events of all lines and checks that each came once, in order.
func (f *follows) checkAll(l *logger) {
	f.t.Helper()
	f.wait(l.N)
	f.checkOnce(0, l.N)
}

// checkOnce checks that the events are those of the lines from one to before another.
func (f *follows) checkOnce(from, to int) {
	f.t.Helper()
	users := f.users()
	for i, user := range users {
		if want := strconv.Itoa(from + i); user != want {
			f.t.Fatalf("event %d is of line %s, want %s; %d events of %d lines", i, user, want, len(users), to-from)
		}
	}
	if len(users) != to-from {
		f.t.Fatalf("%d events of %d lines", len(users), to-from)
	}
}

// An onlooker is a sink that notes at every position whether Follow is ready.
type onlooker struct {
	ready chan struct{}
	early chan bool
}

func (o onlooker) Emit(*event.Event) {}

func (o onlooker) Position([]byte) {
	select {
	case <-o.ready:
		o.early <- true
	default:
		o.early <- false
	}
}

// TestFollowReady checks that Follow is ready once it has saved where it begins, and
// also if it cannot read anything.
func TestFollowReady(t *testing.T) {
	l := newLogger(t)
	l.Open()
	s := builtinSource()
	s.path = l.Path
	sink := onlooker{make(chan struct{}), make(chan bool, 2)} // told at the start and at the end
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Follow(ctx, streamTo(sink, nil, sink.ready)) }()
	<-sink.ready
	if <-sink.early {
		t.Error("Follow was ready before it had saved a position")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	follow(t, t.TempDir(), nil, defaultPatience())
}

func TestFollow(t *testing.T) {
	l := newLogger(t)
	l.Open()
	l.Write(strings.ReplaceAll(logtest.Line(0), "[0@", "[history@"))
	f := follow(t, l.Path, nil, defaultPatience())
	l.Lines(100)
	f.checkAll(l)
	f.stop()
	p := f.status()
	if p.Lines != 100 || p.Events != 100 || p.Fault != "" || p.Behind != 0 || !p.LastEvent.Equal(logtest.First.Add(99*time.Second)) {
		t.Errorf("%+v", p)
	}
}

// mirrorError is what FreeSWITCH logs for a packet while nothing listens at its capture-server.
const mirrorError = "error: tport_logging: capture socket error: Transport endpoint is not connected\n"

func TestFollowLines(t *testing.T) {
	failure := logtest.Line(0)
	for _, test := range []struct {
		name   string
		writes []string
		users  int
	}{
		{"a pause in the middle of a line", []string{failure[:40], failure[40:]}, 1},
		{"a pause in the header of the next line", []string{failure + logtest.Line(1)[:12], logtest.Line(1)[12:]}, 2},
		{"bytes", strings.Split(failure, ""), 1},
		{"a line of a megabyte", []string{strings.Repeat("x", 1<<20) + "\n" + failure}, 1},
		{"a line of a megabyte in pieces", []string{failure, logtest.Line(1), noiseLine[:len(noiseLine)-1] + strings.Repeat("x", 60_000), strings.Repeat("x", 600_000), strings.Repeat("x", 600_000), "\n" + logtest.Line(2)}, 3},
		{"a long line behind", []string{failure + strings.Repeat("x", 70_000), "\n" + logtest.Line(1)}, 2},
		{"CRLF", []string{strings.ReplaceAll(noiseLine+failure+logtest.Line(1), "\n", "\r\n")}, 2},
		{"CRLF in pieces", []string{strings.TrimSpace(noiseLine) + "\r", "\n" + strings.TrimSpace(failure), "\r", "\n"}, 1},
		{"three lines in pieces", []string{unknownLine, unknownText[:50], unknownText[50:]}, 1},
		{"a further line at once", []string{failure + " evil\n" + logtest.Line(1)}, 1},
		{"an error of the mirror behind every line", []string{failure + mirrorError + logtest.Line(1) + mirrorError + mirrorError}, 2},
		{"a further line behind such an error", []string{failure + mirrorError + "] from ip 203.0.113.9\n" + logtest.Line(1)}, 1},
		{"a further line like such an error", []string{failure + mirrorError[:len(mirrorError)-1] + "] from ip 203.0.113.9\n" + logtest.Line(1)}, 1},
		{"a further line in pieces", []string{failure + " ev", "il\n" + logtest.Line(1)}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLogger(t)
			l.Open()
			patience := defaultPatience()
			patience.line = time.Hour // the writer of a line may be held up
			f := follow(t, l.Path, nil, patience)
			written := int64(0)
			for _, w := range test.writes {
				l.Write(w)
				written += int64(len(w))
				logtest.Poll(t, "end of the log", func() bool { return f.status().Behind == 0 })
			}
			f.wait(test.users)
			f.stop()
			if users := f.users(); len(users) != test.users {
				t.Errorf("%q", users)
			}
		})
	}
}

// A blocked sink is a busy engine.
type blocked struct {
	plugin.Sink
	free chan struct{}
}

func (b blocked) Emit(e *event.Event) {
	<-b.free
	b.Sink.Emit(e)
}

// TestFollowStop checks that a stop in the middle of a chunk loses no event and counts
// none twice.
func TestFollowStop(t *testing.T) {
	l := newLogger(t)
	l.Open()
	f := follow(t, l.Path, nil, defaultPatience())
	f.stop()
	l.Lines(10)

	ctx, cancel := context.WithCancel(t.Context())
	sink := blocked{f, make(chan struct{})}
	done := make(chan struct{})
	go func() {
		f.source.follow(ctx, streamTo(sink, f.position, make(chan struct{})), testPace(), defaultPatience())
		close(done)
	}()
	for range 4 {
		sink.free <- struct{}{}
	}
	cancel()
	close(sink.free)
	<-done
	n := len(f.users())
	if n < 4 || n > 5 {
		t.Errorf("%d events before the stop", n)
	}
	g := follow(t, l.Path, f.position, defaultPatience())
	g.wait(10 - n)
	g.checkOnce(n, 10)
}

// TestFollowRepeatsAfterResume checks that the second report of an attempt is known as
// one if the first one was read before a restart.
func TestFollowRepeatsAfterResume(t *testing.T) {
	l := newLogger(t)
	l.Open()
	f := follow(t, l.Path, nil, defaultPatience())
	l.Write(unknownLine + unknownText)
	f.wait(1)
	f.stop()
	l.Write(failureLine + failureLine)
	f = follow(t, l.Path, f.position, defaultPatience())
	f.wait(2)
	if !f.events[0].Repeat || f.events[1].Repeat {
		t.Errorf("%v %v", f.events[0].Repeat, f.events[1].Repeat)
	}
}

// TestFollowLive: what was written before the source began is not live, and what is written then
// is.
func TestFollowLive(t *testing.T) {
	l := newLogger(t)
	l.Open()
	f := follow(t, l.Path, nil, defaultPatience())
	l.Lines(3)
	f.wait(3)
	f.stop()
	l.Lines(2)
	again := follow(t, l.Path, f.position, defaultPatience())
	again.wait(2)
	again.until("saved position", func() bool { return again.saved == 2 })
	l.Lines(1)
	again.wait(3)
	for i, want := range []bool{true, true, true} {
		if f.events[i].Live != want {
			t.Errorf("event %d: live is %v", i, !want)
		}
	}
	for i, want := range []bool{false, false, true} {
		if again.events[i].Live != want {
			t.Errorf("event %d after the restart: live is %v", i, !want)
		}
	}
}

// TestFollowClock: the stamp of a line that is no event shows the clock, unless it is of the backlog.
func TestFollowClock(t *testing.T) {
	const idle = "2026-05-04 10:00:00.000000 97.10% [DEBUG] switch_core.c:1 idle\n"
	l := newLogger(t)
	l.Open()
	f := follow(t, l.Path, nil, defaultPatience())
	l.Write(idle)
	logtest.Poll(t, "stamp", func() bool {
		stamp, _, ok := f.stream.Progress.TakeStamp()
		return ok && stamp.Equal(logtest.First)
	})
	l.Write(idle + "2026-05-04 20:00:00.000000 97.10% [DEBUG] switch_core.c:1 written by a caller\n")
	l.Lines(1)
	f.wait(1)
	f.stop()
	if stamp, _, ok := f.stream.Progress.TakeStamp(); ok && stamp.Sub(logtest.First) > time.Hour {
		t.Error("a caller sets the clock")
	}
	l.Write(idle)
	l.Lines(1)
	again := follow(t, l.Path, f.position, defaultPatience())
	again.wait(1)
	if _, _, ok := again.stream.Progress.TakeStamp(); ok {
		t.Error("the backlog shows a clock")
	}
}

// TestFollowPatience checks that a message is waited for as long as it may go on, and
// no longer.
func TestFollowPatience(t *testing.T) {
	l := newLogger(t)
	l.Open()
	patience := defaultPatience()
	f := follow(t, l.Path, nil, patience)
	start := time.Now()
	l.Write(unknownLine)
	f.wait(1)
	if d := f.at[0].Sub(start); d < patience.message {
		t.Errorf("a message without its further lines was judged after %v", d)
	}
	f.stop()
	patience.message = time.Hour
	f = follow(t, l.Path, nil, patience)
	l.Write(unknownLine + unknownText) // which is complete
	f.wait(1)
}

// TestFollowWritten checks that a message does not wait if the call that wrote it has ended, unless
// messages were seen to be written by several calls.
func TestFollowWritten(t *testing.T) {
	l := newLogger(t)
	l.Open()
	f, sink := deaf(t, l, nil, patience{time.Hour, time.Hour, time.Hour})
	step := func(text string, events int) {
		t.Helper()
		l.Write(text)
		f.Step(t.Context())
		if len(sink.events) != events {
			t.Fatalf("%d events after %q, want %d", len(sink.events), text, events)
		}
	}
	fill := func(to int) { // so many bytes to the end of a page
		t.Helper()
		info, err := l.File.Stat()
		l.Must(err)
		room := 2*os.Getpagesize() - int(info.Size())%os.Getpagesize() - to
		step(noiseLine[:len(noiseLine)-1]+strings.Repeat("x", room-len(noiseLine))+"\n", len(sink.events))
	}
	step(noiseLine, 0)
	step(logtest.Line(1), 1)
	step(unknownLine+unknownText, 2)

	// Such a line may have been written by the first half of a call.
	fill(len(logtest.Line(2)))
	step(logtest.Line(2), 2)
	step(noiseLine, 3)
	fill(len(logtest.Line(2)) + 1)
	step(logtest.Line(2), 4)

	step(unknownLine, 4)
	step(unknownText, 4)
	step(noiseLine, 5)
	step(logtest.Line(3), 5)
	step(noiseLine, 6)
}

// TestFollowRotation checks that a rotation loses nothing, and that the last message
// of a rotated file does not wait.
func TestFollowRotation(t *testing.T) {
	l := newLogger(t)
	l.Open()
	f, sink := deaf(t, l, nil, patience{time.Hour, time.Hour, time.Hour})
	for range 3 {
		l.Lines(20)
		l.rotate()
		f.Step(t.Context())
		f.Step(t.Context())
		sink.checkOnce(0, l.N)
	}
}

// deaf follows a path without being woken, and without looking by itself for longer
// than any test: nothing is seen until the test calls Step.
func deaf(t testing.TB, l *logger, position []byte, patience patience) (f *tail.Follower, sink *follows) {
	t.Helper()
	s := builtinSource()
	s.path = l.Path
	sink = newFollows(t, s, nil)
	pace := tail.DefaultPace()
	pace.Glance = 0
	f = s.newFollower(s.newConsumer(sink.stream, patience), pace)
	f.Begin(position)
	t.Cleanup(f.Close)
	return f, sink
}

// TestFollowPipe checks that a named pipe is a source, and that its lines are counted.
func TestFollowPipe(t *testing.T) {
	l := newLogger(t)
	if err := syscall.Mkfifo(l.Path, 0o600); err != nil {
		t.Fatal(err)
	}
	f := follow(t, l.Path, nil, defaultPatience())
	l.Open()
	l.Lines(5)
	f.wait(5)
	if s := f.status(); s.Events != 5 || s.Fault != "" || s.Lines == 0 || s.Lost > 0 || s.Behind > 0 {
		t.Errorf("%+v", s)
	}
}
