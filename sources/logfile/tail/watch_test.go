package tail

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestHeard rotates a log while a silent file is looked at only if the watch hears
// something.
func TestHeard(t *testing.T) {
	for _, test := range rotations {
		t.Run(test.name, func(t *testing.T) {
			l := newLogger(t)
			l.open()
			pace := testPace()
			pace.Tick, pace.Rest = time.Hour, time.Hour
			f := follow(t, l.path, nil, pace)
			test.do(l, f)
			f.checkAll(l)
		})
	}
}

// TestAim checks that the watch is on the log if there is one and no late writers may
// write to the file before, and that the log is polled otherwise.
func TestAim(t *testing.T) {
	l := newLogger(t)
	l.open()
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
		if f.aimed != aimed || aimed && !slices.Equal(f.watch.notify.WatchList(), []string{l.path}) {
			t.Errorf("%s: aimed %v, %q is watched", when, f.aimed, f.watch.notify.WatchList())
		}
	}
	check("at the start", true)
	for range 3 {
		l.shift(3)
		check("renamed", false)
		l.open()
		check("made again", false)
		f.chain[0].until = f.now // as after the linger
		check("after the late writers", true)
		l.lines(1) // of the file that was rotated away, it would not be heard
		select {
		case <-f.watch.events:
		case <-time.After(patience):
			t.Error("the file that was rotated away is watched")
		}
	}
	l.must(os.Remove(l.path))
	check("deleted", false)
}

// TestComplete checks that a file is looked at seldom only if all that happens to it is heard.
func TestComplete(t *testing.T) {
	l := newLogger(t)
	l.open()
	dir, link := filepath.Dir(l.path), filepath.Join(t.TempDir(), "link")
	l.must(os.Symlink(dir, link))
	w := newWatch(slog.New(slog.DiscardHandler))
	defer w.close()
	if w.notify == nil {
		t.Skip("the system does not tell of changes")
	}
	for _, c := range []struct {
		path string
		want bool
	}{
		{l.path, isDirect(dir) && isLocal(dir)},
		{filepath.Join(link, filepath.Base(l.path)), false}, // the link may move
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
	l.open()
	f, sink := deaf(t, l, nil)
	f.watch = newWatch(f.Log)
	if f.watch.notify == nil {
		t.Skip("the system does not tell of changes")
	}
	f.Step(t.Context())
	neighbour := &logger{t: t, path: filepath.Join(filepath.Dir(l.path), "security.log")}
	neighbour.open()
	defer neighbour.close()
	neighbour.lines(100)
	l.lines(1) // events come in order, so the first one must be this
	select {
	case e := <-f.watch.events:
		if e.Name != l.path {
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
	l.open()
	w := newWatch(slog.New(slog.DiscardHandler))
	if w.notify == nil {
		t.Skip("the system does not tell of changes")
	}
	w.aim(l.path)
	poll(t, "full buffer", func() bool {
		l.lines(1)
		return len(w.events) == eventBuffer
	})
	l.lines(1)
	l.must(os.Rename(l.path, l.path+".1"))
	l.must(os.Remove(l.path + ".1"))
	l.close() // so that the system ends the watch
	for range eventBuffer {
		<-w.events
	}
	poll(t, "error taken", func() bool { return len(w.errors) == 1 })
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
