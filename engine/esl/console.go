package esl

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
	"unicode"
)

// maxCommand is how long a command may be, in bytes.
const maxCommand = 4 << 10

// Console connects for commands. Its errors are those of Listen.
func (s Switch) Console(ctx context.Context) (*Console, error) {
	if err := s.sendable(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Address, err)
	}
	conn, err := (&net.Dialer{Timeout: s.allowed().step}).DialContext(ctx, "tcp", s.Address)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%s: %w: %w", s.Address, ErrUnreachable, err)
	}
	c := &Console{link: newLink(conn, s), address: s.Address}
	err = c.exchange(ctx, "", func(*frame) bool { return c.link.phase == proving })
	if err == nil {
		err = c.exchange(ctx, "auth "+s.Password, func(*frame) bool { return c.link.phase == open })
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// A Console has a switch carry out commands, one after another. It is not safe
// for use by several goroutines. After an error that is no *Refusal, and no
// mistake in the arguments, it is of no more use: an answer that comes late could
// be taken for that of the next command.
//
// It does not use goesl, which ends a connection at the first -ERR.
type Console struct {
	link    *link
	address string
	end     error // why it is of no more use
}

// API has the switch carry out `api command args…` and returns the answer, at most
// 64 MB, without the line break at its end. Every argument is checked: one that
// holds a line break, a control character or, but for the last, a blank is refused
// before anything is sent. An answer that begins with "-ERR" or "-USAGE" is an
// error of type *Refusal. It waits until ctx ends, and 10 s where ctx has no deadline.
func (c *Console) API(ctx context.Context, command string, args ...string) (string, error) {
	line, err := commandLine(command, args)
	if err != nil {
		return "", err
	}
	if c.end != nil {
		return "", fmt.Errorf("%s: the connection is over: %w", c.address, c.end)
	}
	var answer string
	err = c.exchange(ctx, line, func(f *frame) bool {
		switch f.kind {
		case kindAnswer:
			answer = string(f.body)
		case kindReply: // in place of an answer: "-ERR permission denied"
			answer = string(f.field("Reply-Text"))
		default:
			return false
		}
		return true
	})
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(answer, "-ERR") || strings.HasPrefix(answer, "-USAGE") {
		return "", &Refusal{Text: c.link.frames.quote([]byte(answer))}
	}
	return strings.TrimRight(answer, "\r\n"), nil
}

// exchange sends a line, if there is one, and reads frames until done takes one
// for the answer.
func (c *Console) exchange(ctx context.Context, line string, done func(*frame) bool) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	stop := context.AfterFunc(ctx, func() { _ = c.link.Close() })
	defer stop()
	until := time.Now().Add(c.link.limits.step)
	if deadline, ok := ctx.Deadline(); ok && c.link.phase == open {
		until = deadline.Add(c.link.limits.step) // ctx itself ends it before
	}
	err := c.send(line)
	for err == nil {
		var f frame
		if f, err = c.link.next(until); err == nil && done(&f) {
			return nil
		}
	}
	_ = c.link.Close()
	c.end = err
	if ctx.Err() != nil {
		c.end = ctx.Err()
		return c.end
	}
	return fmt.Errorf("%s: %w", c.address, err)
}

func (c *Console) send(line string) error {
	if line == "" {
		return nil
	}
	if _, err := io.WriteString(c.link, line+"\n\n"); err != nil {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return nil
}

// Close ends the connection.
func (c *Console) Close() error {
	if c.end != nil {
		return nil // it is closed already
	}
	c.end = net.ErrClosed
	return c.link.Close()
}

// commandLine builds `api command args…`, in which nothing may be read as more
// than the one argument that it is.
func commandLine(command string, args []string) (string, error) {
	words := append([]string{command}, args...)
	for i, word := range words {
		last := i > 0 && i == len(words)-1
		switch {
		case !last && !oneWord(word):
			return "", fmt.Errorf("%q is not one word of a command", shorten(word))
		case strings.ContainsFunc(word, unicode.IsControl):
			return "", fmt.Errorf("%q holds a line break or another control character", shorten(word))
		}
	}
	line := "api " + strings.Join(words, " ")
	if len(line) > maxCommand {
		return "", fmt.Errorf("a command of %d bytes: at most %d can be sent", len(line), maxCommand)
	}
	return line, nil
}

func shorten(text string) string { return text[:min(len(text), 100)] }
