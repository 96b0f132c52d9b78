package tail

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// rotations are the ways in which a log is rotated. A step does not wait for the
// follower, unless it says so.
var rotations = []struct {
	name string
	do   func(l *logger, f *follows)
}{
	{"rename and create", func(l *logger, f *follows) {
		for range 5 {
			l.lines(10)
			l.shift(9)
			l.open()
		}
		l.lines(10)
	}},
	{"rename, and a new file later", func(l *logger, f *follows) {
		l.lines(2000)
		l.shift(3)
		f.checkAll(l)
		l.open()
		l.lines(10)
	}},
	{"names with dates", func(l *logger, f *follows) {
		for i := range 5 {
			l.lines(10)
			l.must(os.Rename(l.path, fmt.Sprintf("%s.2026-05-04-10-00-0%d.1", l.path, i)))
			l.open()
		}
		l.lines(10)
	}},
	{"late writers", func(l *logger, f *follows) {
		l.lines(10)
		old := l.file
		l.file = nil
		l.shift(3)
		l.open()
		f.wait(l.n)
		poll(l.t, "end of the new file", func() bool { return f.follower.Behind() == 0 })
		for range 5 {
			_, err := old.WriteString(line(l.n))
			l.must(err)
			l.n++
			f.wait(l.n)
			l.lines(1)
			f.wait(l.n)
		}
		old.Close()
	}},
	{"a line unfinished at the rotation", func(l *logger, f *follows) {
		old := line(l.n)
		l.write(old[:50])
		file := l.file
		l.file = nil
		l.shift(3)
		_, err := file.WriteString(old[50:])
		l.must(err)
		l.n++
		file.Close()
		l.open()
		l.lines(1)
	}},
	{"copy and truncate", func(l *logger, f *follows) {
		for range 5 {
			l.lines(10)
			l.must(exec.Command("cp", l.path, l.path+".1").Run())
			f.checkAll(l)
			l.must(os.Truncate(l.path, 0))
		}
		l.lines(10)
	}},
	{"copy and truncate before it was read", func(l *logger, f *follows) {
		l.lines(1) // without a line that was read, nothing tells the copy from other files
		f.checkAll(l)
		l.lines(500)
		l.must(exec.Command("cp", l.path, l.path+".1").Run())
		l.must(os.Truncate(l.path, 0))
		l.lines(10)
	}},
	{"truncated and longer than before at once", func(l *logger, f *follows) {
		l.lines(10)
		f.checkAll(l)
		l.must(os.Truncate(l.path, 0))
		l.lines(500)
	}},
	{"deleted and made again", func(l *logger, f *follows) {
		l.lines(10)
		l.must(os.Remove(l.path))
		l.lines(10)
		l.open()
		l.lines(10)
	}},
	{"missing for a while", func(l *logger, f *follows) {
		l.lines(10)
		l.must(os.Remove(l.path))
		poll(l.t, "fault", func() bool {
			return strings.Contains(f.follower.Fault(), "; if FreeSWITCH's log is elsewhere, set path")
		})
		l.open()
		l.lines(10)
		f.checkAll(l)
		poll(l.t, "end of the fault", func() bool { return f.follower.Fault() == "" })
	}},
	{"a directory in its place", func(l *logger, f *follows) {
		l.lines(10)
		l.must(os.Remove(l.path))
		l.must(os.Mkdir(l.path, 0o755))
		poll(l.t, "fault", func() bool { return strings.Contains(f.follower.Fault(), "not a regular file") })
		l.must(os.Remove(l.path))
		l.open()
		l.lines(10)
	}},
	{"moved away and back", func(l *logger, f *follows) {
		l.lines(10)
		f.checkAll(l)
		file := l.file
		l.file = nil
		l.must(os.Rename(l.path, l.path+".1"))
		l.open()
		l.lines(5)
		f.checkAll(l)
		l.must(os.Rename(l.path+".1", l.path))
		l.close()
		l.file = file
		l.lines(10)
	}},
	{"copies of the log beside it", func(l *logger, f *follows) {
		l.lines(10)
		f.checkAll(l)
		l.must(exec.Command("cp", l.path, l.path+".bak").Run())
		l.lines(10)
		l.shift(3)
		l.open()
		l.lines(10)
		l.must(exec.Command("cp", l.path+".1", l.path+".analyse").Run())
		l.must(exec.Command("gzip", "-k", l.path+".1").Run())
		l.shift(3)
		l.open()
		l.lines(10)
	}},
}

// TestRotations rotates a log in every way and checks that every line counts once.
func TestRotations(t *testing.T) {
	for _, test := range rotations {
		t.Run(test.name, func(t *testing.T) {
			l := newLogger(t)
			l.open()
			f := follow(t, l.path, nil, testPace())
			test.do(l, f)
			f.checkAll(l)
			f.stop()
			f.checkOnce(0, l.n)
		})
	}
}

// deaf follows a path without being woken, and without looking by itself for longer
// than any test: nothing is seen until the test calls Step.
func deaf(t testing.TB, l *logger, position []byte) (f *Follower, sink *follows) {
	t.Helper()
	pace := DefaultPace()
	pace.Glance = 0
	sink = newFollows(t, l.path, pace)
	f = sink.follower
	f.Begin(position)
	t.Cleanup(f.Close)
	return f, sink
}

// TestBetween checks that the files of several rotations between two looks are read in
// order.
func TestBetween(t *testing.T) {
	for _, test := range []struct {
		name   string
		rotate func(l *logger, i int)
	}{
		{"shifted", func(l *logger, _ int) { l.shift(12) }},
		{"dated", func(l *logger, i int) { l.must(os.Rename(l.path, fmt.Sprintf("%s.%04d", l.path, 2000+i))) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLogger(t)
			l.open()
			l.lines(10)
			for i := range 3 { // history
				test.rotate(l, i)
				l.open()
				l.lines(10)
			}
			from := l.n
			f, sink := deaf(t, l, nil)
			for round := range 3 {
				for i := range 3 {
					l.lines(20)
					test.rotate(l, 10*round+i+5)
					l.open()
				}
				l.lines(5)
				f.Step(t.Context())
			}
			f.offer(t.Context(), f.current(), true)
			sink.checkOnce(from, l.n)
		})
	}
}

// TestLinger checks that rotated files are closed after a while.
func TestLinger(t *testing.T) {
	l := newLogger(t)
	l.open()
	f, sink := deaf(t, l, nil)
	f.Pace.Linger = 0
	l.lines(5)
	for range 100 {
		l.shift(3)
		l.open()
		l.lines(1)
		f.Step(t.Context())
		f.Step(t.Context())
	}
	f.offer(t.Context(), f.current(), true)
	sink.checkOnce(0, l.n)
	if len(f.chain) > 2 {
		t.Errorf("%d files are open", len(f.chain))
	}
}

// TestManyFiles checks that the number of open files is bounded.
func TestManyFiles(t *testing.T) {
	l := newLogger(t)
	l.open()
	f, sink := deaf(t, l, nil)
	for range 2 * maxChain {
		l.lines(1)
		l.shift(2 * maxChain)
		l.open()
		f.Step(t.Context())
		if len(f.chain) > maxChain {
			t.Fatalf("%d files are open", len(f.chain))
		}
	}
	f.Step(t.Context())
	sink.checkOnce(0, l.n)
}

func TestMissing(t *testing.T) {
	for _, missing := range []string{"freeswitch.log", "a/freeswitch.log", "a/b/c/freeswitch.log"} {
		t.Run(missing, func(t *testing.T) {
			l := newLogger(t)
			l.path = filepath.Join(filepath.Dir(l.path), missing)
			f := follow(t, l.path, nil, testPace())
			l.must(os.MkdirAll(filepath.Dir(l.path), 0o755))
			l.open()
			l.lines(10)
			f.checkAll(l)
			l.shift(2)
			l.open()
			l.lines(10)
			f.checkAll(l)
		})
	}
}

// TestDirectory replaces the directory of the log.
func TestDirectory(t *testing.T) {
	l := newLogger(t)
	dir := filepath.Join(filepath.Dir(l.path), "a")
	l.path = filepath.Join(dir, "freeswitch.log")
	l.must(os.Mkdir(dir, 0o755))
	l.open()
	f := follow(t, l.path, nil, testPace())
	for i := range 3 {
		l.lines(10)
		l.must(os.Rename(dir, fmt.Sprint(dir, i)))
		l.lines(10)
		l.must(os.Mkdir(dir, 0o755))
		l.open()
		l.lines(10)
		f.checkAll(l)
	}
	l.lines(10)
	f.checkAll(l)
}

func TestSymlink(t *testing.T) {
	l := newLogger(t)
	dir := filepath.Dir(l.path)
	link := filepath.Join(dir, "link", "current")
	l.must(os.Mkdir(filepath.Dir(link), 0o755))
	point := func(to string) {
		l.must(os.Symlink(to, link+".new"))
		l.must(os.Rename(link+".new", link))
	}
	l.open()
	point(l.path)
	f := follow(t, link, nil, testPace())
	l.lines(10)
	for i := range 5 {
		l.path = filepath.Join(dir, fmt.Sprint("other", i))
		l.open()
		l.lines(10)
		point(l.path)
		l.lines(10)
		f.checkAll(l)
	}
	l.shift(2)
	l.open()
	l.lines(10)
	f.checkAll(l)

	// The link returns to a file that was read before: only what is new in it counts.
	back := filepath.Join(dir, "other1")
	l.path = back
	l.open()
	point(back)
	l.lines(10)
	f.checkAll(l)
}
