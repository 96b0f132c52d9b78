package enforce

import (
	"context"
	"fmt"

	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// A check asks whether what was applied is in force now.
type check struct {
	members bool // also each ban, which a change of the rules does not show
	answer  chan error
}

// InForce has a level look at what is enforced and repair it, and returns what it could not
// repair. members is for bans that were not applied just now: others may have removed them. It is
// safe for concurrent use. While the action fails, and after Run, it returns the reason.
func (r *Runner) InForce(ctx context.Context, members bool) ([]plugin.Gap, error) {
	c := check{members, make(chan error, 1)}
	asked, answered := r.checks, (chan error)(nil)
	for {
		select {
		case asked <- c:
			asked, answered = nil, c.answer
		case err := <-answered:
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.gaps, err
		case <-r.over:
			return nil, r.ended()
		case <-ctx.Done():
			return nil, fmt.Errorf("action %s: not done yet: %w", r.name, context.Cause(ctx))
		}
	}
}

// collect takes a check, and those that wait behind it. One look answers all.
func (r *Runner) collect(c check) {
	for {
		r.asking = append(r.asking, c)
		r.stale = r.stale || c.members
		select {
		case c = <-r.checks:
		default:
			return
		}
	}
}

// answer answers the checks after a look. One that was cut short says nothing.
func (r *Runner) answer(ctx context.Context) {
	var err error
	if failing := r.Status().Error; failing != "" {
		err = fmt.Errorf("action %s: %s", r.name, failing)
	} else if ctx.Err() != nil {
		err = r.ended()
	}
	for _, c := range r.asking {
		c.answer <- err
	}
	r.asking = nil
}

// repair has a level repair what others have changed. It reports false if a resync must follow now.
// While the action fails, its time has been set.
func (r *Runner) repair(ctx context.Context) (done bool) {
	if r.level == nil || r.stale && r.retry == 0 {
		return r.level == nil
	}
	r.others = r.settledWith(r.wants.Load())
	drift, err := r.level.Repair(ctx)
	r.found(drift, r.others)
	r.others = false
	r.stale = r.stale || err != nil
	if err != nil && r.retry == 0 {
		return false
	}
	r.answer(ctx)
	return true
}

// settledWith reports whether what is surplus was added by others. While the action fails, it may be
// a ban whose end could not be applied.
func (r *Runner) settledWith(wants *Wants) bool { return r.retry == 0 && wants == r.enforced }

// Others reports whether the look at work finds what others did. An action may ask within Resync and
// Repair alone.
func (r *Runner) Others() bool { return r.others }

// found notes what was not repaired, and the drift that was. settled: others have caused that. The
// log is bounded: the line after a pause has the number of repairs since the line before.
func (r *Runner) found(drift plugin.Drift, settled bool) {
	r.mu.Lock()
	r.gaps = drift.Gaps
	r.mu.Unlock()
	if !settled || !drift.Any() {
		return
	}
	r.update(func(s *status.Action) {
		s.Drift = status.Drift{Count: s.Drift.Count + 1, Missing: drift.Missing, Surplus: drift.Surplus, Notes: drift.Notes}
	})
	r.untold++
	if r.told.Allow() {
		r.log.Warn("drift repaired", "missing", drift.Missing, "removed", drift.Surplus, "notes", drift.Notes, "repairs", r.untold)
		r.untold = 0
	}
}
