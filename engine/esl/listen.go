package esl

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Subscription says what a connection reports.
type Subscription struct {
	Events     []string // names: "CHANNEL_CREATE", beside HEARTBEAT
	Subclasses []string // of CUSTOM events: "sofia::register_failure"
	LogLevel   int      // log records up to this level, 4 being WARNING; -1: none
	Headers    []string // that take reads; none: it reads all

	// Unreadable, if it is set, is called for every frame that cannot be decoded, by
	// the goroutine that calls take.
	Unreadable func()

	// Raw, if it is set, is called with every report as the switch sent it, before take, by the same goroutine.
	// The bytes are its own.
	Raw func(report []byte)

	// Idle, if it is set, is called by the same goroutine before it reads: a burst was taken. waits is false if
	// there may be more to read.
	Idle func(waits bool)
}

// Heartbeat is the event by which a quiet switch differs from a dead one.
const Heartbeat = "HEARTBEAT"

// commands returns the commands that subscribe.
func (sub Subscription) commands() []string {
	words := append([]string{"event", "json", Heartbeat}, sub.Events...)
	if len(sub.Subclasses) > 0 {
		words = append(append(words, "CUSTOM"), sub.Subclasses...)
	}
	commands := []string{strings.Join(words, " ")}
	if sub.LogLevel >= 0 {
		commands = append(commands, "log "+strconv.Itoa(sub.LogLevel))
	}
	return commands
}

// Listen connects, subscribes and calls take with every message, in the order in
// which the switch sent them. It calls up once the switch has accepted the whole
// subscription; the first messages may come before that. Both are called by the
// caller's goroutine. Trap: take must not wait, because a switch disconnects a
// listener that does not read; if the subscription names headers, the map of a message is
// used again for the next one.
//
// It returns when ctx or the connection ends, always with an error: that of ctx,
// or one that wraps ErrUnreachable, ErrAuthRefused, ErrACLRefused, ErrSilent,
// ErrClosed or ErrProtocol. A refused subscription is ErrProtocol and a *Refusal.
func (s Switch) Listen(ctx context.Context, sub Subscription, up func(), take func(Message)) error {
	return s.explain(ctx, s.listen(ctx, sub, up, take))
}

func (s Switch) listen(ctx context.Context, sub Subscription, up func(), take func(Message)) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	commands := sub.commands()
	if err := c.pauses(sub.Idle); err != nil {
		return err
	}
	for _, command := range commands {
		_ = c.client.Send(command) // next says why one could not be sent
	}
	until, decoder := time.Now().Add(c.limits.step), newDecoder(sub.Headers)
	for {
		if len(commands) == 0 { // all are answered
			until = time.Now().Add(c.limits.silence)
		}
		f, err := c.next(until)
		if err != nil {
			return err
		}
		if sub.Raw != nil && f.kind.isReport() {
			sub.Raw(f.raw())
		}
		m, ok := decoder.message(&f)
		switch {
		case ok:
			take(m)
		case f.kind.isReport():
			if sub.Unreadable != nil {
				sub.Unreadable()
			}
		case f.kind != kindReply || len(commands) == 0:
		case !f.accepts():
			return fmt.Errorf("%w: it answers %q with %w", ErrProtocol, commands[0], &Refusal{Text: c.frames.quote(f.field("Reply-Text"))})
		default:
			if commands = commands[1:]; len(commands) == 0 {
				up()
			}
		}
	}
}
