package esl

import (
	"sync"
	"time"

	"github.com/0x19/goesl"
	"github.com/op/go-logging"
)

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
	for before := l.phase; l.phase == before; {
		if _, err := l.next(until); err != nil {
			return nil, err
		}
	}
	if l.phase == proving {
		return []byte("Content-Type: auth/request\n\n"), nil
	}
	return []byte("Content-Type: command/reply\nReply-Text: +OK accepted\n\n"), nil
}
