package esltest

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Stage is a point of the dialogue.
type Stage int

// The stages, in order.
const (
	Never   Stage = iota
	Connect       // a connection is accepted
	Auth          // the password has been asked for
	Ready         // the password has been accepted
)

// Options are the behaviour of a switch. The zero value is a healthy switch with
// FreeSWITCH's default password.
type Options struct {
	Password  string // "ClueCon" if empty
	RefuseACL bool   // the access list refuses every connection
	Mute      Stage  // nothing is sent from this stage on

	// API answers an `api` command, without the word api. If nil, no command is known.
	API func(command string) string

	// Heartbeat is the interval of HEARTBEAT events; 0: none.
	Heartbeat time.Duration

	Behind time.Duration // how far the switch's clock is behind

	// Shred is the seed of the random sizes of the pieces that are sent; 0: no pieces.
	Shred uint64
}

// A Switch is a fake event socket. It is safe for concurrent use.
type Switch struct {
	options   Options
	listener  net.Listener
	ended     context.Context
	end       context.CancelFunc
	accepting sync.WaitGroup
	serving   sync.WaitGroup
	hidden    atomic.Int32 // how many log levels are hidden, DEBUG first

	mu       sync.Mutex // guards all below
	conns    []*conn
	commands []string
	sequence int
}

// Start returns a switch that listens on a free port of the loopback until the test
// ends.
func Start(t testing.TB, options Options) *Switch {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return StartOn(t, listener, options)
}

// StartOn returns a switch that accepts connections of the listener until the test
// ends.
func StartOn(t testing.TB, listener net.Listener, options Options) *Switch {
	options.Password = cmp.Or(options.Password, "ClueCon")
	s := &Switch{options: options, listener: listener}
	s.ended, s.end = context.WithCancel(context.Background())
	s.accepting.Go(s.accept)
	if options.Heartbeat > 0 {
		s.serving.Go(s.beat)
	}
	t.Cleanup(s.Close)
	return s
}

func (s *Switch) accept() {
	for {
		accepted, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := newConn(s, accepted)
		s.mu.Lock()
		s.conns = append(s.conns, c)
		s.mu.Unlock()
		s.serving.Go(c.serve)
	}
}

func (s *Switch) beat() {
	for {
		select {
		case <-s.ended.Done():
			return
		case <-time.After(s.options.Heartbeat):
			s.Event("HEARTBEAT", map[string]string{"Event-Info": "System Ready"}, "")
		}
	}
}

// Close stops listening, drops all connections and waits until they have ended.
func (s *Switch) Close() {
	s.end()
	_ = s.listener.Close()
	s.accepting.Wait()
	s.Drop()
	s.serving.Wait()
}

// Addr returns the address on which it listens, "127.0.0.1:43210".
func (s *Switch) Addr() string { return s.listener.Addr().String() }

// Commands returns every command that was read, of all connections.
func (s *Switch) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands)
}

// Connections returns the number of open connections.
func (s *Switch) Connections() int { return len(s.open()) }

func (s *Switch) open() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

// Await waits until it has accepted a command of an open connection that begins with
// prefix: "log 4", "event json". It gives up after 10 s.
func (s *Switch) Await(ctx context.Context, prefix string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		for _, c := range s.open() {
			if c.hasAccepted(prefix) {
				return nil
			}
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("no connection had %q accepted: %w", prefix, ctx.Err())
		}
	}
}

// note records a command before it is answered.
func (s *Switch) note(c *conn, command string, accepted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, command)
	if accepted {
		c.accepted = append(c.accepted, command)
	}
}

func (c *conn) hasAccepted(prefix string) bool {
	c.sw.mu.Lock()
	defer c.sw.mu.Unlock()
	return slices.ContainsFunc(c.accepted, func(command string) bool { return strings.HasPrefix(command, prefix) })
}

func (s *Switch) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = slices.DeleteFunc(s.conns, func(other *conn) bool { return other == c })
}
