package tail

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestHeard does to a log what is done to logs while the follower never looks
// without a reason: whatever the watch does not hear, it misses.
func TestHeard(t *testing.T) {
	for _, test := range rotations {
		t.Run(test.name, func(t *testing.T) {
			l := newLogger(t)
			l.open()
			pace := testPace()
			pace.Tick = time.Hour
			f := follow(t, l.path, nil, pace)
			test.do(l, f)
			f.checkAll(l)
		})
	}
}

// TestAim: the watch is on the log while it stands, and on its directory
// while there is none or a late writer may go on in the one before it.
func TestAim(t *testing.T) {
	l := newLogger(t)
	dir := filepath.Dir(l.path)
	l.open()
	f, _ := deaf(t, l, nil)
	f.watch = newWatch(f.Log)
	if f.watch.notify == nil {
		t.Skip("the system does not tell of changes")
	}
	check := func(when, want string) {
		t.Helper()
		for range 2 { // the second one sees what the first one changed
			f.Step(t.Context())
		}
		if got := f.watch.notify.WatchList(); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q is watched, want %q", when, got, want)
		}
	}
	check("at the start", l.path)
	for range 3 {
		l.shift(3)
		check("renamed", dir)
		l.open()
		check("made anew", dir)
		f.chain[0].until = f.now // as after the linger
		check("after the late writers", l.path)
		if !os.SameFile(f.watch.watched[l.path], f.current().info) {
			t.Error("the file that was rotated away is watched")
		}
	}
	l.must(os.Remove(l.path))
	check("deleted", dir)
}

// TestNeighbour: what is written beside the log does not wake the follower.
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
	l.lines(1) // the system tells in order: what is heard first must be this
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
