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
)

// How long a runner waits.
const (
	resyncEvery  = 3 * time.Second // between two looks at what really stands
	firstRetry   = 100 * time.Millisecond
	longestRetry = 30 * time.Second
)

// A Wants says which bans are the business of an action.
type Wants func(*ban.Ban) bool

// A Runner makes one action agree with a ledger.
type Runner struct {
	name   string
	action plugin.Action
	level  plugin.Level // the same action, if it is one
	cursor *ban.Cursor
	wants  atomic.Pointer[Wants]
	log    *slog.Logger
	rewant chan struct{} // the bans that are wanted have changed
	tried  chan struct{} // closed after the first attempt

	// Of the goroutine in Run alone.
	pending  []ban.Change // taken from the cursor, not yet carried out
	taken    uint64       // the number of the latest change that was taken
	stale    bool         // a resync is due
	rewanted bool         // what is wanted has changed since the last resync
	retry    time.Duration

	mu      sync.Mutex // guards what follows
	status  status.Action
	settled uint64        // every change up to this one has been carried out
	ended   bool          // Run has returned
	news    chan struct{} // closed when settled, ended or status.Error changes
}

// New returns a runner for the action of that name, which does nothing until
// Run. It sees every change that ledger commits from now on; a level sees it
// before it is on the disk.
func New(name string, action plugin.Action, ledger *ban.Ledger, wants Wants, log *slog.Logger) *Runner {
	level, isLevel := action.(plugin.Level)
	kinds := ban.Told
	if isLevel {
		kinds = ban.Levels
	}
	r := &Runner{
		name: name, action: action, level: level, cursor: ledger.Cursor(isLevel, kinds),
		log: log.With("action", name), rewant: make(chan struct{}, 1),
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

// Want changes which bans are the action's business. It may be called from any
// goroutine.
func (r *Runner) Want(wants Wants) {
	r.wants.Store(&wants)
	select {
	case r.rewant <- struct{}{}:
	default:
	}
}

// Tried is closed once the action has agreed with the ledger, or failed to, for
// the first time, or has ended before.
func (r *Runner) Tried() <-chan struct{} { return r.tried }

// Status says how the action is doing. It may be called from any goroutine.
func (r *Runner) Status() status.Action {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// Settled waits until every change up to the one of that number has been carried
// out, as far as it is the action's business. It returns at once, with the
// reason, while the action is failing, and after Run.
func (r *Runner) Settled(ctx context.Context, seq uint64) error {
	for {
		r.mu.Lock()
		settled, failing, ended, news := r.settled >= seq, r.status.Error, r.ended, r.news
		r.mu.Unlock()
		switch {
		case settled:
			return nil
		case failing != "":
			return fmt.Errorf("action %s: %s", r.name, failing)
		case ended:
			return fmt.Errorf("action %s: it was ended before it was done", r.name)
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("action %s: not done yet: %w", r.name, context.Cause(ctx))
		}
	}
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

// end notes that nothing more will be carried out.
func (r *Runner) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.tell()
}

// tell wakes who waits for news; r.mu is held.
func (r *Runner) tell() {
	close(r.news)
	r.news = make(chan struct{})
}

// Run keeps the action in agreement with the ledger until ctx ends. What stands
// then is left standing.
func (r *Runner) Run(ctx context.Context) {
	defer r.end()
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
			r.rewanted = true
		case <-again.C:
			r.stale = r.stale || r.level != nil
		}
		again.Reset(r.work(ctx))
		if first {
			first = false
			close(r.tried)
		}
	}
}

// lastWords bounds how long an action is listened out when the program ends.
const lastWords = 2 * time.Second

// last hands what was decided last to an action that holds no state: nobody will
// tell it again. A level finds it at the next start.
func (r *Runner) last(ctx context.Context) {
	if r.level != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	r.take()
	if err := r.apply(ctx); err != nil {
		r.log.Error("action not told of everything", "err", err, "changes", len(r.pending))
	}
}

// take collects what was committed since the last time.
func (r *Runner) take() {
	changes, lost := r.cursor.Take()
	if lost {
		r.stale = r.level != nil
		r.update(func(s *status.Action) { s.Lost++ })
		r.log.Error("changes dropped: the action was too slow", "resync", r.level != nil)
	}
	r.keep(changes)
}

// keep adds those changes to what is pending that are the action's business.
func (r *Runner) keep(changes []ban.Change) {
	if n := len(changes); n > 0 {
		r.taken = changes[n-1].Seq
	}
	wants := *r.wants.Load()
	for _, c := range changes {
		if wants(&c.Ban) {
			r.pending = append(r.pending, c)
		}
	}
	r.update(func(s *status.Action) { s.Waiting = len(r.pending) })
}

// meanwhile has a failing level carry out what is new, without waiting for the
// next attempt: one broken part of it, IPv6 say, must not hold up the bans of the
// others. What fails here too the resync makes good.
func (r *Runner) meanwhile(ctx context.Context) {
	if r.level == nil || len(r.pending) == 0 {
		return
	}
	if err := r.action.Apply(ctx, ban.Batch{Now: time.Now(), Changes: r.pending}); err != nil {
		r.log.Debug("action still failing", "err", err)
	}
	r.leave()
}

// leave gives up what is pending: the resync that is due compares with all bans.
func (r *Runner) leave() {
	r.pending = nil
	r.update(func(s *status.Action) { s.Waiting = 0 })
}

// work carries out what is pending and, if it is due, resyncs. It returns how
// long to wait until it should be called again though nothing has changed.
func (r *Runner) work(ctx context.Context) time.Duration {
	var err error
	if r.stale {
		err = r.resync(ctx)
	} else {
		err = r.apply(ctx)
	}
	if err == nil {
		r.recovered()
		return resyncEvery
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

// apply hands the pending changes to the action.
func (r *Runner) apply(ctx context.Context) error {
	if len(r.pending) == 0 {
		r.settle(r.taken)
		return nil
	}
	start := time.Now()
	if err := r.action.Apply(ctx, ban.Batch{Now: start, Changes: r.pending}); err != nil {
		return fmt.Errorf("apply a batch of %d: %w", len(r.pending), err)
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

// resync has the action compare what stands with what should. What is pending is
// carried out before, so that only what others did is found to have drifted;
// but not where the action has yet to find its footing, at the start and after a
// failure, since then the comparison makes good everything.
func (r *Runner) resync(ctx context.Context) error {
	bans, changes, seq := r.cursor.Snapshot()
	r.keep(changes)
	settled := r.Status().Synced && r.retry == 0 && !r.rewanted
	if settled {
		if err := r.apply(ctx); err != nil {
			return err
		}
	}
	wants := *r.wants.Load()
	drift, err := r.level.Resync(ctx, func(yield func(ban.Ban) bool) {
		for _, b := range bans {
			if wants(b) && !yield(*b) {
				return
			}
		}
	})
	if err != nil {
		return fmt.Errorf("resync: %w", err)
	}
	r.stale, r.rewanted, r.pending = false, false, nil
	r.update(func(s *status.Action) {
		s.Synced, s.Waiting = true, 0
		if settled && drift.Any() {
			s.Drift = status.Drift{Count: s.Drift.Count + 1, Missing: drift.Missing, Surplus: drift.Surplus, Notes: drift.Notes}
		}
	})
	r.settle(seq)
	switch {
	case !settled:
		r.log.Info("in force", "bans", len(bans), "missing", drift.Missing, "surplus", drift.Surplus, "notes", drift.Notes)
	case drift.Any():
		r.log.Warn("mended what others had changed", "missing", drift.Missing, "surplus", drift.Surplus, "notes", drift.Notes)
	}
	return nil
}

// failed notes a failure and returns when to try again: later each time, and not
// at the same moment as others that failed with it.
func (r *Runner) failed(err error) time.Duration {
	r.retry = min(max(2*r.retry, firstRetry), longestRetry)
	var failures int
	r.update(func(s *status.Action) {
		s.Failures++
		s.Error = strings.ReplaceAll(err.Error(), "\n", "; ") // of several families, say
		failures = s.Failures
		r.tell()
	})
	r.log.Error("action failed", "err", err, "failures", failures, "retry", r.retry)
	return r.retry/2 + rand.N(r.retry/2)
}

// recovered notes that all is well.
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
