package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// live is the state of an engine while it runs.
type live struct {
	ctx     context.Context // of the run; nil before it
	turn    sync.Mutex      // held by the goroutine that acts as the core
	wake    *time.Timer     // when something is due without a report
	due     time.Time       // for which wake is set; zero: for nothing
	asked   chan func()     // calls between two events
	ended   chan struct{}   // closed when asked is no longer read
	saved   chan struct{}   // closed when all is on the disk at the end, or could not be saved
	sources sourceSet
	actions actionSet
	fleet   fleetNode
	notices notices
	saver   *saver
	handed  uint64    // the number of the latest change that the saver was told of
	told    time.Time // when it was last told of changes
	kept    time.Time // when the clocks were last saved
	keptAt  time.Time // when the rest that a restart keeps was
	placed  time.Time // when the files of the geoip block were looked at
	lost    string    // why the state of the run before is not in the ledger; "": it is
	damage  error     // of the state of the run before; nil: none
}

// Run follows the live sources and runs the actions, until ctx ends or no source is left.
// Time is the clock's. An event has its own time, and one with a time in the future counts
// as now. What the kernel enforces at the end remains.
//
// It returns the errors of actions that did not work at the end.
func (e *Engine) Run(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e.live.turn.Lock() // and never unlocked after the end
	e.live.ctx, e.dry = ctx, e.options.DryRun
	e.live.wake = time.NewTimer(0)
	defer e.live.wake.Stop()
	e.pair()
	endSaving := e.live.saver.start()
	e.takeOver(ctx)
	removeStaleDirs(e.options.Dir, e.cfg.Actions, e.options.Log, time.Now())
	e.reconcileActions()
	e.reconcileFleet()
	e.reconcileSources()
	defer func() {
		close(e.live.ended)
		cancel()
		e.takeUntil(e.live.sources.wait())
		e.keep()
		e.commit()
		endSaving()
		close(e.live.saved)
		<-e.live.fleet.end()
		e.live.actions.end()
		err = errors.Join(err, e.live.actions.failing())
	}()
	started := e.protecting()
	go func() {
		if tried(ctx, started) {
			e.options.Ready()
		}
	}()

	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for ctx.Err() == nil { // a select would choose among it and the reports of a flood
		act := e.await(ctx, look.C)
		if last := act(); last {
			return nil
		}
		e.finish()
	}
	return nil
}

// await waits for what the core does next, which reports whether no source is left. Meanwhile a source may take the
// turn of the core.
func (e *Engine) await(ctx context.Context, look <-chan time.Time) (act func() (last bool)) {
	e.live.turn.Unlock()
	defer e.live.turn.Lock()
	does := func(act func()) func() bool {
		return func() bool {
			act()
			return false
		}
	}
	select {
	case <-ctx.Done():
		return does(func() {})
	case r := <-e.live.sources.reports:
		return does(func() { e.observeAll(r) })
	case end := <-e.live.sources.ended:
		return func() bool {
			e.takeUntil(end.source.done) // its last reports
			return e.sourceEnded(end)
		}
	case do := <-e.live.asked:
		return does(func() {
			e.advance(e.tick())
			do()
		})
	case <-e.live.wake.C:
		return does(func() {
			e.live.due = time.Time{}
			e.advance(e.tick())
		})
	case now := <-look:
		return does(func() { e.look(now) })
	}
}

// finish ends a turn: what was decided is published, and what is due next is waited for.
func (e *Engine) finish() {
	e.commit()
	if at, ok := e.next(); ok && !at.Equal(e.live.due) {
		e.live.wake.Reset(min(at.Sub(e.options.Clock.Now()), longestSleep))
		e.live.due = at
	}
}

// refusalsEvery is how often the saver is told of changes that are mere refusals, such as the further matches of
// banned addresses: while others come, or else at the next look.
const refusalsEvery = 100 * time.Millisecond

// manyRefusals is how many of them it is told of at once.
const manyRefusals = 1 << 8

// offer takes a burst of events on the goroutine of their source, if the core waits and no report does. To wake
// up the core costs more than a few events.
func (e *Engine) offer(burst []*event.Event) bool {
	if !e.live.turn.TryLock() {
		return false
	}
	defer e.live.turn.Unlock()
	if e.live.sources.waiting.Load() > 0 || e.live.saver.isFull() {
		return false
	}
	now := e.tick()
	for _, ev := range burst {
		e.observeLive(ev, now)
	}
	e.finish()
	return true
}

// look does what is due every lookEvery.
func (e *Engine) look(now time.Time) {
	e.live.sources.judge(now)
	e.advance(e.tick())
	e.compareClocks()
	e.live.sources.logFaults(e.options.Log)
	e.exchangeKnown()
	e.lookUpNames(now)
	if places := e.cfg.GeoIP; places != nil && now.Sub(e.live.placed) >= placesEvery {
		e.live.placed = now
		go places.Refresh()
	}
}

// placesEvery is how often the files of the geoip block are looked at.
const placesEvery = 10 * time.Second

// protecting returns the actions that READY waits for. A switch that cannot be reached does not delay what
// the kernel does.
func (e *Engine) protecting() []*action {
	return slices.DeleteFunc(e.runningActions(), func(a *action) bool { return !a.Handles(ban.TargetAddress) })
}

// reconcileActions runs the actions of the configuration.
func (e *Engine) reconcileActions() {
	if !e.options.DryRun {
		e.live.actions.reconcile(e.live.ctx, e.cfg)
	}
}

// longestSleep bounds the time until the core looks at what is due.
const longestSleep = 30 * time.Second

// burst is the time for which the core takes reports before it commits. A single report does
// not wait. In a flood a commit costs more than its reports, and fewer commits let more
// attackers be banned in the same time.
const burst = 20 * time.Millisecond

// sameTime is how long what the engine's clock has shown is taken for now within a burst: that clock
// is a call of the system.
const sameTime = time.Millisecond

// observeAll takes a report and all that wait behind it, so that a burst shares one commit.
func (e *Engine) observeAll(r report) {
	began := time.Now()
	now, read := e.tick(), began
	for {
		e.take(r, now)
		at := time.Now()
		if at.Sub(began) > burst {
			return
		}
		if at.Sub(read) > sameTime {
			now, read = e.options.Clock.Now(), at
		}
		select {
		case r = <-e.live.sources.reports:
		default:
			return
		}
	}
}

// takeUntil takes reports until done is closed, and then those that wait by that time: in a
// flood, reports that arrive meanwhile would not end.
func (e *Engine) takeUntil(done <-chan struct{}) {
	for {
		select {
		case r := <-e.live.sources.reports:
			e.observeAll(r)
			e.commit()
		case <-done:
			for range len(e.live.sources.reports) {
				e.take(<-e.live.sources.reports, e.options.Clock.Now())
			}
			return
		}
	}
}

// take passes an event to the rules at the time now, or notes how far its source has read.
func (e *Engine) take(r report, now time.Time) {
	e.live.sources.waiting.Add(-1)
	if r.event == nil {
		e.live.sources.moveTo(r.ref, r.position)
		return
	}
	e.observeLive(r.event, now)
}

func (e *Engine) observeLive(ev *event.Event, now time.Time) {
	e.live.sources.see(ev)
	e.date(ev, now)
	e.observe(ev, now)
}

// commit publishes the changes to the actions that do not wait for the disk, and hands them
// to the saver, with how far the sources were read by then.
func (e *Engine) commit() {
	e.retrust()
	e.ledger.Publish()
	e.sendNotices()
	if e.now.Sub(e.live.keptAt) >= keptEvery {
		e.keep()
	}
	seq := e.ledger.Seq()
	// The changes of a feed are not among the untold.
	if e.untold.changes == 0 && len(e.live.sources.moved) == 0 && seq == e.live.handed {
		return
	}
	if seq == e.live.handed && len(e.live.sources.moved) == 0 && e.untold.urgent == 0 && e.untold.changes < manyRefusals && !e.untold.exceeds(0.5) &&
		time.Since(e.live.told) < refusalsEvery {
		return
	}
	e.live.handed, e.live.told = seq, time.Now()
	if len(e.live.sources.moved) > 0 || e.now.Sub(e.live.kept) >= keepEvery {
		e.keepClocks()
	}
	e.live.saver.hand(e.untold, e.live.sources.moved)
	e.untold = unsaved{}
	clear(e.live.sources.moved)
}

// WithoutStore says that there is no store, and why: the status reports it. It must be
// called before the engine runs.
func (e *Engine) WithoutStore(err error) { e.live.saver.none = err }

// errStopped says that the engine has stopped, or that the caller has gone.
var errStopped = errors.New("the engine has stopped")

// errBusy says that the caller has waited in vain.
var errBusy = errors.New("the engine has too much to do")

// between calls f on the core's goroutine, between two events, and returns when it is done.
// The changes are then about to be published, and not yet durable.
func (e *Engine) between(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case e.live.asked <- func() {
		f()
		close(done)
	}:
		<-done
		return nil
	case <-e.live.ended:
		return errStopped
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return errBusy
		}
		return fmt.Errorf("%w: %w", errStopped, ctx.Err())
	}
}

// Do calls f on the core's goroutine, between two events, and returns when it is done and
// its changes are durable, or could not be saved. It is safe for concurrent use while the
// engine runs.
func (e *Engine) Do(ctx context.Context, f func()) error {
	var durable <-chan struct{}
	err := e.between(ctx, func() {
		f()
		e.commit()
		durable = e.live.saver.flush()
	})
	if err == nil {
		<-durable
	}
	return err
}
