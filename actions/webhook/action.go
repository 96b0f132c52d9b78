package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/dbfile"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// Action sends changes to an endpoint. Apply queues, Serve sends.
type Action struct {
	config   config
	endpoint *endpoint
	woken    chan struct{} // there may be something to send
	lines    *rate.Limiter // of the log about failures: what an endpoint answers is in them

	mu         sync.Mutex // guards all below
	queue      queue
	spool      *spool    // nil: the queue is in memory only
	stale      time.Time // when a write failed that the spool still lacks; zero: none did
	ended      bool      // Serve has returned
	seen       uint64    // Seq of the latest queued change
	dropLogged bool      // since the last success
	failLogged bool      // likewise, a failure
	delivery   status.Delivery
}

var (
	_ plugin.Server   = (*Action)(nil)
	_ plugin.Opener   = (*Action)(nil)
	_ plugin.Reporter = (*Action)(nil)
)

// maxQueueBytes bounds the queue in bytes of JSON, whatever the attribute queue says:
// each notification may be long.
const maxQueueBytes = 64 << 20

func newAction(c config) *Action {
	a := &Action{
		config: c, woken: make(chan struct{}, 1), lines: rate.NewLimiter(rate.Every(time.Minute), 5),
		queue: queue{maxEntries: c.queue, maxBytes: maxQueueBytes, groupWait: c.groupWait, groupMax: c.groupMax},
	}
	a.endpoint = newEndpoint(&a.config)
	return a
}

func (a *Action) log() *slog.Logger { return slog.With("action", a.config.name) }

// Open stores the queue in the directory of the host, and takes over what an earlier
// run left there. After an error, or without a directory, the queue is in memory only.
func (a *Action) Open(host plugin.Host) error {
	if host.Dir == "" {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.open(host.Dir); err != nil {
		a.delivery.SpoolError = err.Error()
		return fmt.Errorf("notifications do not survive a restart: %w", err)
	}
	if n, since := a.queue.size(); n > 0 {
		a.log().Info("notifications restored", "notifications", n, "since", since)
	}
	return nil
}

// open opens the spool and loads the queue. A damaged file is moved aside and replaced.
func (a *Action) open(dir string) error {
	loaded := a.queue
	s, err := openSpool(dir, &loaded)
	if errors.Is(err, dbfile.ErrDamaged) {
		aside, moving := dbfile.MoveAside(filepath.Join(dir, spoolName), time.Now())
		if moving != nil {
			return errors.Join(err, moving)
		}
		a.log().Error("notifications lost: their file is damaged", "err", err, "aside", aside)
		loaded = a.queue
		s, err = openSpool(dir, &loaded)
	}
	if err != nil {
		return err
	}
	a.spool, a.queue = s, loaded
	a.push(nil) // the bounds may be narrower than before
	return nil
}

var errEnded = errors.New("the webhook has been stopped")

// Apply queues the changes that are sent, and returns when they are durable, or in
// memory without a spool. It does not wait for the endpoint. A change that comes twice
// is queued once.
func (a *Action) Apply(_ context.Context, batch ban.Batch) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return errEnded
	}
	now := time.Now()
	var entries []entry
	for _, c := range batch.Changes {
		if c.Seq != 0 && c.Seq <= a.seen {
			continue
		}
		a.seen = max(a.seen, c.Seq)
		if !slices.Contains(a.config.on, string(c.Kind)) {
			continue
		}
		seq := a.queue.Last + uint64(len(entries)) + 1
		body, _ := json.Marshal(notification(seq, *c)) // its texts are valid, its times within bounds
		entries = append(entries, entry{seq: seq, queued: now, json: body})
	}
	if len(entries) == 0 {
		return nil
	}
	a.push(entries)
	select {
	case a.woken <- struct{}{}:
	default:
	}
	return nil
}

// push queues notifications. The mutex is held.
func (a *Action) push(entries []entry) {
	dropped := a.queue.push(entries)
	a.save(step{put: entries, gone: dropped})
	a.dropped(len(dropped), "the queue is full")
}

// retrySpool is the pause after the spool could not be written.
const retrySpool = 10 * time.Second

// save makes a step durable. If that fails, the queue goes on in memory, and a later
// save writes all of it. The mutex is held.
func (a *Action) save(st step) {
	failing := !a.stale.IsZero()
	if a.spool == nil || failing && time.Since(a.stale) < retrySpool {
		return
	}
	if failing {
		st = a.queue.everything()
	}
	err := a.spool.write(&a.queue, st)
	switch {
	case err != nil && !failing:
		a.log().Error("notifications not written: a restart would lose them", "err", err)
	case err == nil && failing:
		a.log().Info("notifications written again")
	}
	a.stale, a.delivery.SpoolError = time.Time{}, ""
	if err != nil {
		a.stale, a.delivery.SpoolError = time.Now(), err.Error()
	}
}

// dropped counts dropped notifications. The first are logged; the next message reports
// how many there were. The mutex is held.
func (a *Action) dropped(n int, why string) {
	if n == 0 {
		return
	}
	a.delivery.Dropped += uint64(n)
	if !a.dropLogged && a.lines.Allow() {
		a.dropLogged = true
		a.log().Error("notifications dropped", "notifications", n, "why", why, "err", a.delivery.Error)
	}
}

// Delivery says how the action is doing. It may be called from any goroutine.
func (a *Action) Delivery() status.Delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.delivery
	d.Durable = a.spool != nil && d.SpoolError == ""
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
