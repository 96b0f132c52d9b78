package tail

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// mkfifo makes a named pipe at the path of the log and opens it as a writer, once the
// follower reads it.
func (l *logger) mkfifo() {
	l.T.Helper()
	l.Must(syscall.Mkfifo(l.Path, 0o600))
}

// TestFifo checks that a named pipe is read through the ends of its writers, and in the
// place of a file and before one.
func TestFifo(t *testing.T) {
	l := newLogger(t)
	l.mkfifo()
	f := follow(t, l.Path, nil, testPace())
	for range 3 {
		l.Open()
		l.Lines(10)
		l.Close()
		f.checkAll(l)
	}
	for _, next := range []func(){l.Open, l.mkfifo, l.mkfifo, l.Open} {
		l.Must(os.Rename(l.Path, l.Path+".1"))
		next()
		l.Open()
		l.Lines(10)
		f.checkAll(l)
	}
	f.stop()
	if f.position == nil {
		t.Error("no position in the file at the end")
	}
}

// TestFifoResume checks that a follower that finds a pipe in the place of its file begins
// with what is written now, and leaves no position.
func TestFifoResume(t *testing.T) {
	l, p := leave(t)
	l.Must(os.Rename(l.Path, l.Path+".1"))
	l.mkfifo()
	f := follow(t, l.Path, p, testPace())
	<-f.begun
	l.Open()
	l.Lines(10)
	f.wait(10)
	f.checkOnce(100, 110)
	f.stop()
	if !bytes.Equal(f.position, p) {
		t.Errorf("position %s", f.position)
	}
}

// TestFifoReadOnly checks that a pipe that may not be written to does not end with its
// writer.
func TestFifoReadOnly(t *testing.T) {
	l := newLogger(t)
	l.mkfifo()
	file, err := os.OpenFile(l.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	l.Must(err)
	p := newPipe(fifo{file}, nil)
	for range 3 {
		l.Open()
		l.Write("a line\n")
		l.Close()
		<-p.fresh
		if n, _, err := p.take(make([]byte, 100)); n != 7 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	p.close()
	file.Close()
}

// TestFullPipe checks that a writer never waits for the consumer, that no line is cut, and
// that each line is taken or counted.
func TestFullPipe(t *testing.T) {
	r, w := io.Pipe()
	var mu sync.Mutex
	lost := 0
	p := newPipe(r, func(lines int) {
		mu.Lock()
		defer mu.Unlock()
		lost += lines
	})
	const all = 60_000
	text := strings.Repeat("x", 100)
	for n := range all { // in pieces that do not end where lines do
		line := strconv.Itoa(n) + text + "\n"
		_, _ = io.WriteString(w, line[:50])
		_, _ = io.WriteString(w, line[50:])
	}
	w.Close()
	var got bytes.Buffer
	buf := make([]byte, 1000)
	for {
		n, _, err := p.take(buf)
		got.Write(buf[:n])
		if err != nil {
			break
		}
	}
	if got.Len() > maxPiped+200 || got.Len() < maxPiped-200 {
		t.Errorf("%d bytes were held", got.Len())
	}
	last := -1
	for line := range strings.Lines(got.String()) {
		n, err := strconv.Atoi(strings.TrimSuffix(line, text+"\n"))
		if err != nil || n <= last {
			t.Fatalf("%q after line %d", line, last)
		}
		last = n
	}
	if taken := bytes.Count(got.Bytes(), []byte{'\n'}); taken+lost != all || lost == 0 {
		t.Errorf("%d lines taken, %d lost, of %d", taken, lost, all)
	}
}

// TestLongLineOfPipe checks that a line of any length takes no more memory than the bound,
// and that the next one is not read as its end.
func TestLongLineOfPipe(t *testing.T) {
	r, w := io.Pipe()
	lost := 0
	p := newPipe(r, func(lines int) { lost += lines })
	part := strings.Repeat("y", 64<<10)
	for range 200 {
		_, _ = io.WriteString(w, part)
	}
	_, _ = io.WriteString(w, "\nnext\n")
	w.Close()
	got, err := io.ReadAll(readerOf{p})
	if err != nil || len(got) > maxPiped+10 || !bytes.HasSuffix(got, []byte("y\n")) && !bytes.HasSuffix(got, []byte("y\nnext\n")) {
		t.Errorf("%d bytes, the last %q, %v", len(got), got[max(0, len(got)-10):], err)
	}
}

type readerOf struct{ *pipe }

func (r readerOf) Read(p []byte) (n int, err error) {
	for n == 0 && err == nil {
		n, _, err = r.take(p)
	}
	return n, err
}
