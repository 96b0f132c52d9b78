package enforce

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"

	"golang.org/x/time/rate"
)

// Intervals of a runner.
const (
	resyncEvery  = 3 * time.Second // between two looks at what really stands
	resyncPause  = 10              // a pause is at least so many times the shorter of the last two resyncs, up to longestPause
	longestPause = time.Minute
	firstRetry   = 100 * time.Millisecond
	longestRetry = 30 * time.Second
)

// A Wants reports whether an action follows a ban.
type Wants func(*ban.Ban) bool

// A Runner makes one action agree with a ledger.
type Runner struct {
	// Now is the time that the bans are in: time.Now, unless it is set before Run.
	Now func() time.Time

	// Held is set before Run for an action that acts on changes that are held off, see [ban.Change].
	Held bool

	name   string
	action plugin.Action
	level  plugin.Level // the same action, if it is one
	cursor *ban.Cursor
	wants  atomic.Pointer[Wants]
	log    *slog.Logger
	rewant chan struct{} // the bans that are wanted have changed, or a resync was asked for
	heard  chan struct{} // others have changed what is enforced
	checks chan check    // of callers of InForce
	over   chan struct{} // closed when Run has returned
	tried  chan struct{} // closed after the first attempt

	// Of the goroutine in Run alone.
	pending  []*ban.Change // taken from the cursor, not yet carried out
	taken    uint64        // the number of the latest change that was taken
	stale    bool          // a resync is due
	asking   []check       // not answered yet
	told     *rate.Limiter
	untold   int           // repairs that are not in the log
	others   bool          // what a look finds was done by others: every change has been carried out
	enforced *Wants        // what the last resync compared with
	took     time.Duration // of the last resync, which may have waited for the lock of another program
	retry    time.Duration

	mu      sync.Mutex // guards what follows
	status  status.Action
	settled uint64        // every change up to this one has been carried out
	gaps    []plugin.Gap  // found by the latest look at what is enforced
	news    chan struct{} // closed when settled or status.Error changes
}

// New returns a runner for the action of that name, which does nothing until Run. It follows
// every change from now on: a level once it is published, another action once it is durable.
func New(name string, action plugin.Action, ledger *ban.Ledger, wants Wants, log *slog.Logger) *Runner {
	level, isLevel := action.(plugin.Level)
	kinds := ban.Told
	if isLevel {
		kinds = ban.Levels
	}
	r := &Runner{
		Now:  time.Now,
		name: name, action: action, level: level, cursor: ledger.Cursor(isLevel, kinds),
		log: log.With("action", name), rewant: make(chan struct{}, 1), heard: make(chan struct{}, 1),
		checks: make(chan check), over: make(chan struct{}), told: rate.NewLimiter(rate.Every(time.Minute), 20),
		tried: make(chan struct{}), status: newStatus(name, !isLevel), news: make(chan struct{}),
	}
	r.stale = isLevel
	r.wants.Store(&wants)
	return r
}

// newStatus is the status of an action before its first apply. An action that
// holds no state is always synced.
func newStatus(name string, synced bool) status.Action {
	return status.Action{
		Name: name, Synced: synced,
		Latency: status.NewHistogram(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3),
		Batches: status.NewHistogram(1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000),
	}
}

// Want changes which bans the action follows. It is safe for concurrent use.
func (r *Runner) Want(wants Wants) {
	r.wants.Store(&wants)
	wake(r.rewant)
}

// Changed asks for a repair: others have changed what is enforced. It is safe for concurrent use.
func (r *Runner) Changed() { wake(r.heard) }

// Resync asks for a resync now, also while the action fails. It is safe for concurrent use.
func (r *Runner) Resync() { wake(r.rewant) }

// wake fills a channel of one slot.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Tried is closed once the action has agreed with the ledger, or failed to, for the first
// time, or has ended before.
func (r *Runner) Tried() <-chan struct{} { return r.tried }

// Status returns the state of the action. It is safe for concurrent use.
func (r *Runner) Status() status.Action {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// Settled waits until every change up to that number that the action follows has been carried
// out. While the action fails, and after Run, it returns at once, with the reason.
func (r *Runner) Settled(ctx context.Context, seq uint64) error {
	for {
		r.mu.Lock()
		settled, failing, news := r.settled >= seq, r.status.Error, r.news
		r.mu.Unlock()
		switch {
		case settled:
			return nil
		case failing != "":
			return fmt.Errorf("action %s: %s", r.name, failing)
		}
		select {
		case <-news:
		case <-r.over:
			return r.ended()
		case <-ctx.Done():
			return fmt.Errorf("action %s: not done yet: %w", r.name, context.Cause(ctx))
		}
	}
}

// ended is the error of callers that wait for a runner that has ended.
func (r *Runner) ended() error {
	return fmt.Errorf("action %s: it was ended before it was done", r.name)
}

// settle notes that every change up to seq has been carried out.
func (r *Runner) settle(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq > r.settled {
		r.settled = seq
		r.tell()
	}
}

// tell wakes the callers of Settled; r.mu is held.
func (r *Runner) tell() {
	close(r.news)
	r.news = make(chan struct{})
}

// Run keeps the action in agreement with the ledger until ctx ends. What is enforced then
// remains.
func (r *Runner) Run(ctx context.Context) {
	defer close(r.over)
	defer r.cursor.Close()
	again := time.NewTimer(0)
	defer again.Stop()
	first := true
	defer func() {
		if first { // who waits for it must not wait for ever
			close(r.tried)
		}
	}()
	for {
		select {
		case <-ctx.Done():
			r.last(ctx)
			return
		case <-r.cursor.Ready():
			r.take()
			if r.retry > 0 {
				r.meanwhile(ctx)
				continue // it is failing: the timer says when to try again
			}
		case <-r.rewant:
			r.stale = r.level != nil
		case <-r.heard:
			if r.repair(ctx) {
				continue
			}
		case c := <-r.checks:
			r.collect(c)
			if r.repair(ctx) {
				continue
			}
		case <-again.C:
			r.stale = r.stale || r.level != nil
		}
		looks := r.stale
		if pause := r.work(ctx); looks || r.retry > 0 { // a batch alone must not postpone the next look
			again.Reset(pause)
		}
		r.answer(ctx)
		if first {
			first = false
			close(r.tried)
		}
	}
}

// lastApply is the time allowed for the final Apply.
const lastApply = 2 * time.Second

// last passes the last changes to an action without a state, which would miss them. A level
// is compared with the bans at the next start.
func (r *Runner) last(ctx context.Context) {
	if r.level != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastApply)
	defer cancel()
	r.take()
	if err := r.apply(ctx); err != nil {
		r.log.Error("action missed the last changes", "err", err, "changes", len(r.pending))
	}
}

// take collects the changes since the last time.
func (r *Runner) take() {
	changes, lost := r.cursor.Take()
	if lost {
		r.stale = r.level != nil
		r.update(func(s *status.Action) { s.Lost++ })
		r.log.Error("changes dropped: the action was too slow", "resync", r.level != nil)
	}
	r.keep(changes)
}

// keep adds the changes that the action follows to the pending ones.
func (r *Runner) keep(changes []*ban.Change) {
	if n := len(changes); n > 0 {
		r.taken = changes[n-1].Seq
	}
	wants := *r.wants.Load()
	for _, c := range changes {
		if wants(&c.Ban) && (r.Held || !c.Held) {
			r.pending = append(r.pending, c)
		}
	}
	r.update(func(s *status.Action) { s.Waiting = len(r.pending) })
}

// meanwhile applies new changes to a failing level before the next retry: one broken part,
// such as IPv6, must not delay the bans of the others. The resync repairs what fails here.
func (r *Runner) meanwhile(ctx context.Context) {
	if r.level == nil || len(r.pending) == 0 {
		return
	}
	if err := r.action.Apply(ctx, ban.Batch{Now: r.Now(), Changes: r.pending}); err != nil {
		r.log.Debug("action still failing", "err", err)
	}
	r.leave()
}

// leave drops the pending changes: the resync that is due compares with all bans.
func (r *Runner) leave() {
	r.pending = nil
	r.update(func(s *status.Action) { s.Waiting = 0 })
}

// work applies the pending changes or, if it is due, resyncs. It returns the time until it
// should be called again though nothing has changed.
func (r *Runner) work(ctx context.Context) time.Duration {
	var err error
	pause := resyncEvery
	if r.stale {
		began := time.Now()
		if err = r.resync(ctx); err == nil { // with a million bans it takes seconds
			took := time.Since(began)
			pause = max(pause, min(resyncPause*min(took, r.took), longestPause))
			r.took = took
		}
	} else {
		err = r.apply(ctx)
	}
	if err == nil {
		r.recovered()
		return pause
	}
	if ctx.Err() != nil {
		return resyncEvery // Run is about to see it
	}
	if r.level != nil {
		r.stale = true // whatever stands now, a resync will know
		r.leave()
	}
	return r.failed(err)
}

// apply passes the pending changes to the action.
func (r *Runner) apply(ctx context.Context) error {
	if len(r.pending) == 0 {
		r.settle(r.taken)
		return nil
	}
	start := time.Now()
	if err := r.action.Apply(ctx, ban.Batch{Now: r.Now(), Changes: r.pending}); err != nil {
		return err // without the size of the batch: it grows, and the log has an error once
	}
	n := len(r.pending)
	r.pending = nil
	r.update(func(s *status.Action) {
		now := time.Now()
		s.LastApply = status.Apply{At: now, Took: status.InSeconds(now.Sub(start)), Changes: n}
		s.Waiting = 0
		s.Latency.Add(float64(s.LastApply.Took))
		s.Batches.Add(float64(n))
	})
	r.settle(r.taken)
	return nil
}

// resync makes the action compare what is enforced with the bans. The pending changes are
// applied before, so that only what others did is drift; but not at the start and after a
// failure, when the comparison repairs everything.
func (r *Runner) resync(ctx context.Context) error {
	bans, changes, seq := r.cursor.Snapshot()
	r.keep(changes)
	wants := r.wants.Load()
	settled := r.Status().Synced && r.settledWith(wants)
	if settled {
		if err := r.apply(ctx); err != nil {
			return err
		}
	}
	r.others = settled
	defer func() { r.others = false }()
	drift, err := r.level.Resync(ctx, func(yield func(ban.Ban) bool) {
		for b := range bans.All() {
			if (*wants)(b) && !yield(*b) {
				return
			}
		}
	})
	if err != nil {
		return fmt.Errorf("resync: %w", err)
	}
	r.stale, r.enforced, r.pending = false, wants, nil
	r.update(func(s *status.Action) { s.Synced, s.Waiting = true, 0 })
	r.found(drift, settled)
	r.settle(seq)
	if !settled {
		r.log.Info("action in force", "bans", len(bans), "missing", drift.Missing, "removed", drift.Surplus, "notes", drift.Notes)
	}
	return nil
}

// failed notes a failure and returns the time until the retry: longer each time, and not the
// same for actions that failed together.
func (r *Runner) failed(err error) time.Duration {
	r.retry = min(max(2*r.retry, firstRetry), longestRetry)
	text := strings.ReplaceAll(err.Error(), "\n", "; ") // of several families, say
	level := slog.LevelError
	var failures int
	r.update(func(s *status.Action) {
		if s.Error == text {
			level = slog.LevelDebug // the log has it
		}
		s.Failures++
		s.Error = text
		failures = s.Failures
		r.tell()
	})
	r.log.Log(context.Background(), level, "action failed", "err", err, "failures", failures, "retry", r.retry)
	return r.retry/2 + rand.N(r.retry/2)
}

// recovered notes a success.
func (r *Runner) recovered() {
	if r.retry > 0 {
		r.log.Info("action works again")
	}
	r.retry = 0
	r.update(func(s *status.Action) { s.Failures, s.Error = 0, "" })
}

func (r *Runner) update(change func(*status.Action)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.status)
}
