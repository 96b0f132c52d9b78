package esltest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Stage is a point of the dialogue.
type Stage int

// The stages, in their order.
const (
	Never   Stage = iota
	Connect       // a connection is accepted
	Auth          // the password has been asked for
	Ready         // the password has been accepted
)

// Options say how a switch behaves. The zero value is a healthy one with
// FreeSWITCH's own password.
type Options struct {
	Password  string // "ClueCon" if empty
	RefuseACL bool   // every connection is refused by the access list
	Mute      Stage  // from which point on nothing is said any more

	// API answers `api` commands, of which it is given all behind the word api. If
	// nil, no command is known.
	API func(command string) string

	// Heartbeat is how often HEARTBEAT is sent to whoever subscribed to it; 0: never.
	Heartbeat time.Duration

	// Shred is the seed by which all that is sent goes out in pieces of random
	// size; 0: in one piece each.
	Shred uint64
}

// A Switch is a fake event socket. Its methods may be called by several goroutines.
type Switch struct {
	options Options
	done    chan struct{} // closed by Close
	running sync.WaitGroup

	mu       sync.Mutex // guards what follows
	listener net.Listener
	conns    []*conn
	commands []string
	changed  chan struct{} // closed and replaced when a command was answered
	sequence int
}

// New returns a switch that does not listen yet.
func New(options Options) *Switch {
	options.Password = cmp.Or(options.Password, "ClueCon")
	return &Switch{options: options, done: make(chan struct{}), changed: make(chan struct{})}
}

// Start returns a switch that listens on a free port of the loopback, until the
// test ends.
func Start(t testing.TB, options Options) *Switch {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return StartOn(t, listener, options)
}

// StartOn returns a switch that listens there until the test ends.
func StartOn(t testing.TB, listener net.Listener, options Options) *Switch {
	s := New(options)
	s.listener = listener
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(listener)
	}()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	return s
}

// Serve accepts connections until Close, and then returns nil.
func (s *Switch) Serve(listener net.Listener) error {
	s.mu.Lock()
	s.listener = listener
	s.mu.Unlock()
	if s.options.Heartbeat > 0 {
		s.run(s.beat)
	}
	for {
		accepted, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		s.welcome(newConn(s, accepted))
	}
}

func (s *Switch) welcome(c *conn) {
	s.mu.Lock()
	s.conns = append(s.conns, c)
	s.mu.Unlock()
	started := s.run(func() {
		defer s.forget(c)
		c.serve()
	})
	if !started {
		_ = c.net.Close()
	}
}

// run starts what Close waits for, unless it has been called already.
func (s *Switch) run(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return false
	default:
		s.running.Go(f)
		return true
	}
}

// Close ends all connections without a word, stops listening, and waits for what
// is under way.
func (s *Switch) Close() {
	s.mu.Lock()
	select {
	case <-s.done:
	default:
		close(s.done)
	}
	if s.listener != nil {
		_ = s.listener.Close()
	}
	s.mu.Unlock()
	s.Drop()
	s.running.Wait()
}

// Addr is where it listens, "127.0.0.1:43210".
func (s *Switch) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listener.Addr().String()
}

// Commands returns every command that came in, whoever sent it, in the order in
// which they were read.
func (s *Switch) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands)
}

// Connections returns how many connections stand.
func (s *Switch) Connections() int { return len(s.standing()) }

// Await waits until some connection that stands has had a command accepted that
// begins with prefix: "log 4", "event json". It gives up after 10 s.
func (s *Switch) Await(ctx context.Context, prefix string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		s.mu.Lock()
		changed := s.changed
		for _, c := range s.conns {
			if slices.ContainsFunc(c.accepted, func(command string) bool { return strings.HasPrefix(command, prefix) }) {
				s.mu.Unlock()
				return nil
			}
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("nobody had %q accepted: %w", prefix, ctx.Err())
		}
	}
}

// note remembers a command, and by whom it was accepted.
func (s *Switch) note(c *conn, command string, accepted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, command)
	if accepted {
		c.accepted = append(c.accepted, command)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Switch) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = slices.DeleteFunc(s.conns, func(other *conn) bool { return other == c })
}

func (s *Switch) standing() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

func (s *Switch) beat() {
	ticker := time.NewTicker(s.options.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-ticker.C:
			s.Event("HEARTBEAT", map[string]string{"Event-Info": "System Ready"}, "")
		}
	}
}
