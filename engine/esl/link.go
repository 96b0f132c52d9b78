package esl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
	"unicode"
)

// limits are how long the other side may take. The zero value stands for those of
// [defaultLimits].
type limits struct {
	step    time.Duration // to answer: to a dial, to the password, to the commands
	silence time.Duration // without a frame, once it reports
}

// A switch reports HEARTBEAT every 20 s, unless event-heartbeat-interval says otherwise.
var defaultLimits = limits{step: 10 * time.Second, silence: 60 * time.Second}

// A phase is how far a connection has come.
type phase int

const (
	greeting phase = iota // the switch has not asked for the password yet
	proving               // it has not accepted the password yet
	open
)

// A link is a connection to an event socket, of which frames are read and whose
// end has a reason.
type link struct {
	net.Conn
	frames *frames
	limits limits
	phase  phase
}

func newLink(conn net.Conn, s Switch) *link {
	if tcp, ok := conn.(*net.TCPConn); ok {
		// Best effort: a connection that went dead is noticed by its silence as well.
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3})
	}
	l := &link{Conn: conn, frames: newFrames(conn), limits: s.allowed()}
	l.frames.secret = s.Password
	return l
}

// Write sends, and does not wait for ever for a switch that does not read.
func (l *link) Write(p []byte) (int, error) {
	if err := l.SetWriteDeadline(time.Now().Add(l.limits.step)); err != nil {
		return 0, err
	}
	return l.Conn.Write(p)
}

// next returns the next frame that has come whole before until. That it must be
// whole finds a server out that sends a byte now and then. The error is the reason
// for which the connection is over.
func (l *link) next(until time.Time) (frame, error) {
	if err := l.SetReadDeadline(until); err != nil {
		return frame{}, fmt.Errorf("%w: %w", ErrClosed, err)
	}
	f, err := l.frames.next()
	if err != nil {
		return frame{}, l.reason(err)
	}
	switch f.kind {
	case kindRejection:
		return frame{}, ErrACLRefused
	case kindNotice:
		if string(f.field("Content-Disposition")) != "linger" { // else it ends later
			return frame{}, fmt.Errorf("%w: %s", ErrClosed, l.frames.quote(f.body))
		}
	}
	return f, l.advance(&f)
}

// advance follows the dialogue up to the accepted password.
func (l *link) advance(f *frame) error {
	switch {
	case l.phase == open || f.kind == kindOther || f.kind == kindNotice:
	case l.phase == greeting && f.kind == kindAuthRequest:
		l.phase = proving
	case l.phase == proving && f.kind == kindReply:
		if !accepted(f.field("Reply-Text")) {
			return ErrAuthRefused
		}
		l.phase = open
	default:
		return fmt.Errorf("%w: it does not ask for the password first", ErrProtocol)
	}
	return nil
}

// accepted reports whether a reply is a good one.
func accepted(reply []byte) bool { return bytes.HasPrefix(reply, []byte("+OK")) }

// reason says in words why no frame could be read.
func (l *link) reason(err error) error {
	switch notice := l.frames.notice(); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %s", ErrSilent, l.missed())
	case notice != nil:
		return fmt.Errorf("%w: %s", ErrClosed, l.frames.quote(notice))
	case errors.Is(err, ErrProtocol):
		return err
	case errors.Is(err, io.EOF) && l.phase == greeting:
		return fmt.Errorf("%w before it asked for the password", ErrClosed)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w without a word", ErrClosed)
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}

// missed says what a silent switch should have sent.
func (l *link) missed() string {
	switch l.phase {
	case greeting:
		return "it accepts connections, but does not ask for the password"
	case proving:
		return "it does not answer to the password"
	}
	return "neither an answer nor a heartbeat came in time (event-heartbeat-interval in switch.conf.xml is to be 45 at most)"
}

// allowed returns the limits that apply.
func (s Switch) allowed() limits {
	if s.limits == (limits{}) {
		return defaultLimits
	}
	return s.limits
}

// sendable refuses a password that would be more than one line.
func (s Switch) sendable() error {
	if strings.ContainsFunc(s.Password, unicode.IsControl) {
		return errors.New("the password holds a line break or another control character")
	}
	return nil
}
