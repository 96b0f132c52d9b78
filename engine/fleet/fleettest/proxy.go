package fleettest

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// A Proxy stands between one node and the server, and drops what it is told to.
type Proxy struct {
	listener net.Listener
	server   string

	mu    sync.Mutex
	conns []net.Conn
	cut   bool
}

// NewProxy starts a proxy to the server, until the test ends.
func (s *Server) NewProxy(t testing.TB) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, server: fmt.Sprintf("127.0.0.1:%d", s.Options.Port)}
	go p.serve()
	t.Cleanup(func() {
		_ = l.Close()
		p.Cut(true)
	})
	return p
}

// URL returns the address of the proxy.
func (p *Proxy) URL() string { return "nats://" + p.listener.Addr().String() }

// Cut ends all connections, and accepts no further ones until it is called with false.
func (p *Proxy) Cut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

func (p *Proxy) serve() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", p.server)
		if err != nil || !p.keep(c, to) {
			_ = c.Close()
			continue
		}
		for _, pair := range [][2]net.Conn{{c, to}, {to, c}} {
			go func() {
				_, _ = io.Copy(pair[0], pair[1])
				_ = pair[0].Close()
			}()
		}
	}
}

// keep notes a connection, and reports whether it may go on.
func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, conns...)
	if p.cut {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	return !p.cut
}
