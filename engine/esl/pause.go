package esl

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"freeswitch-security/engine/clock"
)

// pulse is the time between two reads while reports come more often: each wake-up takes more
// processor time than a report.
const pulse = 4 * time.Millisecond

// unheard is how many bytes may arrive during a pause before the kernel wakes the process for them.
const unheard = 256 << 10

// A pausing reads from a connection. Deadlines and Close of the connection end a read.
//
// Trap: Go's poller, and with it the process, wakes up for all that arrives at a socket, also if
// no goroutine waits for it.
type pausing struct {
	raw   syscall.RawConn
	deaf  bool      // the kernel wakes it for no less than unheard
	full  bool      // the last read may have taken less than there was
	began time.Time // when it read last
	naps  clock.Napper
}

func newPausing(c net.Conn) (*pausing, error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("%T is no socket", c)
	}
	raw, err := s.SyscallConn()
	return &pausing{raw: raw}, err
}

// Read waits for data, as the Read of the connection.
func (p *pausing) Read(into []byte) (n int, err error) {
	p.began = time.Now()
	ended := p.raw.Read(func(fd uintptr) bool {
		for {
			n, err = unix.Read(int(fd), into)
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			case !errors.Is(err, unix.EAGAIN):
				return true
			case !p.deaf:
				return false
			}
			p.deaf = false
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, 1) // not all kernels wake for what has come meanwhile
		}
	})
	p.full = n == len(into)
	switch {
	case ended != nil:
		return 0, ended
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0 && len(into) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// pause waits for a while, unless the last read waited for long, or there may be more to read. What arrives
// meanwhile wakes nothing.
func (p *pausing) pause() {
	if p.full || time.Since(p.began) >= pulse {
		return
	}
	if !p.deaf {
		_ = p.raw.Control(func(fd uintptr) {
			p.deaf = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, unheard) == nil
		})
	}
	p.naps.Nap(pulse)
}
