package sip

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// A udpListener is a UDP socket that a thread of its own waits for. Go's poller would wake the process
// for each datagram, also during the pauses between two reads.
type udpListener struct {
	*net.UDPConn // closed: its address remains
	wait         waiter
}

// A waiter gives the socket to a [golang.org/x/net/ipv4.PacketConn]. One goroutine reads.
type waiter struct {
	fd     int
	end    *os.File    // an eventfd: the socket is closed
	closed atomic.Bool // so is it while datagrams wait
}

// newUDPListener takes the socket over.
func newUDPListener(c *net.UDPConn) (*udpListener, error) {
	defer c.Close() // takes it from the poller
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	l := &udpListener{UDPConn: c}
	var failed error
	if err := raw.Control(func(fd uintptr) { l.wait.fd, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, os.NewSyscallError("fcntl", failed)
	}
	end, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(l.wait.fd)
		return nil, os.NewSyscallError("eventfd", err)
	}
	l.wait.end = os.NewFile(uintptr(end), "eventfd")
	return l, nil
}

// SyscallConn implements [syscall.Conn].
func (l *udpListener) SyscallConn() (syscall.RawConn, error) { return &l.wait, nil }

// Close ends a read. Any goroutine may call it.
func (l *udpListener) Close() error {
	l.wait.closed.Store(true)
	_, err := l.wait.end.Write([]byte{1, 1, 1, 1, 1, 1, 1, 1}) // any number but 0
	return err
}

// free frees the socket. Nothing reads it any more.
func (l *udpListener) free() {
	_ = unix.Close(l.wait.fd)
	_ = l.wait.end.Close()
}

// Read implements [syscall.RawConn].
func (w *waiter) Read(read func(fd uintptr) (done bool)) error {
	both := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}, {Fd: int32(w.end.Fd()), Events: unix.POLLIN}}
	for !w.closed.Load() {
		if read(uintptr(w.fd)) {
			return nil
		}
		if _, err := unix.Poll(both, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("poll", err)
		}
	}
	return net.ErrClosed
}

// Control implements [syscall.RawConn].
func (w *waiter) Control(do func(fd uintptr)) error {
	do(uintptr(w.fd))
	return nil
}

// Write implements [syscall.RawConn]. Nothing is sent.
func (w *waiter) Write(func(fd uintptr) (done bool)) error { return errors.ErrUnsupported }
