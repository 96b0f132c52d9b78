package tail

import (
	"fmt"
	"io"
	"os"
	"testing"
	"time"
)

// soak is the environment variable that makes the test long.
const soak = "LOGFILE_SOAK"

// floods are the ways in which a log is rotated under load. every is the time between
// two rotations.
var floods = []struct {
	name   string
	rotate func(w *flood, every time.Duration)
}{
	{"rename and create", func(w *flood, every time.Duration) {
		w.Must(os.Rename(w.Path, fmt.Sprintf("%s.%04d", w.Path, w.rotations)))
		w.Open()
	}},
	{"shifted as FreeSWITCH does", func(w *flood, every time.Duration) { w.shift(33); w.Open() }},
	{"three in a row", func(w *flood, every time.Duration) {
		for range 3 {
			w.shift(33)
			w.Open()
			w.Lines(3)
		}
	}},
	{"late writers", func(w *flood, every time.Duration) {
		old := w.File
		w.File = nil
		w.shift(33)
		w.pause(every / 4)
		w.File = old
		w.Lines(int(rate * every / 4 / time.Second))
		w.Open()
	}},
	{"copy and truncate", func(w *flood, every time.Duration) {
		w.lose()
		w.copyTo(w.Path + ".1")
		w.Must(os.Truncate(w.Path, 0))
		w.pause(25 * time.Millisecond)
	}},
	{"deleted after a pause", func(w *flood, every time.Duration) {
		w.lose()
		w.Must(os.Remove(w.Path))
		w.Open()
	}},
	{"symbolic link", func(w *flood, every time.Duration) {
		if !w.soak {
			w.lose()
		}
		w.Path = fmt.Sprintf("%s.%04d", w.link, w.rotations)
		w.Open()
		w.point()
	}},
}

// TestSoak rotates a log in every way under 20,000 lines a second, 20 times each or, with
// LOGFILE_SOAK set, 200 times, and checks that every line counts once.
func TestSoak(t *testing.T) {
	rotations, every := 20, 10*time.Millisecond
	if os.Getenv(soak) != "" {
		rotations, every = 200, 100*time.Millisecond
	}
	for _, test := range floods {
		t.Run(test.name, func(t *testing.T) {
			w := &flood{logger: newLogger(t), soak: os.Getenv(soak) != ""}
			w.link = w.Path
			if test.name == "symbolic link" {
				w.Path += ".0000"
				w.Open()
				w.point()
			}
			w.Open()
			f := follow(t, w.link, nil, DefaultPace())
			w.read = func() { f.wait(w.N) }
			for w.rotations = 1; w.rotations <= rotations; w.rotations++ {
				w.run(every)
				test.rotate(w, every)
			}
			w.run(every)
			f.wait(w.N)
			f.checkOnce(0, w.N)
			if os.Getenv(soak) != "" {
				t.Logf("%d lines, %d rotations, %.0f lines/s between them", w.N, rotations, float64(w.N)/w.writing.Seconds())
			}
		})
	}
}

// rate is the number of lines a second of a flood.
const rate = 20_000

// A flood is a logger at a steady rate.
type flood struct {
	*logger
	link      string
	soak      bool   // in full: the writer does not wait for the follower
	read      func() // waits until all lines were read
	rotations int
	writing   time.Duration
}

// run writes for a while, each line at once.
func (w *flood) run(d time.Duration) {
	start := time.Now()
	from := w.N
	for {
		elapsed := time.Since(start)
		due := from + int(min(elapsed, d)*rate/time.Second)
		w.Lines(due - w.N)
		if elapsed >= d {
			w.writing += d
			return
		}
		w.pause(500 * time.Microsecond)
	}
}

// lose waits before a rotation that loses unread lines: for the pause that such a
// rotation must leave or, on a machine that is busy with other tests, until all is read.
func (w *flood) lose() {
	if w.soak {
		w.pause(25 * time.Millisecond)
		return
	}
	w.read()
}

// pause waits as a writer does that has nothing to write.
func (w *flood) pause(d time.Duration) { <-time.After(d) }

// point points the link at the log.
func (w *flood) point() {
	w.Must(os.Symlink(w.Path, w.link+"-new"))
	w.Must(os.Rename(w.link+"-new", w.link))
}

func (w *flood) copyTo(path string) {
	from, err := os.Open(w.Path)
	w.Must(err)
	defer from.Close()
	to, err := os.Create(path)
	w.Must(err)
	defer to.Close()
	_, err = io.Copy(to, from)
	w.Must(err)
}
