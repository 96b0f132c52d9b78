package esl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

const (
	relistAfter = 5 * time.Minute  // the DNS may have new addresses of a gateway
	retryAfter  = 30 * time.Second // after a failed look-up
	listPause   = 5 * time.Second  // a gateway may change several times in a row, a switch may still load its modules
	listTimeout = time.Minute      // for an answer of the switch
)

// A console is an [esl.Console].
type console interface {
	esl.Commander
	Close() error
}

// A lister asks the switch for its registrations, once for every connection, and for its
// gateways, repeatedly, tests its log level and switches its capture on. Its events have a channel of their own, so
// that a long list does not push events of the stream out of the queue.
type lister struct {
	source        string
	progress      *progress
	registrations bool      // are wanted
	gateways      *gateways // nil: not wanted
	dial          func(context.Context) (console, error)
	hidesWarnings func(context.Context) (bool, error) // nil: log records are not read
	untested      atomic.Bool                         // the log level
	several       *severalPhones
	unasked       atomic.Bool // the profiles of several
	captures      bool        // it switches the capture on
	uncaptured    atomic.Bool // that is due
	calls         *openCalls  // nil: not wanted
	events        chan *event.Event
	due           chan struct{} // has an item when the lists are to be read
	stale         atomic.Bool   // registrations were not listed since the stream was connected
}

// newLister returns a lister of what the wanted events need.
func newLister(source string, want map[string]bool, p *progress, dial func(context.Context) (console, error), r resolver) *lister {
	l := &lister{
		source: source, progress: p, registrations: isWanted(want, event.Registered), dial: dial,
		events: make(chan *event.Event), due: make(chan struct{}, 1), several: &severalPhones{},
	}
	if isWanted(want, event.Gateway, event.GatewayRemoved) {
		l.gateways = &gateways{source: source, want: want, resolver: r, known: map[string]addresses{}}
	}
	if isWanted(want, event.CallEnded) {
		l.calls = &openCalls{began: map[string]time.Time{}, due: make(chan struct{}, 1)}
	}
	return l
}

// connected lists everything again, because changes may have been missed.
func (l *lister) connected() {
	l.stale.Store(true)
	l.untested.Store(true)
	l.uncaptured.Store(true)
	l.refresh()
	if l.calls != nil {
		wake(l.calls.due)
	}
}

// refresh requests that run reads the lists. It does not wait.
func (l *lister) refresh() { wake(l.due) }

func wake(due chan<- struct{}) {
	select {
	case due <- struct{}{}:
	default:
	}
}

// run lists on refresh, and at intervals, until ctx ends.
func (l *lister) run(ctx context.Context) {
	if !l.registrations && l.gateways == nil && l.hidesWarnings == nil && !l.captures {
		return
	}
	next := relistAfter
	for {
		select {
		case <-l.due:
		case <-time.After(next):
			l.uncaptured.Store(true)
			l.unasked.Store(true)
		case <-ctx.Done():
			return
		}
		next = relistAfter
		if !l.progress.isUp() {
			continue
		}
		severity, fault := status.Warning, ""
		err := l.list(ctx)
		if l.hidesWarnings != nil && l.untested.Load() || l.captures && l.uncaptured.Load() { // a busy switch may log late
			next = retryAfter
		}
		if err != nil && ctx.Err() == nil {
			next, fault = 0, err.Error() // after listPause
			if errors.Is(err, errLookUp) {
				next, severity = retryAfter, status.Info
			}
		}
		l.progress.warn("listing", severity, fault)
		plugin.Rest(ctx, listPause, nil)
	}
}

// list emits what the due lists hold, and tests the log level if that is due. It goes on
// after an error, and returns the first.
func (l *lister) list(ctx context.Context) error {
	var err error
	if l.registrations && l.stale.Swap(false) {
		if err = l.listRegistrations(ctx); err != nil {
			l.stale.Store(true)
		}
	}
	if l.registrations && l.unasked.Load() {
		_, again := ask(ctx, l, func(ctx context.Context, c esl.Commander) (struct{}, error) {
			l.askSeveral(ctx, c)
			return struct{}{}, nil
		})
		err = cmp.Or(err, again)
	}
	if l.gateways != nil {
		err = cmp.Or(err, l.listGateways(ctx))
	}
	if l.hidesWarnings != nil && l.untested.Load() {
		err = cmp.Or(err, l.testLevel(ctx))
	}
	if l.captures && l.uncaptured.Load() {
		err = cmp.Or(err, l.switchCaptureOn(ctx))
	}
	return err
}

// severalPhones are the profiles that keep several registrations of an account. They are not known
// before the switch has answered: then each keeps one.
type severalPhones struct {
	profiles atomic.Pointer[map[string]bool]
}

// mark sets the raw field "multiple_registrations" of a registration that leaves the others of its
// account in force. The directory can take that from a user.
func (s *severalPhones) mark(e *event.Event) {
	delete(e.Fields, "multiple_registrations") // of a caller
	no := []string{"false", "no", "off", "disabled", "inactive", "disallow", "f", "0"}
	if s == nil || slices.Contains(no, strings.ToLower(e.Fields["sip-allow-multiple-registrations"])) {
		return
	}
	if profiles := s.profiles.Load(); profiles != nil && (*profiles)[e.Profile] {
		e.Fields["multiple_registrations"] = "true"
	}
}

// listRegistrations makes events one by one: there may be 100,000.
func (l *lister) listRegistrations(ctx context.Context) error {
	now := time.Now()
	found, err := ask(ctx, l, func(ctx context.Context, c esl.Commander) ([]esl.Registration, error) {
		l.askSeveral(ctx, c)
		if at, err := esl.Now(ctx, c); err == nil {
			now = at
		}
		return esl.Registrations(ctx, c)
	})
	for i := range found {
		if e := registered(&found[i], l.source, now); e != nil {
			l.several.mark(e)
			l.emit(ctx, e)
		}
	}
	return err
}

// askSeveral asks for the profiles. If the switch does not answer, what it answered before holds.
func (l *lister) askSeveral(ctx context.Context, c esl.Commander) {
	l.unasked.Store(false)
	if profiles, err := esl.MultipleRegistrations(ctx, c); err == nil {
		l.several.profiles.Store(&profiles)
	}
}

func (l *lister) listGateways(ctx context.Context) error {
	found, err := ask(ctx, l, esl.Gateways)
	if err != nil {
		return err
	}
	events, err := l.gateways.update(ctx, found)
	for _, e := range events {
		l.emit(ctx, e)
	}
	return err
}

// ask reads a list over a console, and closes it before the engine takes the events.
func ask[T any](ctx context.Context, l *lister, list func(context.Context, esl.Commander) (found T, err error)) (found T, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	c, err := l.dial(ctx)
	if err != nil {
		return found, fmt.Errorf("connect for commands: %w", err)
	}
	defer c.Close()
	return list(ctx, c)
}

// emit waits until the engine has taken the event, or ctx ends.
func (l *lister) emit(ctx context.Context, e *event.Event) {
	select {
	case l.events <- e:
	case <-ctx.Done():
	}
}

// registered makes an event of a listed registration; nil if that has expired by the clock of
// the switch. The list has neither the time nor whether a password was verified: the raw field
// "authenticated" is missing.
func registered(r *esl.Registration, source string, now time.Time) *event.Event {
	until, err := strconv.ParseInt(r.Expires, 10, 64)
	left := until - now.Unix() // seconds
	if err != nil || left <= 0 {
		return nil
	}
	e := &event.Event{
		Name: event.Registered, Source: source, Repeat: true,
		User: bound(r.User), Domain: bound(r.Realm), CallID: bound(r.CallID), Transport: bound(r.Proto), Profile: bound(r.Profile()),
		Fields: map[string]string{"expires": strconv.FormatInt(left, 10), "url": bound(r.URL)},
	}
	e.IP, e.Port = address(r.IP, r.Port)
	e.Text = evidence("show registrations", e, nil)
	return e
}
