package admin

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
)

// An inMemory is a listener that needs no network, so that what is said over its
// connections takes only the time of the bubble that they are in.
type inMemory struct {
	dialled chan net.Conn
	closed  chan struct{}
	once    sync.Once // closes closed
}

func newInMemory() *inMemory {
	const backlog = 16
	return &inMemory{dialled: make(chan net.Conn, backlog), closed: make(chan struct{})}
}

func (l *inMemory) Accept() (net.Conn, error) {
	select {
	case conn := <-l.dialled:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *inMemory) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *inMemory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

// A local is the end of a connection that says it is between two programs of this
// host.
type local struct{ net.Conn }

func (local) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }
func (local) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }

// inMemory serves on a listener in memory until the test ends.
func (l *lab) inMemory() *inMemory {
	listener := newInMemory()
	l.start(listener)
	return listener
}

// dial returns the caller's end of a new connection.
func (l *inMemory) dial() net.Conn {
	caller, server := net.Pipe()
	l.dialled <- local{server}
	return caller
}

// get asks for something whose answer is read until the test ends.
func (l *inMemory) get(t *testing.T, path string) *http.Response {
	t.Helper()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return l.dial(), nil }}
	answer, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		answer.Body.Close()
		transport.CloseIdleConnections()
	})
	return answer
}
