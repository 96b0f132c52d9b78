package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/dbfile"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// Action tells an endpoint of bans. Apply queues, Serve sends.
type Action struct {
	config   config
	form     form
	endpoint *endpoint
	woken    chan struct{} // there may be something to send

	mu       sync.Mutex // guards all below
	queue    queue
	spool    *spool    // nil: the queue is in memory only
	stale    time.Time // not zero: the spool lacks something since the failure then
	ended    bool      // Serve has returned
	seen     uint64    // the Seq of the latest change that is queued
	said     bool      // that notices are dropped, since the last success
	delivery status.Delivery
}

var (
	_ plugin.Action   = (*Action)(nil)
	_ plugin.Reporter = (*Action)(nil)
	_ plugin.Comparer = (*Action)(nil)
)

// maxQueueBytes bounds what waits, in bytes of JSON, whatever the attribute queue
// says: each notice may be long.
const maxQueueBytes = 64 << 20

func newAction(c config) *Action {
	// The template was tried when the block was decoded.
	f, _ := newForm(c.template, c.contentType, c.vars)
	a := &Action{
		config: c, form: f, woken: make(chan struct{}, 1),
		queue: queue{maxNotices: c.queue, maxBytes: maxQueueBytes, groupWait: c.groupWait, groupMax: c.groupMax},
	}
	a.endpoint = newEndpoint(&a.config)
	return a
}

// Same reports whether the other action was made from the same words.
func (a *Action) Same(other any) bool {
	o, ok := other.(*Action)
	return ok && reflect.DeepEqual(a.config, o.config)
}

func (a *Action) log() *slog.Logger { return slog.With("action", a.config.name) }

// Keep has what waits kept in dir, which must exist and belong to this action
// alone, and takes over what an earlier run left there. It comes before Apply and
// Serve. After an error the action works all the same, and keeps what waits in
// memory.
func (a *Action) Keep(dir string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.spool != nil || a.queue.last > 0 || a.ended {
		return errors.New("webhook: Keep must come before anything else")
	}
	err := a.open(dir)
	if err != nil {
		a.delivery.SpoolError = err.Error()
		return fmt.Errorf("notices not kept across restarts: %w", err)
	}
	a.delivery.Durable = true
	n, since := a.queue.size()
	if n > 0 {
		a.log().Info("notices of an earlier run taken over", "notices", n, "since", since)
	}
	return nil
}

// open opens the spool and loads the queue. A damaged file is moved aside, and a
// new one takes its place.
func (a *Action) open(dir string) error {
	empty := a.queue
	s, err := openSpool(dir)
	if err == nil {
		if err = s.load(&a.queue); err == nil {
			a.spool = s
			// The bounds may be narrower than those of the run before.
			dropped := a.queue.push(nil)
			a.keep(step{gone: dropped})
			a.dropped(len(dropped), "the queue is full")
			return nil
		}
		a.queue = empty
		_ = s.db.Close() // it is given up: what failed is the reading
	}
	if !errors.Is(err, dbfile.ErrDamaged) {
		return err
	}
	aside, moving := dbfile.MoveAside(filepath.Join(dir, spoolName), time.Now())
	if moving != nil {
		return errors.Join(err, moving)
	}
	a.log().Error("notices of an earlier run lost: their file is damaged", "err", err, "aside", aside)
	if a.spool, err = openSpool(dir); err != nil {
		return err
	}
	return nil
}

var errEnded = errors.New("webhook: it has been stopped")

// Apply queues notices of the changes that are to be told, and returns when they
// are durable, or in memory where no directory was given. It does not wait for the
// endpoint. A change that it has queued already it does not queue again.
func (a *Action) Apply(_ context.Context, batch ban.Batch) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return errEnded
	}
	now := time.Now()
	var entries []entry
	for i := range batch.Changes {
		c := &batch.Changes[i]
		if c.Seq != 0 && c.Seq <= a.seen {
			continue
		}
		a.seen = max(a.seen, c.Seq)
		if !slices.Contains(a.config.on, c.Kind.String()) {
			continue
		}
		seq := a.queue.last + uint64(len(entries)) + 1
		notice, _ := json.Marshal(toNotice(seq, c)) // its strings are valid, its times within bounds
		entries = append(entries, entry{seq: seq, queued: now, notice: notice})
	}
	if len(entries) == 0 {
		return nil
	}
	dropped := a.queue.push(entries)
	a.keep(step{put: entries, gone: dropped})
	a.dropped(len(dropped), "the queue is full")
	a.wake()
	return nil
}

func (a *Action) wake() {
	select {
	case a.woken <- struct{}{}:
	default:
	}
}

// retrySpool is how long the file is left alone after it could not be written: a
// full disk does not get better by asking.
const retrySpool = 10 * time.Second

// keep makes a step durable. Where that fails the queue goes on in memory: who
// cannot write must still be able to tell. Later all of it is written anew. The
// mutex is held.
func (a *Action) keep(st step) {
	if a.spool == nil {
		return
	}
	var err error
	switch {
	case a.stale.IsZero():
		err = a.spool.write(&a.queue, st)
	case time.Since(a.stale) < retrySpool:
		return
	default:
		err = a.spool.rewrite(&a.queue)
	}
	if err != nil {
		if a.stale.IsZero() {
			a.log().Error("notices not written: until they can be, a restart loses those that wait", "err", err)
		}
		a.stale = time.Now()
		a.delivery.Durable, a.delivery.SpoolError = false, err.Error()
		return
	}
	if !a.stale.IsZero() {
		a.log().Info("notices are written again")
	}
	a.stale = time.Time{}
	a.delivery.Durable, a.delivery.SpoolError = true, ""
}

// dropped counts notices that nobody will be told of. The first ones are worth a
// line; how many they became the next message tells. The mutex is held.
func (a *Action) dropped(n int, why string) {
	if n == 0 {
		return
	}
	a.delivery.Dropped += uint64(n)
	if !a.said {
		a.log().Error("notices dropped", "notices", n, "why", why, "err", a.delivery.Error)
	}
	a.said = true
}

// Delivery says how the action gets on.
func (a *Action) Delivery() status.Delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.delivery
	d.Waiting, d.Since = a.queue.size()
	return d
}

// Report implements [plugin.Reporter]. Its problems keep no ban from being in force.
func (a *Action) Report(context.Context) (r status.Report) {
	d := a.Delivery()
	r.Delivery = &d
	switch {
	case d.Error != "" && d.Waiting > 0:
		r.Add(status.Warning, "%d notifications not delivered since %s: %s", d.Waiting, d.Since.UTC().Format(time.RFC3339), d.Error)
	case d.Error != "":
		r.Add(status.Warning, "the last notification was not delivered: %s", d.Error)
	}
	if d.SpoolError != "" {
		r.Add(status.Warning, "undelivered notifications do not survive a restart: %s", d.SpoolError)
	}
	return r
}
