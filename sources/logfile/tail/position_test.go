package tail

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"freeswitch-security/sources/logfile/logtest"
)

// A history is a log and the followers that read it one after the other.
type history struct {
	*logger
	random   *rand.Rand
	follower *follows // nil: none is at work
	position []byte   // that the last one left
	numbers  []string // of the lines that were done with before the follower's
}

// TestResume rotates a log at random, stops and kills the follower at random, and checks
// that every line counts once.
func TestResume(t *testing.T) {
	const seed = 7
	for i := range uint64(12) {
		t.Run(strconv.FormatUint(i, 10), func(t *testing.T) {
			t.Parallel()
			h := &history{logger: newLogger(t), random: rand.New(rand.NewPCG(seed, i))}
			h.Open()
			h.start()
			for range 60 {
				h.step()
				if t.Failed() {
					t.Fatalf("seed %d, %d", seed, i)
				}
			}
			h.check(true)
		})
	}
}

func (h *history) step() {
	what := h.random.IntN(10)
	h.T.Logf("step %d after %d lines, position %s", what, h.N, h.position)
	if h.follower == nil && h.random.IntN(3) == 0 {
		h.compress()
	}
	switch what {
	case 0, 1, 2:
		h.Lines(h.random.IntN(30))
	case 3:
		h.Lines(h.random.IntN(2000)) // more than one chunk
	case 4:
		unfinished := logtest.Line(h.N)
		cut := 1 + h.random.IntN(len(unfinished)-1)
		h.Write(unfinished[:cut])
		if h.random.IntN(2) == 0 {
			h.restart()
		}
		h.Write(unfinished[cut:])
		h.N++
	case 5, 6:
		h.shift(40)
		if h.random.IntN(2) == 0 {
			h.Lines(h.random.IntN(5)) // to the old file
		}
		h.Open()
	case 7:
		h.copyAndTruncate()
	default:
		h.restart()
	}
}

// copyAndTruncate waits until the follower has read all and stops it first: the position
// of a follower that is killed just then is in a file that no longer exists.
func (h *history) copyAndTruncate() {
	if h.follower != nil {
		h.check(false)
		h.stop(false)
	}
	for i := 40; i > 0; i-- {
		for _, end := range []string{"", ".gz"} { // most do not exist
			_ = os.Rename(h.Path+"."+strconv.Itoa(i)+end, h.Path+"."+strconv.Itoa(i+1)+end)
		}
	}
	h.Must(exec.Command("cp", h.Path, h.Path+".1").Run())
	h.Must(os.Truncate(h.Path, 0))
}

// compress compresses all rotated files, or all but the newest one.
func (h *history) compress() {
	h.Close() // a late writer would write to a file that no longer exists
	for i := 1 + h.random.IntN(2); i <= 41; i++ {
		if _, err := os.Stat(h.Path + "." + strconv.Itoa(i)); err == nil {
			h.gzip(h.Path + "." + strconv.Itoa(i))
		}
	}
	h.Open()
}

// restart starts a follower, or stops or kills it.
func (h *history) restart() {
	if h.follower == nil {
		h.start()
		return
	}
	h.stop(h.random.IntN(2) == 0)
	if h.random.IntN(2) == 0 {
		h.start()
	}
}

func (h *history) start() {
	pace := testPace()
	pace.SaveEvents, pace.SaveLines = time.Millisecond, time.Millisecond
	h.follower = follow(h.T, h.Path, h.position, pace)
}

// stop ends the follower. If it is killed, its lines since the saved position do not
// count.
func (h *history) stop(kill bool) {
	f := h.follower
	h.follower = nil
	f.mu.Lock()
	position, saved := f.position, f.saved
	f.mu.Unlock()
	f.stop()
	if kill {
		h.position = position
		h.numbers = append(h.numbers, f.numbers()[:saved]...)
		return
	}
	h.position = f.position
	h.numbers = append(h.numbers, f.numbers()...)
}

// check waits for all lines and, at the end, compares them.
func (h *history) check(end bool) {
	h.T.Helper()
	if h.follower == nil {
		h.start()
	}
	done := len(h.numbers)
	h.follower.wait(h.N - done)
	if !end {
		return
	}
	h.stop(false)
	for i, user := range h.numbers {
		if user != strconv.Itoa(i) {
			h.T.Fatalf("line %d is %s; %d of %d lines came", i, user, len(h.numbers), h.N)
		}
	}
	if len(h.numbers) != h.N {
		h.T.Fatalf("%d of %d lines came", len(h.numbers), h.N)
	}
}

// leave reads the first 100 lines of a log and returns the position behind them.
func leave(t *testing.T) (*logger, []byte) {
	l := newLogger(t)
	l.Open()
	f := follow(t, l.Path, nil, testPace())
	l.Lines(100)
	f.checkAll(l)
	f.stop()
	return l, f.position
}

// TestLostPosition checks that, without a file of the position, a log that began later is
// read whole and any other log is not.
func TestLostPosition(t *testing.T) {
	t.Run("later", func(t *testing.T) {
		l, p := leave(t)
		for _, rotate := range []bool{true, false} {
			l.Must(os.Remove(l.Path))
			l.Open()
			l.Lines(100)
			if rotate {
				l.Must(os.Rename(l.Path, l.Path+".1"))
			}
			l.Open()
		}
		l.N = 100
		l.Lines(20)
		f := follow(t, l.Path, p, testPace())
		f.wait(20)
	})
	t.Run("earlier", func(t *testing.T) {
		l, p := leave(t)
		l.Must(os.Remove(l.Path))
		l.Open()
		l.N = 0
		l.Lines(90)
		l.N = 1000
		f := follow(t, l.Path, p, testPace())
		<-f.begun
		l.Lines(10)
		f.wait(10)
		f.checkOnce(1000, 1010)
	})
	t.Run("directory not there yet", func(t *testing.T) {
		l, p := leave(t)
		l.Lines(5)
		l.Must(os.Rename(l.Path, l.Path+".away"))
		away := l.Path + ".away"
		l.Must(os.Rename(away, l.T.TempDir()+"/x"))
		f := follow(t, l.Path, p, testPace())
		logtest.Poll(t, "fault", func() bool { return f.follower.Fault() != "" })
		l.Open()
		l.Lines(5)
		f.wait(5)
		f.checkOnce(105, 110)
	})
}

func TestDamagedPosition(t *testing.T) {
	l, _ := leave(t)
	for _, p := range []string{"", "{", `{"version":9}`, `{"version":1,"files":[{"offset":-1}]}`, `{"version":1,"files":[{"length":100000}]}`} {
		f := follow(t, l.Path, []byte(p), testPace())
		<-f.begun
		from := l.N
		l.Lines(3)
		f.wait(3)
		f.checkOnce(from, l.N)
		f.stop()
	}
}

// FuzzPosition resumes from a damaged position.
func FuzzPosition(f *testing.F) {
	good, _ := json.Marshal(position{Version: 1, Files: []bookmark{{Inode: 1, Offset: 10, Length: 10, Sum: 1}}})
	f.Add(good)
	f.Add([]byte(`{"version":1,"files":[{"offset":9223372036854775807,"length":256}]}`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		l := newLogger(t)
		l.Open()
		l.Lines(3)
		g, sink := deaf(t, l, stored)
		g.Step(t.Context())
		if len(sink.numbers()) > 3 {
			t.Errorf("%d of 3 lines came", len(sink.numbers()))
		}
	})
}

// TestUnreadable checks that a log which cannot be opened at first is skipped up to its
// end at the time when it can.
func TestUnreadable(t *testing.T) {
	l := newLogger(t)
	l.Must(os.Mkdir(l.Path, 0o755)) // instead of a file without permission, because root may open any file
	f, sink := deaf(t, l, nil)
	f.Step(t.Context())
	if sink.position != nil {
		t.Error("a position was saved")
	}
	l.Must(os.WriteFile(l.Path+".1", []byte("a rotated file\n"), 0o600))
	for range 3 {
		f.retry()
	}
	if len(f.finished) != 1 {
		t.Errorf("after 3 attempts %d rotated files are remembered, want 1", len(f.finished))
	}
	l.Must(os.Remove(l.Path))
	l.Open()
	l.Lines(10)
	f.Step(t.Context())
	l.Lines(10)
	f.Step(t.Context())
	f.offer(t.Context(), f.current(), true)
	sink.checkOnce(10, 20)
}
