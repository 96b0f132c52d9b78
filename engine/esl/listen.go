package esl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/0x19/goesl"
	"github.com/op/go-logging"
)

// quieten stops goesl from writing to standard error, where it puts every step it
// takes, and the password if it was refused.
var quieten = sync.OnceFunc(func() { logging.SetLevel(logging.CRITICAL, "goesl") })

// heartbeat is the event by which a quiet switch is told from a dead one.
const heartbeat = "HEARTBEAT"

// commands returns what is sent to subscribe.
func (sub Subscription) commands() ([]string, error) {
	words := []string{"event", "json", heartbeat}
	for _, name := range sub.Events {
		if name == "CUSTOM" {
			return nil, errors.New("subscribe to CUSTOM events by their subclasses")
		}
		if name != heartbeat {
			words = append(words, name)
		}
	}
	if len(sub.Subclasses) > 0 {
		words = append(append(words, "CUSTOM"), sub.Subclasses...)
	}
	if i := slices.IndexFunc(words, func(word string) bool { return !oneWord(word) }); i >= 0 {
		return nil, fmt.Errorf("%q is no name of an event", words[i])
	}
	commands := []string{strings.Join(words, " ")}
	switch {
	case sub.LogLevel < -1 || sub.LogLevel > 7:
		return nil, fmt.Errorf("there is no log level %d: they are 0 to 7, and -1 for none", sub.LogLevel)
	case sub.LogLevel >= 0:
		commands = append(commands, "log "+strconv.Itoa(sub.LogLevel))
	}
	return commands, nil
}

// oneWord reports whether text is not empty, and is nothing but itself in a command.
func oneWord(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(c rune) bool {
		return unicode.IsSpace(c) || !unicode.IsPrint(c) || c == unicode.ReplacementChar
	})
}

// Listen connects, subscribes and hands every message to take, in the order in
// which the switch sent them, until ctx ends or the connection does. It always
// returns an error, ctx's own in the first case. up is called once the switch
// has accepted the whole subscription; the first messages may come before that.
// HEARTBEAT is always subscribed to and handed on. take is called by one
// goroutine, the caller's, and must not wait: a listener that does not read is cut
// off by the switch.
//
// Errors to tell apart with errors.Is: ErrUnreachable, ErrAuthRefused,
// ErrACLRefused, ErrSilent, ErrClosed, ErrProtocol. A refused subscription is
// ErrProtocol and a *Refusal.
func (s Switch) Listen(ctx context.Context, sub Subscription, up func(), take func(Message)) error {
	commands, err := sub.commands()
	if err == nil {
		err = s.sendable()
	}
	if err == nil {
		err = s.listen(ctx, &session{commands: commands, sub: sub, up: up, take: take})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%s: %w", s.Address, err)
}

func (s Switch) listen(ctx context.Context, session *session) error {
	quieten()
	client, err := s.dial(ctx)
	if err != nil {
		return err
	}
	w := newWire(newLink(client.Conn, s), len(session.commands))
	client.Conn = w
	stop := context.AfterFunc(ctx, func() { _ = w.Close() })
	defer stop()
	defer client.Close()
	if err := client.Authenticate(); err != nil {
		if w.end == nil { // it could not be written
			return fmt.Errorf("%w while it was sent the password", ErrClosed)
		}
		return w.end
	}
	return session.run(ctx, client, w)
}

// dial connects as goesl does, which knows no context: a dial that ctx does not
// wait for is let run into its timeout.
func (s Switch) dial(ctx context.Context) (*goesl.Client, error) {
	seconds := int((s.allowed().step + time.Second - 1) / time.Second)
	client := &goesl.Client{Proto: "tcp", Addr: s.Address, Passwd: s.Password, Timeout: seconds}
	dialled := make(chan error, 1)
	go func() { dialled <- client.EstablishConnection() }()
	select {
	case err := <-dialled:
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return client, nil
	case <-ctx.Done():
		go func() {
			if <-dialled == nil {
				_ = client.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// A session is one connection that listens.
type session struct {
	commands []string // sent, and in their order not answered yet
	sub      Subscription
	up       func()
	take     func(Message)
}

// run subscribes and hands on messages up to the end of the connection, of which
// it returns the reason.
func (c *session) run(ctx context.Context, client *goesl.Client, w *wire) error {
	handled := make(chan struct{})
	go func() {
		defer close(handled)
		client.Handle()
	}()
	for _, command := range c.commands {
		// One that cannot be sent will not be answered: the wire tells why.
		_ = client.Send(command)
	}
	var refused error
	for {
		m, err := client.ReadMessage()
		if err != nil {
			// goesl's goroutines end once this error has been taken from them. Who
			// reads on after it waits for ever.
			<-handled
			switch {
			case refused != nil:
				return refused
			case w.end != nil:
				return w.end
			}
			return fmt.Errorf("%w: goesl: %w", ErrProtocol, err)
		}
		if refused == nil && ctx.Err() == nil {
			if refused = c.pass(m); refused != nil {
				_ = client.Close()
			}
		}
	}
}

// pass hands on what goesl has read.
func (c *session) pass(m *goesl.Message) error {
	if _, unreadable := m.Headers[unreadableName]; unreadable {
		if c.sub.Unreadable != nil {
			c.sub.Unreadable()
		}
		return nil
	}
	if reply, ok := m.Headers[replyName]; ok {
		return c.answered(reply)
	}
	_, record := m.Headers[recordName]
	delete(m.Headers, recordName)
	c.take(Message{Headers: m.Headers, Body: string(m.Body), Record: record})
	return nil
}

// answered takes the reply to the oldest command that has none.
func (c *session) answered(reply string) error {
	if len(c.commands) == 0 {
		return nil
	}
	command := c.commands[0]
	c.commands = c.commands[1:]
	if !accepted([]byte(reply)) {
		return fmt.Errorf("%w: it answers %q with %w", ErrProtocol, command, &Refusal{Text: reply})
	}
	if len(c.commands) == 0 {
		c.up()
	}
	return nil
}
