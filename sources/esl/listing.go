package esl

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
)

const (
	relistAfter = 5 * time.Minute  // the DNS may name other addresses for a gateway
	retryAfter  = 30 * time.Second // a listing that failed
	listPause   = 5 * time.Second  // a gateway's state may change several times in a row
	listTimeout = time.Minute      // for the switch to answer
)

// A console carries out commands, as [esl.Console] does.
type console interface {
	API(ctx context.Context, command string, args ...string) (string, error)
	Close() error
}

// A lister asks the switch for what it knew before we came: who is registered,
// once for every connection, and which gateways it has, again and again. Its
// events go to their own channel and wait there, so that a long list does not push
// news out of the queue.
type lister struct {
	registrations bool // to be listed
	gateways      *gateways
	source        *source
	console       func(context.Context) (console, error)
	events        chan *event.Event
	ask           chan struct{} // a listing is due
	up            atomic.Bool   // the stream is connected
	anew          atomic.Bool   // registrations were not listed since it is
}

// newLister makes a lister of what the wanted events need.
func newLister(s *source, want map[string]bool, dial func(context.Context) (console, error), resolver resolver) *lister {
	l := &lister{
		source: s, console: dial, events: make(chan *event.Event), ask: make(chan struct{}, 1),
		registrations: want == nil || want[event.Registered],
	}
	if isWanted(want, []string{event.Gateway, event.GatewayRemoved}) {
		l.gateways = &gateways{source: s.name, want: want, resolver: resolver, known: map[string]addresses{}}
	}
	return l
}

// connected has everything listed: what was reported meanwhile was missed.
func (l *lister) connected() {
	l.up.Store(true)
	l.anew.Store(true)
	l.refresh()
}

func (l *lister) disconnected() { l.up.Store(false) }

// refresh has the lists read again. It does not wait for it.
func (l *lister) refresh() {
	select {
	case l.ask <- struct{}{}:
	default:
	}
}

// changesGateways reports whether a message says that the switch's gateways are
// not what they were. One that only tries to register says nothing new.
func changesGateways(m *esl.Message) bool {
	switch m.Name() {
	case "sofia::gateway_add", "sofia::gateway_delete":
		return true
	case "sofia::gateway_state":
		return m.Headers["State"] == "REGED" || m.Headers["Ping-Status"] == "UP"
	}
	return false
}

// run lists whenever it is asked to, and from time to time, until ctx ends.
func (l *lister) run(ctx context.Context) {
	if !l.registrations && l.gateways == nil {
		return
	}
	timer := time.NewTimer(relistAfter)
	defer timer.Stop()
	for {
		select {
		case <-l.ask:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		next := relistAfter
		if l.up.Load() {
			if err := l.list(ctx); err != nil && ctx.Err() == nil {
				next = retryAfter
				l.source.progress.listed(err.Error())
			} else {
				l.source.progress.listed("")
			}
			sleep(ctx, listPause)
		}
		timer.Reset(next)
	}
}

// list reads the lists that are due and hands on what is in them. Each is of use
// without the other; the error is the first.
func (l *lister) list(ctx context.Context) error {
	var failed error
	if l.registrations && l.anew.Swap(false) {
		if failed = l.listRegistrations(ctx); failed != nil {
			l.anew.Store(true)
		}
	}
	if l.gateways != nil {
		if err := l.listGateways(ctx); failed == nil {
			failed = err
		}
	}
	return failed
}

func (l *lister) listRegistrations(ctx context.Context) error {
	answer, err := l.answer(ctx, "show", "registrations", "as", "json")
	if err != nil {
		return fmt.Errorf("list registrations: %w", err)
	}
	found, err := registrations(answer, l.source.name, time.Now())
	if err == nil {
		l.hand(ctx, found)
	}
	return err
}

func (l *lister) listGateways(ctx context.Context) error {
	answer, err := l.answer(ctx, "sofia", "xmlstatus", "gateway")
	if err != nil {
		return fmt.Errorf("list gateways: %w", err)
	}
	found, err := l.gateways.list(ctx, answer)
	l.hand(ctx, slices.Values(found))
	return err
}

// answer asks the switch. The console is closed before the answer is looked at, since
// the engine may be busy.
func (l *lister) answer(ctx context.Context, command string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	c, err := l.console(ctx)
	if err != nil {
		return "", fmt.Errorf("connect for commands: %w", err)
	}
	defer c.Close()
	return c.API(ctx, command, args...)
}

// hand waits until the engine has taken the events, or ctx ends.
func (l *lister) hand(ctx context.Context, events iter.Seq[*event.Event]) {
	for e := range events {
		select {
		case l.events <- e:
		case <-ctx.Done():
			return
		}
	}
}

// A row is a registration in the answer to `show registrations as json`.
type row struct {
	User    string `json:"reg_user"`
	Realm   string `json:"realm"`
	CallID  string `json:"token"`
	URL     string `json:"url"`     // "sofia/internal/sip:1000@192.0.2.1:5060"
	Expires string `json:"expires"` // Unix time, in seconds
	IP      string `json:"network_ip"`
	Port    string `json:"network_port"`
	Proto   string `json:"network_proto"`
}

// registrations reads the switch's list: who is registered at now. There may be a
// hundred thousand of them, so that their events are made one by one.
func registrations(answer, source string, now time.Time) (iter.Seq[*event.Event], error) {
	var listing struct {
		Rows []row `json:"rows"`
	}
	if err := json.Unmarshal([]byte(answer), &listing); err != nil {
		return nil, fmt.Errorf("list registrations: %w", err)
	}
	return func(yield func(*event.Event) bool) {
		for i := range listing.Rows {
			if e := listing.Rows[i].event(source, now); e != nil && !yield(e) {
				return
			}
		}
	}, nil
}

// event makes an event of a row, nil where the registration is over. The list does not
// tell who was asked for a password, so that the field "authenticated" is missing; a
// blind registration is among them.
func (r *row) event(source string, now time.Time) *event.Event {
	until, err := strconv.ParseInt(r.Expires, 10, 64)
	left := until - now.Unix() // seconds
	if err != nil || left <= 0 {
		return nil
	}
	bound := func(s string) string { return event.Bound(s, event.MaxField) }
	e := &event.Event{
		Name: event.Registered, Source: source, Time: now, Repeat: true,
		User: bound(r.User), Domain: bound(r.Realm), CallID: bound(r.CallID), Transport: bound(r.Proto),
		Fields: map[string]string{"expires": strconv.FormatInt(left, 10), "url": bound(r.URL)},
	}
	setAddress(e, r.IP, r.Port)
	if _, rest, ok := strings.Cut(e.Fields["url"], "sofia/"); ok {
		e.Profile, _, _ = strings.Cut(rest, "/")
	}
	e.Text = evidence("show registrations", e)
	return e
}
