package esl

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/0x19/goesl"
	"github.com/op/go-logging"
)

// The ways in which a connection fails. Returned errors wrap them and say more.
var (
	ErrUnreachable = errors.New("the event socket cannot be reached (is FreeSWITCH running, with mod_event_socket on this address?)")
	ErrAuthRefused = errors.New("the event socket refuses the password: it must be the one in event_socket.conf.xml")
	ErrACLRefused  = errors.New("the event socket's access list refuses this host: allow its address in acl.conf.xml, in the list that apply-inbound-acl of event_socket.conf.xml names; then " + ReloadACL)
	ErrSilent      = errors.New("the event socket is silent")
	ErrClosed      = errors.New("the event socket closed the connection")
	ErrProtocol    = errors.New("the answer is not FreeSWITCH's event socket protocol")
)

// ReloadACL says how FreeSWITCH reads its access lists again. Trap: fs_cli uses the event
// socket, too, and FreeSWITCH does not read them on SIGHUP.
const ReloadACL = "fs_cli -H ADDRESS -x reloadacl, on the switch, with an address of its own that the list accepts " +
	"(without -H it uses 127.0.0.1, which may be refused as well), or restart FreeSWITCH, which ends all calls"

// A Switch is the address and password of a FreeSWITCH's event socket.
type Switch struct {
	Address  string // "127.0.0.1:8021", "[::1]:8021", "pbx.example:8021"
	Password string `json:"-"`

	limits limits
}

// String leaves the password out, wherever a switch is printed.
func (s Switch) String() string { return s.Address }

// limits bound the time of the other side. The zero value is [defaultLimits].
type limits struct {
	step    time.Duration // for a dial, and for an answer to the password or a command
	silence time.Duration // without a frame, once it reports
}

// A switch reports HEARTBEAT every 20 s, unless event-heartbeat-interval says otherwise.
var defaultLimits = limits{step: 10 * time.Second, silence: 60 * time.Second}

// A phase is the progress of a login.
type phase int

const (
	greeting phase = iota // the switch has not asked for the password yet
	proving               // it has not accepted the password yet
	open
)

// A conn is a connection to an event socket.
type conn struct {
	net.Conn
	client *goesl.Client // sends
	frames *frames       // receives
	limits limits
	phase  phase
	until  time.Time // the deadline of reads
}

// connect dials the switch and logs in.
func (s Switch) connect(ctx context.Context) (*conn, error) {
	if strings.ContainsFunc(s.Password, unicode.IsControl) {
		return nil, errors.New("the password holds a line break or another control character")
	}
	s.limits = cmp.Or(s.limits, defaultLimits)
	dialer := net.Dialer{Timeout: s.limits.step, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3,
	}}
	dialed, err := dialer.DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	c := &conn{Conn: dialed, frames: newFrames(dialed), limits: s.limits}
	c.frames.secret = s.Password
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if err := c.login(s.Password); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// pauses has the connection read reports that come often after a pause, so that they share a wake-up. idle, unless nil, is
// called before each.
func (c *conn) pauses(idle func(waits bool)) error {
	p, err := newPausing(c.Conn)
	if err != nil {
		return err
	}
	c.frames.tail.r = p
	c.frames.tail.idle = func() {
		if idle != nil {
			idle(!p.full)
		}
		p.pause()
	}
	return nil
}

// explain names the switch in an error of a connection. The end of ctx comes first.
func (s Switch) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%s: %w", s.Address, err)
}

// Write sends within the limit of a step.
func (c *conn) Write(p []byte) (n int, err error) {
	if err = c.SetWriteDeadline(time.Now().Add(c.limits.step)); err == nil {
		n, err = c.Conn.Write(p)
	}
	if err != nil {
		err = closed(err)
	}
	return n, err
}

// next returns the next frame, which must be complete before until: a server may
// send a byte now and then. The error says why the connection is over.
//
// The deadline of a frame that comes soon after another one is at most 1/32 of the silence sooner: to set it for
// each takes 1 % of the time of an event.
func (c *conn) next(until time.Time) (frame, error) {
	if later := until.Sub(c.until); later < 0 || later > c.limits.silence/32 {
		if err := c.SetReadDeadline(until); err != nil {
			return frame{}, closed(err)
		}
		c.until = until
	}
	f, err := c.frames.next()
	if err != nil {
		return frame{}, c.reason(err)
	}
	switch f.kind {
	case kindRejection:
		return frame{}, ErrACLRefused
	case kindNotice:
		if string(f.field("Content-Disposition")) != "linger" { // which ends it later
			return frame{}, fmt.Errorf("%w: %s", ErrClosed, c.frames.quote(f.body))
		}
	}
	return f, nil
}

// accepts reports whether a reply says that a command was carried out.
func (f *frame) accepts() bool { return bytes.HasPrefix(f.field("Reply-Text"), []byte("+OK")) }

// closed returns the error of a connection that is over. It leaves out the port of this host, which differs for each
// connection: an error that is logged when it changes would be logged at each attempt.
func closed(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}

// reason says why no frame could be read.
func (c *conn) reason(err error) error {
	switch notice := c.frames.notice(); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %s", ErrSilent, missing[c.phase])
	case notice != nil:
		return fmt.Errorf("%w: %s", ErrClosed, c.frames.quote(notice))
	case errors.Is(err, ErrProtocol):
		return err
	case errors.Is(err, io.EOF) && c.phase == greeting:
		return fmt.Errorf("%w before it asked for the password", ErrClosed)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w without a notice", ErrClosed)
	}
	return closed(err)
}

// missing is what a silent switch should have sent.
var missing = map[phase]string{
	greeting: "it accepts connections, but does not ask for the password",
	proving:  "it does not answer to the password",
	open:     "neither an answer nor a heartbeat came in time (event-heartbeat-interval in switch.conf.xml must be 45 at most)",
}

// silenceGoesl stops goesl from logging to standard error. It logs every step, and
// a refused password.
var silenceGoesl = sync.OnceFunc(func() { logging.SetLevel(logging.CRITICAL, "goesl") })

// login has goesl log in. The error is that of [conn.next] or [conn.Write].
func (c *conn) login(password string) error {
	silenceGoesl()
	c.client = &goesl.Client{Passwd: password}
	c.client.Conn = &loginConn{conn: c}
	return c.client.Authenticate()
}

// A loginConn is the connection of goesl. It reads from the frame reader, which has
// limits and deadlines, the two frames that a login takes, and rewrites them.
//
// Trap: goesl itself panics on short -ERR replies and on content lengths out of
// range, ends at log records and at -ERR within an answer, loses the headers of
// plain events, and loses the bytes that arrive with the reply to the password.
type loginConn struct {
	*conn
	rest []byte // of the frame at hand
	err  error  // final
}

func (l *loginConn) Read(p []byte) (int, error) {
	if len(l.rest) == 0 && l.err == nil {
		l.rest, l.err = l.step()
	}
	if l.err != nil {
		return 0, l.err
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// step waits for the next phase and returns the frame that goesl expects for it.
func (l *loginConn) step() ([]byte, error) {
	until := time.Now().Add(l.limits.step)
	for {
		f, err := l.next(until)
		switch {
		case err != nil:
			return nil, err
		case f.kind == kindOther || f.kind == kindNotice:
		case l.phase == greeting && f.kind == kindAuthRequest:
			l.phase = proving
			return []byte("Content-Type: auth/request\n\n"), nil
		case l.phase == proving && f.kind == kindReply && !f.accepts():
			return nil, ErrAuthRefused
		case l.phase == proving && f.kind == kindReply:
			l.phase = open
			return []byte("Content-Type: command/reply\nReply-Text: +OK accepted\n\n"), nil
		default:
			return nil, fmt.Errorf("%w: it does not ask for the password first", ErrProtocol)
		}
	}
}
