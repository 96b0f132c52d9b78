package esl

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// TestPausing reads what arrives before, in and after a pause, as soon as it is there. It would miss
// its deadline if the kernel still held back the wake-up after a pause.
func TestPausing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialed, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialed.Close()
	peer, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	p, err := newPausing(dialed)
	if err != nil {
		t.Fatal(err)
	}
	_ = dialed.SetReadDeadline(time.Now().Add(30 * time.Second))
	buf := make([]byte, 16)
	arrives := func(when, text string) {
		t.Helper()
		if n, err := p.Read(buf); err != nil || string(buf[:n]) != text {
			t.Fatalf("%s: %q, %v", when, buf[:n], err)
		}
	}
	for range 3 {
		io.WriteString(peer, "a")
		arrives("before a pause", "a")
		io.WriteString(peer, "b")
		p.began = time.Now()
		if p.pause(); !p.deaf {
			t.Fatal("it hears while it pauses")
		}
		arrives("in a pause", "b")
		time.AfterFunc(2*pulse, func() { io.WriteString(peer, "c") }) // most often it waits by then
		if arrives("after a pause", "c"); p.deaf {
			t.Fatal("it has waited, and does not hear")
		}
		p.began = time.Now().Add(-pulse)
		if p.pause(); p.deaf {
			t.Fatal("it pauses after a long wait")
		}
	}
	io.WriteString(peer, "0123456789abcdef")
	arrives("as much as is read at once", "0123456789abcdef")
	p.began = time.Now()
	if p.pause(); p.deaf {
		t.Fatal("it pauses before all is read")
	}
	_ = dialed.SetReadDeadline(time.Now().Add(pulse))
	if _, err := p.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	_ = dialed.SetReadDeadline(time.Time{})
	peer.Close()
	if _, err := p.Read(buf); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// TestIdleBeforeEachRead checks that what a burst was collected for is not held back by a read that took as
// much as there was room for: the next one may wait.
func TestIdleBeforeEachRead(t *testing.T) {
	idle := 0
	r := tail{r: strings.NewReader("abcd"), idle: func() { idle++ }}
	for reads := 1; reads <= 2; reads++ {
		if r.Read(make([]byte, 4)); idle != reads {
			t.Errorf("%d reads, idle %d times", reads, idle)
		}
	}
}
