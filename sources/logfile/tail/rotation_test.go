package tail

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"freeswitch-security/sources/logfile/logtest"
)

// rotations are the ways in which a log is rotated. A step does not wait for the
// follower, unless it says so.
var rotations = []struct {
	name string
	do   func(l *logger, f *follows)
}{
	{"rename and create", func(l *logger, f *follows) {
		for range 5 {
			l.Lines(10)
			l.shift(9)
			l.Open()
		}
		l.Lines(10)
	}},
	{"rename, and a new file later", func(l *logger, f *follows) {
		l.Lines(2000)
		l.shift(3)
		f.checkAll(l)
		l.Open()
		l.Lines(10)
	}},
	{"names with dates", func(l *logger, f *follows) {
		for i := range 5 {
			l.Lines(10)
			l.Must(os.Rename(l.Path, fmt.Sprintf("%s.2026-05-04-10-00-0%d.1", l.Path, i)))
			l.Open()
		}
		l.Lines(10)
	}},
	{"late writers", func(l *logger, f *follows) {
		l.Lines(10)
		old := l.File
		l.File = nil
		l.shift(3)
		l.Open()
		f.wait(l.N)
		logtest.Poll(l.T, "end of the new file", func() bool { return f.follower.Behind() == 0 })
		for range 5 {
			_, err := old.WriteString(logtest.Line(l.N))
			l.Must(err)
			l.N++
			f.wait(l.N)
			l.Lines(1)
			f.wait(l.N)
		}
		old.Close()
	}},
	{"a line unfinished at the rotation", func(l *logger, f *follows) {
		old := logtest.Line(l.N)
		l.Write(old[:50])
		file := l.File
		l.File = nil
		l.shift(3)
		_, err := file.WriteString(old[50:])
		l.Must(err)
		l.N++
		file.Close()
		l.Open()
		l.Lines(1)
	}},
	{"copy and truncate", func(l *logger, f *follows) {
		for range 5 {
			l.Lines(10)
			l.Must(exec.Command("cp", l.Path, l.Path+".1").Run())
			f.checkAll(l)
			l.Must(os.Truncate(l.Path, 0))
		}
		l.Lines(10)
	}},
	{"copy and truncate before it was read", func(l *logger, f *follows) {
		l.Lines(1) // without a line that was read, nothing tells the copy from other files
		f.checkAll(l)
		l.Lines(500)
		l.Must(exec.Command("cp", l.Path, l.Path+".1").Run())
		l.Must(os.Truncate(l.Path, 0))
		l.Lines(10)
	}},
	{"truncated and longer than before at once", func(l *logger, f *follows) {
		l.Lines(10)
		f.checkAll(l)
		l.Must(os.Truncate(l.Path, 0))
		l.Lines(500)
	}},
	{"deleted and made again", func(l *logger, f *follows) {
		l.Lines(10)
		l.Must(os.Remove(l.Path))
		l.Lines(10)
		l.Open()
		l.Lines(10)
	}},
	{"missing for a while", func(l *logger, f *follows) {
		l.Lines(10)
		l.Must(os.Remove(l.Path))
		logtest.Poll(l.T, "fault", func() bool {
			return strings.Contains(f.follower.Fault(), "; if FreeSWITCH's log is elsewhere, set path")
		})
		l.Open()
		l.Lines(10)
		f.checkAll(l)
		logtest.Poll(l.T, "end of the fault", func() bool { return f.follower.Fault() == "" })
	}},
	{"a directory in its place", func(l *logger, f *follows) {
		l.Lines(10)
		l.Must(os.Remove(l.Path))
		l.Must(os.Mkdir(l.Path, 0o755))
		logtest.Poll(l.T, "fault", func() bool { return strings.Contains(f.follower.Fault(), "not a regular file") })
		l.Must(os.Remove(l.Path))
		l.Open()
		l.Lines(10)
	}},
	{"moved away and back", func(l *logger, f *follows) {
		l.Lines(10)
		f.checkAll(l)
		file := l.File
		l.File = nil
		l.Must(os.Rename(l.Path, l.Path+".1"))
		l.Open()
		l.Lines(5)
		f.checkAll(l)
		l.Must(os.Rename(l.Path+".1", l.Path))
		l.Close()
		l.File = file
		l.Lines(10)
	}},
	{"copies of the log beside it", func(l *logger, f *follows) {
		l.Lines(10)
		f.checkAll(l)
		l.Must(exec.Command("cp", l.Path, l.Path+".bak").Run())
		l.Lines(10)
		l.shift(3)
		l.Open()
		l.Lines(10)
		l.Must(exec.Command("cp", l.Path+".1", l.Path+".analyse").Run())
		l.Must(exec.Command("gzip", "-k", l.Path+".1").Run())
		l.shift(3)
		l.Open()
		l.Lines(10)
	}},
}

// TestRotations rotates a log in every way and checks that every line counts once.
func TestRotations(t *testing.T) {
	for _, test := range rotations {
		t.Run(test.name, func(t *testing.T) {
			l := newLogger(t)
			l.Open()
			f := follow(t, l.Path, nil, testPace())
			test.do(l, f)
			f.checkAll(l)
			f.stop()
			f.checkOnce(0, l.N)
		})
	}
}

// deaf follows a path without being woken, and without looking by itself for longer
// than any test: nothing is seen until the test calls Step.
func deaf(t testing.TB, l *logger, position []byte) (f *Follower, sink *follows) {
	t.Helper()
	pace := DefaultPace()
	pace.Glance = 0
	sink = newFollows(t, l.Path, pace)
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
		{"dated", func(l *logger, i int) { l.Must(os.Rename(l.Path, fmt.Sprintf("%s.%04d", l.Path, 2000+i))) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLogger(t)
			l.Open()
			l.Lines(10)
			for i := range 3 { // history
				test.rotate(l, i)
				l.Open()
				l.Lines(10)
			}
			from := l.N
			f, sink := deaf(t, l, nil)
			for round := range 3 {
				for i := range 3 {
					l.Lines(20)
					test.rotate(l, 10*round+i+5)
					l.Open()
				}
				l.Lines(5)
				f.Step(t.Context())
			}
			f.offer(t.Context(), f.current(), true)
			sink.checkOnce(from, l.N)
		})
	}
}

// TestLinger checks that rotated files are closed after a while.
func TestLinger(t *testing.T) {
	l := newLogger(t)
	l.Open()
	f, sink := deaf(t, l, nil)
	f.Pace.Linger = 0
	l.Lines(5)
	for range 100 {
		l.shift(3)
		l.Open()
		l.Lines(1)
		f.Step(t.Context())
		f.Step(t.Context())
	}
	f.offer(t.Context(), f.current(), true)
	sink.checkOnce(0, l.N)
	if len(f.chain) > 2 {
		t.Errorf("%d files are open", len(f.chain))
	}
}

// TestManyFiles checks that the number of open files is bounded.
func TestManyFiles(t *testing.T) {
	l := newLogger(t)
	l.Open()
	f, sink := deaf(t, l, nil)
	for range 2 * maxChain {
		l.Lines(1)
		l.shift(2 * maxChain)
		l.Open()
		f.Step(t.Context())
		if len(f.chain) > maxChain {
			t.Fatalf("%d files are open", len(f.chain))
		}
	}
	f.Step(t.Context())
	sink.checkOnce(0, l.N)
}

func TestMissing(t *testing.T) {
	for _, missing := range []string{"freeswitch.log", "a/freeswitch.log", "a/b/c/freeswitch.log"} {
		t.Run(missing, func(t *testing.T) {
			l := newLogger(t)
			l.Path = filepath.Join(filepath.Dir(l.Path), missing)
			f := follow(t, l.Path, nil, testPace())
			l.Must(os.MkdirAll(filepath.Dir(l.Path), 0o755))
			l.Open()
			l.Lines(10)
			f.checkAll(l)
			l.shift(2)
			l.Open()
			l.Lines(10)
			f.checkAll(l)
		})
	}
}

// TestDirectory replaces the directory of the log.
func TestDirectory(t *testing.T) {
	l := newLogger(t)
	dir := filepath.Join(filepath.Dir(l.Path), "a")
	l.Path = filepath.Join(dir, "freeswitch.log")
	l.Must(os.Mkdir(dir, 0o755))
	l.Open()
	f := follow(t, l.Path, nil, testPace())
	for i := range 3 {
		l.Lines(10)
		l.Must(os.Rename(dir, fmt.Sprint(dir, i)))
		l.Lines(10)
		l.Must(os.Mkdir(dir, 0o755))
		l.Open()
		l.Lines(10)
		f.checkAll(l)
	}
	l.Lines(10)
	f.checkAll(l)
}

func TestSymlink(t *testing.T) {
	l := newLogger(t)
	dir := filepath.Dir(l.Path)
	link := filepath.Join(dir, "link", "current")
	l.Must(os.Mkdir(filepath.Dir(link), 0o755))
	point := func(to string) {
		l.Must(os.Symlink(to, link+".new"))
		l.Must(os.Rename(link+".new", link))
	}
	l.Open()
	point(l.Path)
	f := follow(t, link, nil, testPace())
	l.Lines(10)
	for i := range 5 {
		l.Path = filepath.Join(dir, fmt.Sprint("other", i))
		l.Open()
		l.Lines(10)
		point(l.Path)
		l.Lines(10)
		f.checkAll(l)
	}
	l.shift(2)
	l.Open()
	l.Lines(10)
	f.checkAll(l)

	// The link returns to a file that was read before: only what is new in it counts.
	back := filepath.Join(dir, "other1")
	l.Path = back
	l.Open()
	point(back)
	l.Lines(10)
	f.checkAll(l)
}
