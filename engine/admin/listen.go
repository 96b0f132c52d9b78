package admin

import (
	linked "container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Open opens the TCP listener and the unix socket, as far as they are set. What could be opened is returned together with
// the error, so that a missing address does not disable the command line too.
func (c *Config) Open(ctx context.Context) (open []net.Listener, err error) {
	var errs []error
	if c.Listen != "" {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
		if err != nil {
			errs = append(errs, fmt.Errorf("admin: %w", err))
		} else {
			open = append(open, l)
		}
	}
	if c.Socket != "" {
		l, err := c.openSocket(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("admin: socket: %w", err))
		} else {
			open = append(open, l)
		}
	}
	return open, errors.Join(errs...)
}

// openSocket makes the unix socket. It replaces one that an earlier run has left.
func (c *Config) openSocket(ctx context.Context) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(c.Socket), 0o755); err != nil {
		return nil, err
	}
	if err := removeDead(ctx, c.Socket); err != nil {
		return nil, err
	}
	// The mode is set before the socket has a name, so that others can never connect. The
	// umask can only remove bits from it.
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		return errors.Join(raw.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), uint32(c.SocketMode)) }), err)
	}}
	l, err := config.Listen(ctx, "unix", c.Socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(c.Socket, c.SocketMode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// removeDead removes a socket that has no listener.
func removeDead(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s exists and is no socket", path)
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close() // this was only a test
		return fmt.Errorf("%s: another program listens there", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// bounded limits the connections of a listener. Beyond the limit it closes the one that has waited
// longest for a request. While none waits, further callers do, in the queue of the kernel.
type bounded struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex  // guards all below
	waiting linked.List // of *slotted, without a request, the longest first
	full    bool        // a caller waits for a slot
}

func bound(l net.Listener, connections int) net.Listener {
	return &bounded{Listener: l, slots: make(chan struct{}, connections), closed: make(chan struct{})}
}

func (b *bounded) Accept() (net.Conn, error) {
	conn, err := b.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case b.slots <- struct{}{}:
	default:
		b.makeRoom()
		select {
		case b.slots <- struct{}{}:
			b.hasRoom()
		case <-b.closed:
			return nil, errors.Join(net.ErrClosed, conn.Close())
		}
	}
	return &slotted{Conn: conn, listener: b, release: sync.OnceFunc(func() { <-b.slots })}, nil
}

// makeRoom closes the connection that has waited longest, now or once there is one.
func (b *bounded) makeRoom() {
	b.mu.Lock()
	longest := b.waiting.Front()
	b.full = longest == nil
	b.mu.Unlock()
	if longest != nil {
		_ = longest.Value.(*slotted).Close() // the caller sees it
	}
}

func (b *bounded) hasRoom() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.full = false
}

func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

// A slotted connection frees its slot when it is closed.
type slotted struct {
	net.Conn
	listener *bounded
	release  func()
	waits    *linked.Element // in listener.waiting; guarded by its mutex
}

func (s *slotted) Close() error {
	s.wait(false)
	defer s.release()
	return s.Conn.Close()
}

// wait notes whether the connection waits for a request, and reports whether its slot is needed.
func (s *slotted) wait(waits bool) (needed bool) {
	b := s.listener
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.waits != nil {
		b.waiting.Remove(s.waits)
		s.waits = nil
	}
	if !waits {
		return false
	}
	if needed, b.full = b.full, false; !needed {
		s.waits = b.waiting.PushBack(s)
	}
	return needed
}

// noteState notes whether a connection waits for a request. net/http takes one as waiting until it
// has read a whole header.
func noteState(conn net.Conn, state http.ConnState) {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	s, ok := conn.(*slotted)
	if ok && s.wait(state == http.StateNew || state == http.StateIdle) {
		_ = s.Close() // the caller sees it
	}
}
