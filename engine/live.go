package engine

import (
	"context"
	"errors"
	"time"

	"freeswitch-security/engine/event"
)

// live is what an engine has only while it runs: the sources it follows, the
// actions it keeps in agreement with the ledger, and what reaches it from
// elsewhere.
type live struct {
	ctx     context.Context // of the run; nil before it
	events  chan *event.Event
	asked   chan func() // to be done between two events
	follows follows
	runs    runs
}

// inFlight is how many events may wait for the core. A log file is its own
// buffer, so the channel is small: a full one stops the reader, not the caller.
const inFlight = 1024

func newLive() live {
	return live{
		events:  make(chan *event.Event, inFlight),
		asked:   make(chan func()),
		follows: newFollows(),
		runs:    newRuns(),
	}
}

// reload brings sources and actions in line with the configuration, if the
// engine runs.
func (l *live) reload(e *Engine) {
	if l.ctx != nil {
		l.follows.agree(e)
		l.runs.agree(e)
	}
}

// Run follows the live sources and has the actions carried out, until ctx ends
// or there is no source left to follow. Time is the clock's; events carry their
// own, and one that is stamped in the future counts as now. What stands in the
// kernel is left standing.
func (e *Engine) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e.live.ctx = ctx
	e.live.runs.agree(e)
	e.live.follows.agree(e)
	defer e.live.runs.wait()
	defer e.live.follows.wait()
	defer cancel() // before waiting for them
	go ready(ctx, e.live.runs.runners(), e.Ready)

	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case ev := <-e.live.events:
			e.observeAll(ev)
		case end := <-e.live.follows.ended:
			e.observeAll(nil) // what it had reported before
			if e.live.follows.gone(e, end) {
				e.commit()
				return end.err
			}
		case do := <-e.live.asked:
			e.advance(time.Now())
			do()
		case <-wake.C:
			e.advance(time.Now())
		}
		e.commit()
		if at, ok := e.ledger.Next(); ok {
			wake.Reset(time.Until(at))
		}
	}
}

// observeAll lets the rules see an event and all that are waiting behind it, so
// that what comes in a burst shares one commit.
func (e *Engine) observeAll(ev *event.Event) {
	for range inFlight {
		if ev != nil {
			e.observeLive(ev)
		}
		select {
		case ev = <-e.live.events:
		default:
			return
		}
	}
	if ev != nil {
		e.observeLive(ev)
	}
}

// observeLive lets the rules see an event now.
func (e *Engine) observeLive(ev *event.Event) {
	now := time.Now()
	if ev.Time.After(now) {
		ev.Time = now
	}
	e.observe(ev, now)
}

// commit settles what was decided, and tells the log if it could not be saved.
func (e *Engine) commit() {
	if err := e.settle(); err != nil {
		e.Log.Error("state not saved", "err", err)
	}
}

// errStopped is what Do returns when the engine stops meanwhile.
var errStopped = errors.New("the engine has stopped")

// Do has f called on the goroutine that counts, between two events, and returns
// when it is done and what it decided is durable. It may be called from any
// goroutine while the engine runs.
func (e *Engine) Do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case e.live.asked <- func() { f(); e.commit(); close(done) }:
		<-done
		return nil
	case <-ctx.Done():
		return errors.Join(errStopped, ctx.Err())
	}
}
