package webhook

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
)

// The pauses between two attempts.
const (
	firstRetry   = time.Second
	longestRetry = 5 * time.Minute
	leastPause   = 100 * time.Millisecond
)

// Serve sends what Apply queues until ctx ends. Then it gives up a request under way;
// what is not delivered stays in the spool for the next run. It is called once.
func (a *Action) Serve(ctx context.Context) {
	defer a.end()
	for ctx.Err() == nil {
		g, wait := a.next()
		if g == nil {
			plugin.Rest(ctx, wait, a.woken)
			continue
		}
		a.prepare(g)
		r := a.endpoint.send(ctx, g.ID, g.body, g.contentType, time.Now())
		if ctx.Err() != nil && r.outcome != delivered {
			return
		}
		if pause := a.settle(g, r); pause > 0 {
			plugin.Rest(ctx, pause, nil)
		}
	}
}

const tooOld = "they are older than give_up"

// next returns the group to be sent, or how long to wait for it; 0: until woken.
func (a *Action) next() (*group, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.stale.IsZero() {
		a.save(step{})
	}
	now := time.Now()
	oldest := now.Add(-a.config.giveUp)
	if expired := a.queue.expire(oldest); len(expired) > 0 {
		a.save(step{gone: expired})
		a.dropped(len(expired), tooOld)
	}
	for {
		g, formed, wait := a.queue.next(now)
		switch {
		case g == nil:
			return nil, wait
		case formed:
			a.save(step{})
		case g.entries[len(g.entries)-1].queued.Before(oldest):
			a.giveUp(g, tooOld)
			continue
		}
		return g, 0
	}
}

// prepare renders the body of a group. If the template fails on it, it is sent in the
// default form.
func (a *Action) prepare(g *group) {
	if g.body != nil {
		return
	}
	m := Message{ID: g.ID, Action: a.config.name, SentAt: g.Formed, Lost: g.Lost, Vars: a.config.vars}
	m.Host, _ = os.Hostname()
	for _, e := range g.entries {
		var c ban.Change
		_ = json.Unmarshal(e.json, &c) // it was written by Apply, or checked by toEntry
		m.Notifications = append(m.Notifications, c)
	}
	body, err := a.config.form.render(&m)
	g.contentType = a.config.form.contentType
	if err != nil {
		if a.lines.Allow() {
			a.log().Error("template failed: the message is sent in the default form", "err", a.endpoint.show(300, err.Error()))
		}
		body, _ = json.Marshal(&m) // its texts are valid, its times within bounds
		g.contentType = typeJSON
	}
	g.body = body
}

// settle records the result of an attempt and returns how long to wait until the next.
func (a *Action) settle(g *group, r result) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.outcome == delivered {
		if a.failLogged || a.dropLogged {
			a.log().Info("webhook delivers again", "failures", a.delivery.Failures, "dropped", a.delivery.Dropped)
		}
		a.delivery.Failures, a.delivery.Error, a.failLogged, a.dropLogged = 0, "", false, false
		a.delivery.Delivered += uint64(len(g.entries))
		a.queue.end(g, true)
		a.save(step{gone: g.entries})
		return 0
	}
	a.delivery.Failed++
	a.delivery.Failures++
	a.delivery.Error = r.err.Error()
	pause := a.pause(r.after)
	if r.outcome == refused {
		// The pause grows here, too: if the reason is a wrong password rather than the
		// message, the queue must not be lost within a second.
		a.giveUp(g, "the endpoint refuses them")
		return pause
	}
	if a.delivery.Failures == 1 && a.lines.Allow() {
		a.failLogged = true
		a.log().Warn("webhook not delivered: it is retried", "err", r.err)
	}
	if r.outcome == failed {
		return pause
	}
	a.queue.answered(g)
	if g.unfit() {
		a.giveUp(g, "the endpoint fails on this message and takes others")
	}
	if g.aside() && r.after == 0 {
		a.queue.asideUntil = time.Now().Add(pause)
		return 0 // new notifications do not wait
	}
	return pause
}

// giveUp drops a group. The mutex is held.
func (a *Action) giveUp(g *group, why string) {
	a.queue.end(g, false)
	a.save(step{gone: g.entries})
	a.dropped(len(g.entries), why)
}

// pause is how long to wait after a failure: what the endpoint asks for, else a random
// part of a time that doubles, so that many hosts do not come back at the same moment.
// The mutex is held.
func (a *Action) pause(after time.Duration) time.Duration {
	if after > 0 {
		return after + rand.N(firstRetry)
	}
	doublings := min(a.delivery.Failures-1, 10) // more could overflow
	return max(rand.N(min(firstRetry<<doublings, longestRetry)), leastPause)
}

// end closes the spool.
func (a *Action) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	a.endpoint.client.CloseIdleConnections()
	if !a.stale.IsZero() {
		a.stale = time.Unix(0, 0) // this is the last try
		a.save(step{})
	}
	if n, _ := a.queue.size(); n > 0 && (a.spool == nil || a.delivery.SpoolError != "") {
		a.log().Error("notifications dropped: the program ends and there is no file", "notifications", n)
	}
	if a.spool == nil {
		return
	}
	if err := a.spool.db.Close(); err != nil {
		a.log().Error("close the file of notifications", "err", err)
	}
	a.spool = nil
}
