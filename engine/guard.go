package engine

import (
	"context"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/enforce"
	"freeswitch-security/engine/plugin"
)

// A Guard is a running engine as its admin listener sees it. It is safe for use by
// several goroutines, and keeps the core from counting for a few hundred orders at
// a time at the most.
type Guard struct {
	*Engine
	// Reloading loads the rule files anew; see admin.Guard.
	Reloading func(context.Context) ([]Diagnostic, error)
	// Reloaded says when the rules that run were loaded, and what failed at the
	// last attempt; "": nothing.
	Reloaded func() (time.Time, string)
	Started  time.Time
}

// Reload implements admin.Guard.
func (g *Guard) Reload(ctx context.Context) ([]Diagnostic, error) { return g.Reloading(ctx) }

// share is how many orders are entered between two events: a list of a hundred
// thousand must not keep the core from counting.
const share = 500

// durable waits until all that was decided before is on the disk, or could not be
// saved.
func (e *Engine) durable(ctx context.Context) error { return e.Do(ctx, func() {}) }

// changeAll makes changes, share by share, and returns what became of each, and why
// the kernel does not agree; "" where it does.
func changeAll[T, R any](ctx context.Context, g *Guard, wishes []T, change func(T) R) (outcomes []R, why string, err error) {
	outcomes = make([]R, 0, len(wishes))
	var w waiting
	for part := range slices.Chunk(wishes, share) {
		err := g.between(ctx, func() {
			for _, wish := range part {
				outcomes = append(outcomes, change(wish))
			}
			w = g.waiting()
		})
		if err != nil {
			return outcomes, "", err
		}
	}
	if err := g.durable(ctx); err != nil {
		return outcomes, "", err
	}
	return outcomes, g.settled(ctx, &w), nil
}

// Block implements admin.Guard.
func (g *Guard) Block(ctx context.Context, orders []ban.Order) ([]Outcome, error) {
	outcomes, why, err := changeAll(ctx, g, orders, g.order)
	if err != nil {
		return outcomes, err
	}
	for i := range outcomes {
		o := &outcomes[i]
		if o.Why != "" {
			continue
		}
		o.Applied = why == "" && o.Change.Banned()
		if o.Why = why; !o.Change.Banned() {
			o.Why = o.Change.Why
		}
	}
	return outcomes, nil
}

// order enters one order of a person.
func (g *Guard) order(o ban.Order) (out Outcome) {
	if len(o.Terms) == 0 {
		o.Terms = []ban.Term{g.cfg.Security.BlockDuration}
	}
	out.Change = g.ledger.Enter(o, g.now)
	g.decide(&out.Change)
	if out.Change.Standing && out.Change.Cover.Author == ban.ByRule && !g.cfg.Security.AutoBlock {
		out.Why = "a rule has banned it already, and rules may not block: security.auto_block_enabled is false"
	}
	return out
}

// Unblock implements admin.Guard.
func (g *Guard) Unblock(ctx context.Context, r Release) (out Released, err error) {
	reason := "by " + r.Author
	if r.Reason != "" {
		reason += ": " + r.Reason
	}
	var w waiting
	err = g.between(ctx, func() {
		for b, ok := g.ledger.Covering(r.Target); ok; b, ok = g.ledger.Covering(r.Target) {
			c := g.ledger.Unban(b.Target, reason, g.now, 0)
			g.decide(c)
			out.Lifted = append(out.Lifted, *c)
		}
		g.ledger.Unban(r.Target, reason, g.now, r.Grace)
		w = g.waiting()
	})
	if err == nil {
		err = g.durable(ctx)
	}
	if err != nil {
		return out, err
	}
	out.Why = g.settled(ctx, &w)
	out.Applied = out.Why == ""
	return out, nil
}

// Covering implements admin.Guard.
func (g *Guard) Covering(target ban.Target) (ban.Ban, bool) { return g.ledger.Covering(target) }

// BansAfter implements admin.Guard.
func (g *Guard) BansAfter(target ban.Target, limit int) []ban.Ban {
	return g.ledger.After(target, limit)
}

// waiting is what must be waited for until what was decided is in the kernel.
type waiting struct {
	seq     uint64
	runners []*enforce.Runner
	why     string // why it will not be; "" where it will
}

// waiting says what to wait for now. It must be called on the goroutine that
// counts.
func (e *Engine) waiting() waiting {
	w := waiting{seq: e.ledger.Seq()}
	if e.options.DryRun {
		w.why = "dry run: no action is carried out"
		return w
	}
	for _, a := range e.cfg.Actions {
		_, level := a.Action.(plugin.Level)
		if r := e.live.actions.running[a.Ref]; r != nil && a.Blocks && level {
			w.runners = append(w.runners, r.runner)
		}
	}
	if len(w.runners) == 0 {
		w.why = "no action blocks: the rule files declare none, such as action \"iptables\" \"drop\" {}"
	}
	return w
}

// settled waits until the kernel agrees with what the disk has, and returns why it
// does not.
func (g *Guard) settled(ctx context.Context, w *waiting) string {
	for _, r := range w.runners {
		if err := r.Settled(ctx, w.seq); err != nil {
			return err.Error()
		}
	}
	if err := g.live.saver.failed(); err != nil {
		return "it holds until the program ends: " + err.Error()
	}
	return w.why
}
