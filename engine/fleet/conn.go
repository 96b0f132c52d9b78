package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"freeswitch-security/engine/status"

	"github.com/nats-io/nats.go"
)

// A link is the connection to a server. The client reconnects by itself, to any of the servers.
type link struct {
	events chan struct{} // it was made or lost
	drops  atomic.Uint64 // of the connection

	mu     sync.Mutex // guards what follows
	conn   *nats.Conn // nil: not tried yet, or the options are wrong
	closed bool
	reason error              // of the latest failure to connect
	denied error              // the latest refusal of the server to let the account do something
	asking context.CancelFunc // ends what waits for an answer that will not come
}

// Times of a connection. A server that does not answer two pings is gone, and so is one that reads nothing for takeWithin
// while the buffers are full. Trap: until then Publish waits, and the core with it.
const (
	dialTimeout = 3 * time.Second
	pingEvery   = 2 * time.Second
	takeWithin  = 2 * time.Second
	reconnectIn = 250 * time.Millisecond
)

// connect makes the connection. It does not wait for the server.
func (n *Node) connect() {
	l := &n.link
	event := func(err error) {
		l.note(err)
		l.wake()
	}
	options := []nats.Option{
		nats.Name("freeswitch-security " + n.cfg.Node), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), nats.NoEcho(), nats.ReconnectBufSize(-1), nats.Timeout(dialTimeout),
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(2), nats.FlusherTimeout(takeWithin), nats.ReconnectWait(reconnectIn),
		nats.ReconnectJitter(reconnectIn, reconnectIn), nats.NoCallbacksAfterClientClose(),
		nats.ConnectHandler(func(*nats.Conn) { event(nil) }),
		nats.ReconnectHandler(func(*nats.Conn) { event(nil) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			l.drops.Add(1)
			event(err)
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { event(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.deny(err) }),
	}
	if n.cfg.User != "" {
		options = append(options, nats.UserInfo(n.cfg.User, n.cfg.Password))
	}
	if n.cfg.CA != "" {
		options = append(options, nats.RootCAs(n.cfg.CA))
	}
	if n.cfg.Cert != "" {
		options = append(options, nats.ClientCert(n.cfg.Cert, n.cfg.Key))
	}
	ctx := n.life
	go func() { // the first attempt waits for the server
		for {
			conn, err := nats.Connect(strings.Join(n.cfg.Servers, ","), append(options, n.login())...)
			if err == nil {
				n.shared.attach(conn)
				l.set(conn)
				event(nil)
				return
			}
			event(err) // a file cannot be read, say
			select {
			case <-ctx.Done():
				return
			case <-time.After(lastRetry):
			}
		}
	}()
}

// login returns the option of the credentials: a file with a JWT and its key, or with the seed of an nkey.
func (n *Node) login() nats.Option {
	path := n.cfg.Credentials
	return func(o *nats.Options) error {
		if path == "" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("credentials: %w", err)
		}
		if bytes.Contains(text, []byte("NATS USER JWT")) {
			return nats.UserCredentials(path)(o)
		}
		nkey, err := nats.NkeyOptionFromSeed(path)
		if err != nil {
			return fmt.Errorf("credentials: %s holds neither a JWT nor the seed of an nkey of a user", path)
		}
		return nkey(o)
	}
}

// set sets the connection, or closes it if the node has ended meanwhile.
func (l *link) set(conn *nats.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		conn.Close()
		return
	}
	l.conn = conn
}

// wake has the node look at the connection.
func (l *link) wake() {
	select {
	case l.events <- struct{}{}:
	default:
	}
}

// note keeps why there is no connection.
func (l *link) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.reason = err
	}
}

// deny keeps a refusal of the server that no request returns: what is denied is not answered.
func (l *link) deny(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.denied = err
	if l.asking != nil {
		l.asking()
	}
}

// ask forgets earlier refusals, and has the next one end what waits.
func (l *link) ask(cancel context.CancelFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.denied, l.asking = nil, cancel
}

// refusal returns the latest refusal since ask; nil if there was none.
func (l *link) refusal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.denied
}

// get returns the connection; nil if there is none.
func (l *link) get() *nats.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

func (l *link) connected() bool {
	conn := l.get()
	return conn != nil && conn.IsConnected()
}

// trying reports whether the first attempt has not ended.
func (l *link) trying() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn == nil && l.reason == nil
}

// why returns why there is no connection.
func (l *link) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil && l.conn.LastError() != nil {
		return l.conn.LastError()
	}
	if l.reason != nil {
		return l.reason
	}
	return errors.New("no answer yet")
}

func (l *link) words() string {
	return fmt.Sprintf("no server is connected: %s; this node goes on by itself and sends its changes later", inWords(l.why()))
}

// server returns the server of the connection, without secrets.
func (l *link) server() string {
	conn := l.get()
	if conn == nil {
		return ""
	}
	u, err := url.Parse(conn.ConnectedUrl())
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func (l *link) close() {
	l.mu.Lock()
	l.closed = true
	conn := l.conn
	l.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}

// What the problems of a node are about.
const (
	aboutServer = "server"
	aboutBucket = "bucket"
	aboutPeers  = "peers"
	aboutClock  = "clock"
	aboutStore  = "store"
)

// report notes a problem; an empty text says that there is none.
func (n *Node) report(about string, severity status.Severity, text string) {
	n.mu.Lock()
	before, known := n.problems[about]
	if text == "" {
		delete(n.problems, about)
	} else {
		n.problems[about] = status.Problem{Severity: severity, Text: text}
	}
	n.mu.Unlock()
	switch {
	case severity == status.Info || before.Severity == status.Info:
	case text == "" && known:
		n.o.Log.Info("fleet works again", "about", about)
	case text != "" && before.Text != text:
		n.o.Log.Warn("fleet degraded", "about", about, "err", text)
	}
}
