package tail

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// A history is what a log went through while followers came and went.
type history struct {
	*logger
	random   *rand.Rand
	follower *follows // nil: none is at work
	position []byte   // that the last one left
	numbers  []string // of the lines that were done with before the follower's
}

// TestResume does whatever comes to a log, stops and kills the follower at
// any moment, and checks that every line counts once.
func TestResume(t *testing.T) {
	const seed = 7
	for i := range uint64(12) {
		t.Run(strconv.FormatUint(i, 10), func(t *testing.T) {
			t.Parallel()
			h := &history{logger: newLogger(t), random: rand.New(rand.NewPCG(seed, i))}
			h.open()
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
	h.t.Logf("step %d after %d lines, position %s", what, h.n, h.position)
	switch what {
	case 0, 1, 2:
		h.lines(h.random.IntN(30))
	case 3:
		h.lines(h.random.IntN(2000)) // more than one chunk
	case 4:
		unfinished := line(h.n)
		cut := 1 + h.random.IntN(len(unfinished)-1)
		h.write(unfinished[:cut])
		if h.random.IntN(2) == 0 {
			h.restart()
		}
		h.write(unfinished[cut:])
		h.n++
	case 5, 6:
		h.shift(40)
		if h.random.IntN(2) == 0 {
			h.lines(h.random.IntN(5)) // to the old file
		}
		h.open()
	case 7:
		h.copyAndTruncate()
	default:
		h.restart()
	}
}

// copyAndTruncate waits for a follower at work, as a writer that pauses does: what
// it read of a file before that was truncated is never lost, but if it is killed
// then, its position is in a file that is gone.
func (h *history) copyAndTruncate() {
	if h.follower != nil {
		h.check(false)
		h.stop(false)
	}
	for i := 40; i > 0; i-- {
		_ = os.Rename(h.path+"."+strconv.Itoa(i), h.path+"."+strconv.Itoa(i+1)) // most do not exist
	}
	h.must(exec.Command("cp", h.path, h.path+".1").Run())
	h.must(os.Truncate(h.path, 0))
}

// restart starts a follower or ends it in one of two ways.
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
	h.follower = follow(h.t, h.path, h.position, pace)
}

// stop ends the follower. If it is killed, its events since the position that was
// kept are forgotten.
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

// check waits for all lines and, at the end, compares.
func (h *history) check(end bool) {
	h.t.Helper()
	if h.follower == nil {
		h.start()
	}
	done := len(h.numbers)
	h.follower.wait(h.n - done)
	if !end {
		return
	}
	h.stop(false)
	for i, user := range h.numbers {
		if user != strconv.Itoa(i) {
			h.t.Fatalf("event %d is of line %s; %d events of %d lines", i, user, len(h.numbers), h.n)
		}
	}
	if len(h.numbers) != h.n {
		h.t.Fatalf("%d events of %d lines", len(h.numbers), h.n)
	}
}

// leave has the first 100 lines of a log read and gives the position after them.
func leave(t *testing.T) (*logger, []byte) {
	l := newLogger(t)
	l.open()
	f := follow(t, l.path, nil, testPace())
	l.lines(100)
	f.checkAll(l)
	f.stop()
	return l, f.position
}

// TestLostPosition: where nothing of a position is found, a log that began
// later is read whole, and one that did not is not.
func TestLostPosition(t *testing.T) {
	t.Run("later", func(t *testing.T) {
		l, p := leave(t)
		for _, rotate := range []bool{true, false} {
			l.must(os.Remove(l.path))
			l.open()
			l.lines(100)
			if rotate {
				l.must(os.Rename(l.path, l.path+".1"))
			}
			l.open()
		}
		l.n = 100
		l.lines(20)
		f := follow(t, l.path, p, testPace())
		f.wait(20)
	})
	t.Run("earlier", func(t *testing.T) {
		l, p := leave(t)
		l.must(os.Remove(l.path))
		l.open()
		l.n = 0
		l.lines(90)
		l.n = 1000
		f := follow(t, l.path, p, testPace())
		<-f.begun
		l.lines(10)
		f.wait(10)
		f.checkOnce(1000, 1010)
	})
	t.Run("directory not there yet", func(t *testing.T) {
		l, p := leave(t)
		l.lines(5)
		l.must(os.Rename(l.path, l.path+".away"))
		away := l.path + ".away"
		l.must(os.Rename(away, l.t.TempDir()+"/x"))
		f := follow(t, l.path, p, testPace())
		poll(t, "a fault", func() bool { return f.follower.Fault() != "" })
		l.open()
		l.lines(5)
		f.wait(5)
		f.checkOnce(105, 110)
	})
}

func TestDamagedPosition(t *testing.T) {
	l, _ := leave(t)
	for _, p := range []string{"", "{", `{"version":9}`, `{"version":1,"files":[{"offset":-1}]}`, `{"version":1,"files":[{"length":100000}]}`} {
		f := follow(t, l.path, []byte(p), testPace())
		<-f.begun
		from := l.n
		l.lines(3)
		f.wait(3)
		f.checkOnce(from, l.n)
		f.stop()
	}
}

// FuzzPosition: a position is the program's own, but the file it was kept in may
// have been damaged.
func FuzzPosition(f *testing.F) {
	good, _ := json.Marshal(position{Version: 1, Files: []bookmark{{Inode: 1, Offset: 10, Length: 10, Sum: 1}}})
	f.Add(good)
	f.Add([]byte(`{"version":1,"files":[{"offset":9223372036854775807,"length":256}]}`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		l := newLogger(t)
		l.open()
		l.lines(3)
		g, sink := deaf(t, l, stored)
		g.Step(t.Context())
		if len(sink.numbers()) > 3 {
			t.Errorf("%d events of 3 lines", len(sink.numbers()))
		}
	})
}

// TestUnreadable: a log that cannot be opened at first is history as far as
// it stands there when it can.
func TestUnreadable(t *testing.T) {
	l := newLogger(t)
	l.must(os.Mkdir(l.path, 0o755)) // what stands for it, as root may open any file
	f, sink := deaf(t, l, nil)
	f.Step(t.Context())
	if sink.position != nil {
		t.Error("a position was told")
	}
	l.must(os.Remove(l.path))
	l.open()
	l.lines(10)
	f.Step(t.Context())
	l.lines(10)
	f.Step(t.Context())
	f.offer(t.Context(), f.current(), true)
	sink.checkOnce(10, 20)
}
