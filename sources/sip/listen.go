package sip

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"freeswitch-security/engine/clock"
)

const (
	receiveBuffer = 16 << 20 // bytes that the kernel may hold: some 6,000 packets
	batchSize     = 64       // datagrams read at once
	maxDatagram   = 64 << 10

	// pulse is the time between two reads while datagrams come faster than that: each wake-up
	// takes more processor time than a packet.
	pulse = 2 * time.Millisecond
)

// sockets are the two listeners of a source: agents choose UDP or TCP.
type sockets struct {
	udp    *udpListener
	tcp    *net.TCPListener
	buffer int // bytes that the kernel grants
}

// open binds both listeners. The port of the error is in use by another program, as a rule.
func open(ctx context.Context, at netip.AddrPort) (*sockets, error) {
	s := &sockets{}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { s.buffer = enlarge(int(fd)) })
	}}
	udp, err := config.ListenPacket(ctx, "udp", at.String())
	if err != nil {
		return nil, explainBind(err)
	}
	if s.udp, err = newUDPListener(udp.(*net.UDPConn)); err != nil {
		return nil, err
	}
	tcp, err := new(net.ListenConfig).Listen(ctx, "tcp", at.String())
	if err != nil {
		s.udp.free()
		return nil, explainBind(err)
	}
	s.tcp = tcp.(*net.TCPListener)
	return s, nil
}

// explainBind says what to do about a listener that cannot be opened.
func explainBind(err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%w: another program has this port, such as heplify-server of Homer: set `listen` to another port and mirror to it, or have that program moved and set `forward` to it", err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%w: set `listen` to an address of this host", err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: set `listen` to a port above 1023", err)
	}
	return err
}

// enlarge enlarges the receive buffer as far as the kernel allows, and has the kernel report
// what it drops. It returns the size of the buffer.
func enlarge(fd int) int {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil { // needs CAP_NET_ADMIN
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer) // up to net.core.rmem_max
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
	size, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	return size / 2 // the kernel doubles it for its own data
}

// capacity says in words how much the kernel may hold, and how that is changed.
func (s *sockets) capacity() string {
	if s.buffer >= receiveBuffer {
		return fmt.Sprintf("its buffer of %d kB was full", s.buffer>>10)
	}
	return fmt.Sprintf("its buffer of %d kB was full: set net.core.rmem_max to %d, or run the guard with CAP_NET_ADMIN", s.buffer>>10, receiveBuffer)
}

func (s *sockets) close() {
	s.udp.Close()
	s.tcp.Close()
}

// receive reads datagrams in batches until the socket is closed, and frees it. dropped is how many the
// kernel has dropped since the socket was opened, modulo 2³².
func (s *sockets) receive(take func(batch []ipv4.Message, dropped uint32)) error {
	defer s.udp.free()
	conn, dropped := ipv4.NewPacketConn(s.udp), uint32(0)
	batch, naps := make([]ipv4.Message, batchSize), clock.Napper{}
	for i := range batch {
		batch[i].Buffers, batch[i].OOB = [][]byte{make([]byte, maxDatagram)}, make([]byte, unix.CmsgSpace(4))
	}
	for {
		began := time.Now()
		n, err := conn.ReadBatch(batch, 0)
		if err != nil {
			return err
		}
		if last := &batch[n-1]; last.NN > 0 {
			dropped = overflow(last.OOB[:last.NN], dropped)
		}
		busy := time.Since(began) < pulse
		take(batch[:n], dropped)
		if busy && n < batchSize {
			naps.Nap(pulse)
		}
	}
}

// overflow returns the counter of dropped datagrams in the control messages of one.
func overflow(control []byte, before uint32) uint32 {
	messages, _ := unix.ParseSocketControlMessage(control) // the kernel's own
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_RXQ_OVFL && len(m.Data) >= 4 {
			return binary.NativeEndian.Uint32(m.Data)
		}
	}
	return before
}
