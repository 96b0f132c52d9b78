package sip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"freeswitch-security/engine/plugin"
)

// redialEvery is the pause between two attempts to find the address of a name.
const redialEvery = time.Minute

// A forwarder sends packets on as they came, over UDP. It never waits: what the socket does
// not take is dropped. The methods of a nil forwarder do nothing.
type forwarder struct {
	to     string // host and port
	conn   atomic.Pointer[net.UDPConn]
	failed atomic.Pointer[error] // the latest failure that was not reported

	waiting []ipv4.Message // until flush; the lock of the follower guards it
}

// connect opens the socket, and closes it when ctx ends. It retries while the name is unknown.
func (f *forwarder) connect(ctx context.Context) {
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "udp", f.to)
		if err == nil {
			f.conn.Store(conn.(*net.UDPConn))
			<-ctx.Done()
			conn.Close()
			return
		}
		f.failed.Store(&err)
		if !plugin.Rest(ctx, redialEvery, nil) {
			return
		}
	}
}

// isSender reports whether a packet comes from the forwarder itself.
func (f *forwarder) isSender(sender netip.AddrPort) bool {
	if f == nil {
		return false
	}
	conn := f.conn.Load()
	return conn != nil && conn.LocalAddr().(*net.UDPAddr).AddrPort() == sender
}

// add notes a packet, whose bytes must not change before flush.
func (f *forwarder) add(data []byte) {
	if f != nil {
		f.waiting = append(f.waiting, ipv4.Message{Buffers: [][]byte{data}})
	}
}

// flush sends what was added, and returns how many packets could not be sent.
func (f *forwarder) flush() (dropped uint64) {
	if f == nil || len(f.waiting) == 0 {
		return 0
	}
	left := f.waiting
	f.waiting = f.waiting[:0]
	conn := f.conn.Load()
	if conn == nil {
		return uint64(len(left))
	}
	for out := ipv4.NewPacketConn(conn); len(left) > 0; {
		n, err := out.WriteBatch(left, unix.MSG_DONTWAIT)
		if err == nil && n > 0 {
			left = left[n:]
			continue
		}
		f.failed.Store(&err)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, net.ErrClosed) {
			return dropped + uint64(len(left))
		}
		dropped++ // or the port was closed to a packet before this one
		left = left[1:]
	}
	return dropped
}

// fault says why packets were not sent since the last call.
func (f *forwarder) fault() string {
	if err := f.failed.Swap(nil); err != nil && *err != nil {
		return "packets are not forwarded to " + f.to + ": " + (*err).Error()
	}
	return ""
}
