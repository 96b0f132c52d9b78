package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
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

// bounded limits the connections of a listener. Further callers wait in the queue of
// the kernel.
type bounded struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func bound(l net.Listener, connections int) net.Listener {
	return &bounded{Listener: l, slots: make(chan struct{}, connections), closed: make(chan struct{})}
}

func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.slots <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	conn, err := b.Listener.Accept()
	if err != nil {
		<-b.slots
		return nil, err
	}
	return &slotted{Conn: conn, release: sync.OnceFunc(func() { <-b.slots })}, nil
}

func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

// A slotted connection frees its slot when it is closed.
type slotted struct {
	net.Conn
	release func()
}

func (s *slotted) Close() error {
	defer s.release()
	return s.Conn.Close()
}
