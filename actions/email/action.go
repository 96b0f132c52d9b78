package email

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"

	"github.com/wneessen/go-mail"
)

// Action sends changes by mail. Apply notes, Serve sends.
type Action struct {
	config config
	woken  chan struct{} // there may be something to send

	mu       sync.Mutex // guards all below
	waiting  digest
	sending  *message   // nil: none was composed
	late     []*message // other recipients have them; at most maxLate
	retryAt  time.Time  // not before
	mailedAt time.Time  // when the last mail was taken or refused
	lost     int        // changes that no mail has told, not even their number
	seen     uint64     // Seq of the latest change
	delivery status.Delivery
}

var (
	_ plugin.Server   = (*Action)(nil)
	_ plugin.Reporter = (*Action)(nil)
)

func newAction(c config) *Action { return &Action{config: c, woken: make(chan struct{}, 1)} }

func (a *Action) log() *slog.Logger { return slog.With("action", a.config.name) }

// Apply notes the changes that are sent. It does not wait. A change that comes twice is noted once.
func (a *Action) Apply(_ context.Context, batch ban.Batch) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for _, c := range batch.Changes {
		if c.Seq != 0 && c.Seq <= a.seen {
			continue
		}
		if a.seen = max(a.seen, c.Seq); slices.Contains(a.config.on, string(c.Kind)) {
			a.waiting.add(c, now)
		}
	}
	if a.waiting.total > 0 {
		select {
		case a.woken <- struct{}{}:
		default:
		}
	}
	return nil
}

const (
	gather       = 2 * time.Second // how long a first change waits for others
	firstRetry   = 5 * time.Second
	longestRetry = 5 * time.Minute
	lastAttempt  = 3 * time.Second // the time allowed for mails at the end
	maxLate      = 20
)

// Serve sends what Apply notes until ctx ends, and then what waits within lastAttempt. It is called once.
func (a *Action) Serve(ctx context.Context) {
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastAttempt, stop) })()
	for ctx.Err() == nil {
		m, wait := a.next(time.Now())
		if m == nil {
			plugin.Rest(ctx, wait, a.woken)
			continue
		}
		a.settle(m, a.config.send(sending, m.msg, m.to), time.Now())
	}
	a.end(sending)
}

// next returns the mail to be sent, or how long to wait for it; 0: until woken. A new one comes before those that are late.
func (a *Action) next(now time.Time) (*message, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m, wait := a.nextNew(now)
	for _, late := range a.late {
		if m != nil {
			break
		}
		if until := late.retryAt.Sub(now); until <= 0 {
			m = late
		} else if wait == 0 || until < wait {
			wait = until
		}
	}
	return m, wait
}

// nextNew is next for mails that no recipient has. The mutex is held.
func (a *Action) nextNew(now time.Time) (*message, time.Duration) {
	if m := a.sending; m != nil && now.Sub(m.formed) >= a.config.giveUp {
		a.drop(m, "older than give_up")
		a.sending = nil
	}
	if a.sending == nil {
		if a.waiting.total == 0 {
			return nil, 0
		}
		due := a.waiting.since.Add(gather)
		if next := a.mailedAt.Add(a.config.digest); !a.mailedAt.IsZero() && next.After(due) {
			due = next
		}
		if wait := due.Sub(now); wait > 0 {
			return nil, wait
		}
		a.compose(now)
	}
	if wait := a.retryAt.Sub(now); wait > 0 {
		return nil, wait
	}
	return a.sending, 0
}

// compose makes a mail of what waits. The mutex is held.
func (a *Action) compose(now time.Time) {
	host, _ := os.Hostname()
	a.waiting.lost, a.lost = a.lost, 0
	a.sending = a.config.compose(a.waiting, host, now)
	a.waiting = digest{}
}

// settle records the result of an attempt.
func (a *Action) settle(m *message, err error, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.to != nil {
		a.settleLate(m, err, now)
		return
	}
	if err == nil || errors.Is(err, errPartly) {
		if a.delivery.Failures > 0 {
			a.log().Info("mail delivered again", "failures", a.delivery.Failures)
		}
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != "" && text != a.delivery.Error {
			a.log().Warn("mail not delivered to all recipients", "err", err)
		}
		a.delivery.Delivered += uint64(m.total)
		a.delivery.Failures, a.delivery.Error = 0, text
		a.sending, a.mailedAt, a.retryAt = nil, now, time.Time{}
		if f, ok := errors.AsType[*failure](err); ok && len(f.later) > 0 {
			m.to, m.final, m.tries, m.retryAt = f.later, f.final, 1, retryAt(1, now)
			a.late = append(a.late, m)
			a.late = a.late[max(0, len(a.late)-maxLate):] // status has told of it
		}
		return
	}
	a.delivery.Failed++
	a.delivery.Failures++
	a.delivery.Error = err.Error()
	a.retryAt = retryAt(a.delivery.Failures, now)
	if errors.Is(err, errRefused) {
		a.drop(m, "the server refuses the mail")
		a.sending, a.mailedAt = nil, now
	} else if a.delivery.Failures == 1 {
		a.log().Warn("mail not delivered", "err", err)
	}
}

// settleLate is settle for a mail that other recipients have. The mutex is held.
func (a *Action) settleLate(m *message, err error, now time.Time) {
	if f, ok := errors.AsType[*failure](err); ok || err == nil {
		m.to = nil // it is delivered, or refused
		if ok {
			m.to, m.final = f.later, m.final || f.final
		}
	}
	m.tries++
	m.retryAt = retryAt(m.tries, now)
	if len(m.to) > 0 && m.retryAt.Sub(m.formed) < a.config.giveUp {
		return
	}
	a.late = slices.DeleteFunc(a.late, func(one *message) bool { return one == m })
	if err != nil {
		a.log().Warn("mail not delivered to all recipients", "err", err)
	} else if len(a.late) == 0 && !m.final && a.delivery.Failures == 0 {
		a.delivery.Error = ""
	}
}

// retryAt is the time of the attempt after so many that failed.
func retryAt(failures int, now time.Time) time.Time {
	pause := min(firstRetry<<min(failures-1, 10), longestRetry) // more doublings could overflow
	return now.Add(pause/2 + rand.N(pause/2))
}

// drop counts the changes of a mail that will not be delivered. The mutex is held.
func (a *Action) drop(m *message, why string) {
	a.lost += m.total + m.lost
	a.delivery.Dropped += uint64(m.total)
	a.log().Error("notifications dropped", "notifications", m.total, "why", why, "err", a.delivery.Error)
}

// end sends what waits until ctx ends, unless the server fails. What is left is dropped.
func (a *Action) end(ctx context.Context) {
	for {
		m, failing := a.left()
		if m == nil {
			return
		}
		if !failing {
			a.settle(m, a.config.send(ctx, m.msg, nil), time.Now())
			continue
		}
		a.mu.Lock()
		a.drop(m, "the action ends")
		a.sending = nil
		a.mu.Unlock()
	}
}

// left returns the next mail without regard to its time; nil: nothing waits. It reports whether the last
// attempt failed.
func (a *Action) left() (m *message, failing bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sending == nil && a.waiting.total > 0 {
		a.compose(time.Now())
	}
	return a.sending, a.delivery.Failures > 0
}

// Report implements [plugin.Reporter]. Its problems keep no ban from being in force.
func (a *Action) Report(context.Context) (r status.Report) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.delivery
	d.Waiting, d.Since = a.waiting.total, a.waiting.since
	if a.sending != nil {
		d.Waiting, d.Since = d.Waiting+a.sending.total, a.sending.since
	}
	r.Delivery = &d
	if d.Error != "" {
		r.Add(status.Warning, "the last mail was not delivered: %s", d.Error)
	}
	return r
}

// A Letter is a mail of a command: a text, and a file beside it. The text must be printable.
type Letter struct {
	Subject, Text string
	Name          string // of the file
	File          []byte // HTML
}

// Send sends a letter to the recipients of the action, in one attempt and without Serve. It fails if one of them is
// refused; the others have it then. host names the sender.
func (a *Action) Send(ctx context.Context, l Letter, host string, now time.Time) error {
	c := &a.config
	m := newMail(c.from, c.to, cut(line(l.Subject), maxSubject), l.Text, host, now)
	m.AttachReadSeeker(l.Name, bytes.NewReader(l.File), mail.WithFileContentType(mail.TypeTextHTML))
	return c.send(ctx, m, nil)
}
