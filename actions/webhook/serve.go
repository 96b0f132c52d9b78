package webhook

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"time"
)

// How long the action waits between two attempts.
const (
	firstRetry   = time.Second
	longestRetry = 5 * time.Minute
	leastPause   = 100 * time.Millisecond
)

// Serve sends what Apply queues until ctx ends. A request under way is then given
// up and its notices stay where they were: in the file for the next run, or, where
// there is none, nowhere. It is called once, and ends the action.
func (a *Action) Serve(ctx context.Context) {
	defer a.end()
	for ctx.Err() == nil {
		g, wait := a.next()
		if g == nil {
			a.rest(ctx, wait, a.woken)
			continue
		}
		a.prepare(g)
		o := a.endpoint.send(ctx, g.id, g.body, g.contentType, time.Now())
		if ctx.Err() != nil && o.verdict != delivered {
			return
		}
		if pause := a.settle(g, o); pause > 0 {
			a.rest(ctx, pause, nil)
		}
	}
}

// rest waits until ctx ends, something comes from woken, or, if it is not 0, so
// much time has passed.
func (a *Action) rest(ctx context.Context, wait time.Duration, woken <-chan struct{}) {
	var over <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
	case <-woken:
	case <-over:
	}
}

// next is the group to be sent, or how long to wait for it; 0: until woken.
func (a *Action) next() (*group, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.stale.IsZero() {
		a.keep(step{})
	}
	now := time.Now()
	oldest := now.Add(-a.config.giveUp)
	if expired := a.queue.expire(oldest); len(expired) > 0 {
		a.keep(step{gone: expired})
		a.dropped(len(expired), tooOld)
	}
	for {
		g, formed, wait := a.queue.next(now)
		switch {
		case g == nil:
			return nil, wait
		case formed:
			a.keep(step{formed: g})
		case g.entries[len(g.entries)-1].queued.Before(oldest):
			a.giveUp(g, tooOld)
			continue
		}
		return g, 0
	}
}

const tooOld = "they are older than give_up"

// prepare writes the body of a group. What a template cannot write goes out in the
// default form: better to be told in the wrong form than not at all.
func (a *Action) prepare(g *group) {
	if g.body != nil {
		return
	}
	m := Message{ID: g.id, Action: a.config.name, SentAt: g.formed.UTC(), Lost: g.lost, Vars: a.config.vars}
	m.Host, _ = os.Hostname()
	for _, e := range g.entries {
		var n Notice
		_ = json.Unmarshal(e.notice, &n) // we wrote it, or have tried that when it was loaded
		m.Notices = append(m.Notices, n)
	}
	body, err := a.form.render(&m)
	g.contentType = a.form.contentType
	if err != nil {
		a.log().Error("template failed: the message goes out in the default form", "err", truncate(300, a.endpoint.secrets.Redact(plain(err.Error()))))
		body, _ = json.Marshal(&m) // its strings are valid, its times within bounds
		g.contentType = typeJSON
	}
	g.body = body
}

// settle takes note of what became of an attempt, and returns how long to wait
// until the next one.
func (a *Action) settle(g *group, o outcome) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch o.verdict {
	case delivered:
		a.recovered()
		a.delivery.Delivered += uint64(len(g.entries))
		a.queue.end(g, true)
		a.keep(step{ended: g})
		return 0
	case refused:
		// The pause grows here, too: if it is not the message but, say, a password
		// that is wrong, the rest of the queue should not be lost within a second.
		a.failed(o.err)
		a.giveUp(g, "refused for good")
		return a.pause(o.after)
	case answered:
		a.queue.answered(g)
	}
	a.failed(o.err)
	if a.delivery.Failures == 1 {
		a.log().Warn("webhook not delivered: it is tried again", "err", o.err)
	}
	pause := a.pause(o.after)
	if o.verdict == answered && o.after == 0 && g.aside() {
		a.queue.asideUntil = time.Now().Add(pause)
		pause = 0 // what is new does not wait
	}
	if g.unfit() {
		a.giveUp(g, "the endpoint fails on this message and takes others")
	}
	return pause
}

// failed counts an attempt that failed. The mutex is held.
func (a *Action) failed(err error) {
	a.delivery.Failed++
	a.delivery.Failures++
	a.delivery.Error = err.Error()
}

// giveUp drops a group. The mutex is held.
func (a *Action) giveUp(g *group, why string) {
	a.queue.end(g, false)
	a.keep(step{ended: g})
	a.dropped(len(g.entries), why)
}

// pause is how long to wait after a failure: a random part of a time that doubles,
// so that many hosts do not come back at the same moment, and not less than what
// the endpoint asks for. The mutex is held.
func (a *Action) pause(after time.Duration) time.Duration {
	if after > 0 {
		return after + rand.N(firstRetry)
	}
	doublings := min(a.delivery.Failures-1, 10) // beyond that a shift could overflow
	return max(rand.N(min(firstRetry<<doublings, longestRetry)), leastPause)
}

// recovered notes that the endpoint takes messages. The mutex is held.
func (a *Action) recovered() {
	if a.delivery.Failures > 0 || a.said {
		a.log().Info("webhook works again", "failures", a.delivery.Failures, "dropped", a.delivery.Dropped)
	}
	a.delivery.Failures, a.delivery.Error, a.said = 0, "", false
}

// end lets go of the file.
func (a *Action) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	a.endpoint.client.CloseIdleConnections()
	if !a.stale.IsZero() {
		a.stale = time.Unix(0, 0) // the last chance is not waited for
		a.keep(step{})
	}
	if n, _ := a.queue.size(); n > 0 && !a.delivery.Durable {
		a.log().Error("notices dropped: the program ends and they are not kept", "notices", n)
	}
	if a.spool == nil {
		return
	}
	if err := a.spool.db.Close(); err != nil {
		a.log().Error("notices not closed", "err", err)
	}
	a.spool = nil
}
