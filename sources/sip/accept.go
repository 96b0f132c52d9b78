package sip

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/sip/hep"
	"freeswitch-security/sources/sip/packet"
)

// Bounds of the connections of agents. Each holds one message in memory.
const (
	maxConnections = 64
	maxPerClient   = 16
	idleTime       = 15 * time.Minute // without a complete message
)

// connections counts those that are open.
type connections struct {
	mu     sync.Mutex // guards the fields below
	all    int
	client map[netip.Addr]int
}

// add counts a connection, unless there are too many.
func (c *connections) add(client netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= maxConnections || c.client[client] >= maxPerClient {
		return false
	}
	if c.client == nil {
		c.client = map[netip.Addr]int{}
	}
	c.all++
	c.client[client]++
	return true
}

// remove takes back a connection that was added.
func (c *connections) remove(client netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.client[client]--; c.client[client] == 0 {
		delete(c.client, client)
	}
}

// accept serves connections until ctx ends.
func (f *follower) accept(ctx context.Context) {
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		conn, err := f.sockets.tcp.AcceptTCP()
		if ctx.Err() != nil {
			return
		}
		if err != nil { // such as too many open files
			f.problem("tcp", "connections are not accepted: "+err.Error())
			plugin.Rest(ctx, time.Second, nil)
			continue
		}
		serving.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			f.serve(conn)
		})
	}
}

// serve reads the messages of one connection.
func (f *follower) serve(conn *net.TCPConn) {
	client := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	if !f.accepts(client) {
		f.problem("from", "connections of senders outside `from` are closed, such as one of "+client.String())
		return
	}
	if !f.conns.add(client) {
		f.problem("tcp", fmt.Sprintf("connections beyond %d, or %d of one address, are closed, such as one of %s", maxConnections, maxPerClient, client))
		return
	}
	defer f.conns.remove(client)
	for reader, p := hep.NewReader(conn, f.key), new(packet.Packet); ; {
		conn.SetReadDeadline(time.Now().Add(idleTime))
		err := reader.Next(p)
		if reader.Datagram() == nil {
			return // the connection ended, or what it sends is not HEP
		}
		f.takeOne(client, reader.Datagram(), p, err)
	}
}

func (f *follower) problem(about, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.progress.fault(about, text)
}
