package sip

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
	"freeswitch-security/sources/sip/hep"
	"freeswitch-security/sources/sip/packet"

	"golang.org/x/sys/unix"
)

// A sink passes events on. It takes none while the test does not receive.
type sink chan *event.Event

func (s sink) Emit(e *event.Event) { s <- e }
func (s sink) Position([]byte)     {}

// A listening is a source that is followed on ports of loopback.
type listening struct {
	*follower
	events sink
	udp    *net.UDPConn // to the source
}

// listen follows a source with the block body until the test ends.
func listen(t *testing.T, body string) *listening {
	t.Helper()
	s := made(t, body)
	s.listen, s.local = netip.MustParseAddrPort("127.0.0.1:0"), []netip.Prefix{netip.MustParsePrefix("198.51.100.5/32")}
	sockets, err := open(t.Context(), s.listen)
	if err != nil {
		t.Fatal(err)
	}
	l := &listening{events: make(sink)}
	l.follower = s.newFollower(plugin.Stream{Sink: l.events, Progress: new(plugin.Progress)}, sockets)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for {
			select {
			case <-l.events:
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
				return
			}
		}
	})
	l.udp = l.dial(t, "udp", sockets.udp.LocalAddr()).(*net.UDPConn)
	return l
}

func (l *listening) dial(t *testing.T, network string, to net.Addr) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// await waits until the status is as it should be.
func (l *listening) await(t *testing.T, what string, is func(status.Source) bool) status.Source {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		s := l.progress.Status()
		if is(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %+v", what, s)
		}
	}
}

// has reports whether the status has a problem with the text.
func has(s status.Source, text string) bool {
	for _, p := range s.Problems {
		if strings.Contains(p.Text, text) {
			return true
		}
	}
	return false
}

// options is a request of the host 203.0.113.n.
func options(n int) *packet.Packet {
	return &packet.Packet{
		Time: noon.Add(time.Duration(n) * time.Second), From: netip.MustParseAddrPort(fmt.Sprintf("203.0.113.%d:5060", n)), To: netip.MustParseAddrPort("198.51.100.5:5060"),
		Payload: fmt.Appendf(nil, "OPTIONS sip:100@198.51.100.5 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bK%d\r\nFrom: <sip:100@198.51.100.5>;tag=%d\r\n"+
			"To: <sip:100@198.51.100.5>\r\nCall-ID: %d\r\nCSeq: 1 OPTIONS\r\nUser-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n", n, n, n),
	}
}

func (l *listening) expect(t *testing.T, n int) {
	t.Helper()
	select {
	case e := <-l.events:
		if want := fmt.Sprintf("203.0.113.%d", n); e.IP.String() != want || e.Source != "sip.wire" || e.Name != event.SIPRequest || !e.Live || !e.Time.Equal(options(n).Time) {
			t.Errorf("%+v; want a request of %s", e, want)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("no event")
	}
}

func TestFollow(t *testing.T) {
	l := listen(t, "")
	if s := l.progress.Status(); !has(s, "no SIP message was mirrored") || s.Problems[0].Severity != status.Info {
		t.Errorf("%+v", s.Problems)
	}
	if h := l.progress.Hearing(); !h.Events.IsZero() {
		t.Errorf("heard since %s", h.Events)
	}
	l.udp.Write(hep.Append(nil, options(1)))
	l.expect(t, 1)
	tcp := l.dial(t, "tcp", l.sockets.tcp.Addr())
	tcp.Write(append(hep.Append(nil, options(2)), hep.Append(nil, options(3))...))
	l.expect(t, 2)
	l.expect(t, 3)
	s := l.await(t, "three packets", func(s status.Source) bool { return s.Lines == 3 && s.Events == 3 })
	if len(s.Problems) > 0 || s.Skipped > 0 || s.Lost > 0 {
		t.Errorf("%+v", s)
	}
	if h := l.progress.Hearing(); h.Events.IsZero() {
		t.Error("not heard")
	}
	l.udp.Write([]byte("no HEP at all"))
	l.await(t, "what is no HEP", func(s status.Source) bool {
		return s.Skipped == 1 && has(s, "cannot be read are discarded, such as those of 127.0.0.1")
	})
	tcp.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	if n, err := tcp.Read(make([]byte, 1)); err == nil {
		t.Errorf("the connection is open, and %d bytes came", n)
	}
	l.udp.Write(hep.Append(nil, options(4)))
	l.expect(t, 4)
}

func TestKey(t *testing.T) {
	l := listen(t, `key = secret`)
	l.udp.Write(hep.Append(nil, options(1)))
	l.udp.Write(hep.AppendKey(nil, options(2), "geheim"))
	s := l.await(t, "wrong keys", func(s status.Source) bool { return s.Skipped == 2 })
	if !has(s, "without the right key are discarded, such as those of 127.0.0.1") || has(s, "eheim") {
		t.Errorf("%+v", s.Problems)
	}
	l.udp.Write(hep.AppendKey(nil, options(3), "Geheim"))
	l.expect(t, 3)
	tcp := l.dial(t, "tcp", l.sockets.tcp.Addr())
	tcp.Write(append(hep.Append(nil, options(4)), hep.AppendKey(nil, options(5), "Geheim")...))
	l.expect(t, 5)
}

func TestFrom(t *testing.T) {
	l := listen(t, `from = "192.0.2.1"`)
	l.udp.Write(hep.Append(nil, options(1)))
	s := l.await(t, "a stranger", func(s status.Source) bool { return s.Skipped == 1 })
	if !has(s, "outside `from` are discarded, such as those of 127.0.0.1") {
		t.Errorf("%+v", s.Problems)
	}
	if n, err := l.dial(t, "tcp", l.sockets.tcp.Addr()).Read(make([]byte, 1)); err == nil {
		t.Errorf("the connection is open, and %d bytes came", n)
	}
	if s := l.progress.Status(); s.Events > 0 || l.queue.Len() > 0 {
		t.Errorf("an event: %+v", s)
	}
}

// TestAllAddresses listens on all addresses of both families, where IPv4 senders are mapped.
func TestAllAddresses(t *testing.T) {
	s := made(t, "listen = \"[::]:9060\"\nfrom = [\"127.0.0.1\", \"::1\"]")
	sockets, err := open(t.Context(), netip.MustParseAddrPort("[::]:0"))
	if err != nil {
		t.Skip(err) // a host without IPv6
	}
	l := &listening{events: make(sink)}
	l.follower = s.newFollower(plugin.Stream{Sink: l.events, Progress: new(plugin.Progress)}, sockets)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go l.run(ctx)
	for i, host := range []string{"127.0.0.1", "::1"} {
		for j, network := range []string{"udp", "tcp"} {
			port := sockets.udp.LocalAddr().(*net.UDPAddr).Port
			if network == "tcp" {
				port = sockets.tcp.Addr().(*net.TCPAddr).Port
			}
			conn, err := net.Dial(network, net.JoinHostPort(host, fmt.Sprint(port)))
			if err != nil {
				t.Skip(err)
			}
			defer conn.Close()
			conn.Write(hep.Append(nil, options(2*i+j)))
			l.expect(t, 2*i+j)
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	l := listen(t, "")
	var all []net.Conn
	for i := range maxPerClient + 1 {
		all = append(all, l.dial(t, "tcp", l.sockets.tcp.Addr()))
		all[i].Write(hep.Append(nil, options(i)))
		if i < maxPerClient {
			l.expect(t, i)
		}
	}
	if n, err := all[maxPerClient].Read(make([]byte, 1)); err == nil {
		t.Errorf("the connection is open, and %d bytes came", n)
	}
	l.await(t, "a refused connection", func(s status.Source) bool { return has(s, "connections beyond 64, or 16 of one address, are closed") })
	all[0].Close()
	l.await(t, "a free place", func(status.Source) bool {
		l.conns.mu.Lock()
		defer l.conns.mu.Unlock()
		return l.conns.all == maxPerClient-1
	})
	l.dial(t, "tcp", l.sockets.tcp.Addr()).Write(hep.Append(nil, options(99)))
	l.expect(t, 99)
}

func TestForward(t *testing.T) {
	homer, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer homer.Close()
	l := listen(t, fmt.Sprintf("forward = %q\nkey = \"a\"", homer.LocalAddr()))
	l.await(t, "a socket", func(status.Source) bool { return l.forward.conn.Load() != nil })
	want := hep.AppendKey(nil, options(1), "a")
	l.udp.Write(hep.AppendKey(nil, options(2), "b"))
	l.udp.Write(want)
	homer.SetReadDeadline(time.Now().Add(30 * time.Second))
	got := make([]byte, maxDatagram)
	n, err := homer.Read(got)
	if err != nil || string(got[:n]) != string(want) {
		t.Errorf("%q, %v", got[:n], err)
	}
	l.dial(t, "tcp", l.sockets.tcp.Addr()).Write(want)
	if n, err = homer.Read(got); err != nil || string(got[:n]) != string(want) {
		t.Errorf("of a connection: %q, %v", got[:n], err)
	}
	homer.Close()
	l.await(t, "a closed port", func(s status.Source) bool {
		l.udp.Write(want) // the kernel reports with a packet that the port was closed to the one before
		return has(s, "not forwarded to 127.0.0.1:") && has(s, "connection refused") && s.Unsent > 0
	})
}

// TestForwardToItself uses a name, whose address New does not know.
func TestForwardToItself(t *testing.T) {
	sockets, err := open(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	s, progress := made(t, ""), new(plugin.Progress)
	s.forward = fmt.Sprintf("localhost:%d", sockets.udp.LocalAddr().(*net.UDPAddr).Port)
	l := &listening{follower: s.newFollower(plugin.Stream{Sink: make(sink, 100), Progress: progress}, sockets)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go l.run(ctx)
	l.await(t, "a socket", func(status.Source) bool { return l.forward.conn.Load() != nil })
	l.dial(t, "udp", sockets.udp.LocalAddr()).Write(hep.Append(nil, options(1)))
	got := l.await(t, "the echo", func(s status.Source) bool { return has(s, "comes back to this source") })
	if got.Lines != 1 {
		t.Errorf("%+v", got)
	}
}

// TestQueue fills the queue of a source whose engine is busy.
func TestQueue(t *testing.T) {
	l := listen(t, "queue = 100")
	const all = 250
	for i := range all {
		l.udp.Write(hep.Append(nil, options(i)))
		l.await(t, "a packet", func(s status.Source) bool { return s.Lines == uint64(i)+1 })
	}
	if s := l.progress.Status(); s.Lost < all-102 || s.Lost > all-100 {
		t.Errorf("%d of %d lost", s.Lost, all)
	}
}

func TestPortInUse(t *testing.T) {
	l := listen(t, "")
	_, err := open(t.Context(), l.sockets.udp.LocalAddr().(*net.UDPAddr).AddrPort())
	if err == nil || !strings.Contains(err.Error(), "address already in use: another program has this port") {
		t.Error(err)
	}
	if _, err := open(t.Context(), netip.MustParseAddrPort("192.0.2.1:9060")); err == nil || !strings.Contains(err.Error(), "set `listen` to an address of this host") {
		t.Error(err)
	}
	if _, err := open(t.Context(), l.sockets.tcp.Addr().(*net.TCPAddr).AddrPort()); err == nil {
		t.Error("the port of TCP is in use")
	}
}

// TestKernelDrops fills the buffer of the kernel while the source is busy.
func TestKernelDrops(t *testing.T) {
	l := listen(t, "")
	unix.SetsockoptInt(l.sockets.udp.wait.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1) // the least that the kernel allows
	l.mu.Lock()
	sent := uint64(0)
	send := func() {
		l.udp.Write(hep.Append(nil, options(1)))
		sent++
	}
	for range 500 {
		send()
	}
	l.mu.Unlock()
	go func() {
		for range l.events {
		}
	}()
	s := l.await(t, "dropped packets", func(s status.Source) bool {
		send() // the kernel says what it dropped with the next packet
		return s.Lost > 0
	})
	if !has(s, "the kernel dropped packets, because the guard was busy and its buffer of") {
		t.Errorf("%+v", s.Problems)
	}
	l.await(t, "all packets", func(s status.Source) bool {
		send()
		return s.Lines+s.Lost > sent*9/10
	})
	if h := l.progress.Hearing(); time.Since(h.Events) > time.Minute {
		t.Errorf("heard since %s", h.Events)
	}
}

// TestSides hears packets that have no switch.
func TestSides(t *testing.T) {
	l := listen(t, "")
	l.mu.Lock()
	defer l.mu.Unlock()
	p := options(1)
	p.To = netip.MustParseAddrPort("192.0.2.1:5060")
	for range minAstray {
		l.hear(netip.MustParseAddr("127.0.0.1"), nil, p, nil)
	}
	l.judgeSides()
	if s := l.progress.Status(); !has(s, "set `switch` to its addresses") {
		t.Errorf("%+v, %+v", s.Problems, l.table.Counts())
	}
}
