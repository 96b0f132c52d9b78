package tail

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"freeswitch-security/sources/logfile/logtest"
)

// TestHeard rotates a log while a silent file is looked at only if the watch hears
// something.
func TestHeard(t *testing.T) {
	for _, test := range rotations {
		t.Run(test.name, func(t *testing.T) {
			l := newLogger(t)
			l.Open()
			pace := testPace()
			pace.Tick, pace.Rest = time.Hour, time.Hour
			f := follow(t, l.Path, nil, pace)
			test.do(l, f)
			f.checkAll(l)
		})
	}
}

// TestAim checks that the watch is on the log if there is one and no late writers may
// write to the file before, and that the log is polled otherwise.
func TestAim(t *testing.T) {
	l := newLogger(t)
	l.Open()
	f, _ := deaf(t, l, nil)
	f.watch = newWatch(f.Log)
	if f.watch.notify == nil {
		t.Skip("the system does not tell of changes")
	}
	check := func(when string, aimed bool) {
		t.Helper()
		for range 2 { // the second step sees what the first one changed
			f.Step(t.Context())
		}
		if f.aimed != aimed || aimed && !slices.Equal(f.watch.notify.WatchList(), []string{l.Path}) {
			t.Errorf("%s: aimed %v, %q is watched", when, f.aimed, f.watch.notify.WatchList())
		}
	}
	check("at the start", true)
	for range 3 {
		l.shift(3)
		check("renamed", false)
		l.Open()
		check("made again", false)
		f.chain[0].until = f.now // as after the linger
		check("after the late writers", true)
		l.Lines(1) // of the file that was rotated away, it would not be heard
		select {
		case <-f.watch.events:
		case <-time.After(patience):
			t.Error("the file that was rotated away is watched")
		}
	}
	l.Must(os.Remove(l.Path))
	check("deleted", false)
}

// TestComplete checks that a file is looked at seldom only if all that happens to it is heard.
func TestComplete(t *testing.T) {
	l := newLogger(t)
	l.Open()
	dir, link := filepath.Dir(l.Path), filepath.Join(t.TempDir(), "link")
	l.Must(os.Symlink(dir, link))
	w := newWatch(slog.New(slog.DiscardHandler))
	defer w.close()
	if w.notify == nil {
		t.Skip("the system does not tell of changes")
	}
	for _, c := range []struct {
		path string
		want bool
	}{
		{l.Path, isDirect(dir) && isLocal(dir)},
		{filepath.Join(link, filepath.Base(l.Path)), false}, // the link may move
		{"/proc/self/status", false},                        // changes without a write
		{filepath.Join(dir, "missing"), false},
	} {
		if w.aim(c.path); w.complete != c.want {
			t.Errorf("%s: complete is %v", c.path, w.complete)
		}
	}
}

// TestNeighbour checks that a write to another file does not wake the follower.
func TestNeighbour(t *testing.T) {
	l := newLogger(t)
	l.Open()
	f, sink := deaf(t, l, nil)
	f.watch = newWatch(f.Log)
	if f.watch.notify == nil {
		t.Skip("the system does not tell of changes")
	}
	f.Step(t.Context())
	neighbour := &logger{&logtest.Logger{T: t, Path: filepath.Join(filepath.Dir(l.Path), "security.log")}}
	neighbour.Open()
	defer neighbour.Close()
	neighbour.Lines(100)
	l.Lines(1) // events come in order, so the first one must be this
	select {
	case e := <-f.watch.events:
		if e.Name != l.Path {
			t.Errorf("%v was heard", e)
		}
	case <-time.After(patience):
		t.Fatal("the log was not heard")
	}
	f.Step(t.Context())
	f.offer(t.Context(), f.current(), true)
	sink.checkOnce(0, 1)
}

// TestWatchFails closes a watch in which an error waits: the file was renamed and deleted while
// the follower did not listen.
func TestWatchFails(t *testing.T) {
	l := newLogger(t)
	l.Open()
	w := newWatch(slog.New(slog.DiscardHandler))
	if w.notify == nil {
		t.Skip("the system does not tell of changes")
	}
	w.aim(l.Path)
	logtest.Poll(t, "full buffer", func() bool {
		l.Lines(1)
		return len(w.events) == eventBuffer
	})
	l.Lines(1)
	l.Must(os.Rename(l.Path, l.Path+".1"))
	l.Must(os.Remove(l.Path + ".1"))
	l.Close() // so that the system ends the watch
	for range eventBuffer {
		<-w.events
	}
	logtest.Poll(t, "error taken", func() bool { return len(w.errors) == 1 })
	closed := make(chan struct{})
	go func() {
		w.close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Error("the watch does not close")
	}
}
