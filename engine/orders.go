package engine

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
)

// An Outcome is the result of an order of an operator.
type Outcome struct {
	Changes []*ban.Change // what was decided: of a ban one, of an unban and a trust the bans that ended
	Applied bool          // the actions that enforce such bans agree: the kernel, or for an account the switch
	Why     string        // why they do not; "" if they do

	Grace time.Time // of an unban: until when rules do not ban the target; zero: none

	kind ban.TargetKind // of what was ordered
}

// A Release is an order to unban a target.
type Release struct {
	Target ban.Target
	Grace  time.Duration // how long rules do not ban it; 0: none
	Author string
	Reason string // "" if none was given
	Here   bool   // at this node of a fleet alone
	Exact  bool   // end only the ban of exactly this target
}

// share is the number of orders entered between two events: a list of a hundred thousand must
// not delay the events.
const share = 500

// changeAll makes one change for each order, share by share. It returns once they are durable, or
// could not be saved, and the actions agree, or have failed to; if ctx ends before they have
// answered, the outcomes are not applied. An error means that they are not known to be durable.
func changeAll[T any](ctx context.Context, e *Engine, orders []T, change func(T) Outcome) ([]Outcome, error) {
	outcomes := make([]Outcome, 0, len(orders))
	var w waiting
	for part := range slices.Chunk(orders, share) {
		err := e.between(ctx, func() {
			for _, order := range part {
				outcomes = append(outcomes, change(order))
			}
			w = e.waiting()
		})
		if err != nil {
			return outcomes, err
		}
	}
	if err := e.durable(ctx); err != nil {
		return outcomes, err
	}
	e.settleAll(ctx, &w, outcomes)
	return outcomes, nil
}

// gap returns why a ban of the outcome is not in force; "" if it is.
func (o *Outcome) gap(gaps []plugin.Gap) string {
	for _, gap := range gaps {
		if slices.ContainsFunc(o.Changes, func(c *ban.Change) bool {
			return c.Banned() && (c.Target.Prefix().Overlaps(gap.Network) || gap.Account.IsValid() && c.Target == gap.Account)
		}) {
			return gap.Why
		}
	}
	return ""
}

// durable waits until all earlier changes are on the disk, or could not be saved.
func (e *Engine) durable(ctx context.Context) error { return e.Do(ctx, func() {}) }

// Ban enters the orders in their turn; outcomes are by index. An order without terms lasts for
// security.block_duration. See [changeAll] for how long it waits. It is safe for concurrent use.
func (e *Engine) Ban(ctx context.Context, orders []ban.Order) ([]Outcome, error) {
	outcomes, err := changeAll(ctx, e, orders, e.ban)
	return outcomes, e.savedForPeers(ctx, err)
}

func (e *Engine) ban(o ban.Order) (out Outcome) {
	if len(o.Terms) == 0 {
		o.Terms = []ban.Term{e.cfg.Security.BlockDuration}
	}
	c := e.ledger.Enter(o, e.now)
	e.decide(c)
	out.Changes, out.kind = []*ban.Change{c}, o.Target.Kind()
	switch {
	case !c.Banned():
		out.Why = c.Why
	case c.Standing && c.Cover.OfRule() && !e.cfg.Security.AutoBlock:
		out.Why = "a rule has banned it already, and bans of rules are not enforced: security.auto_block_enabled is false"
	}
	return out
}

// Unban ends every ban that covers all of the release's target, unless that is exact, and keeps rules from banning the
// target for its grace, even if it was not banned. It waits as Ban does, and is safe for
// concurrent use.
func (e *Engine) Unban(ctx context.Context, r Release) (Outcome, error) {
	outcomes, err := e.UnbanAll(ctx, []Release{r})
	if len(outcomes) == 0 {
		return Outcome{}, err
	}
	return outcomes[0], err
}

// UnbanAll carries out the releases as [Engine.Unban] does one; outcomes are by index.
func (e *Engine) UnbanAll(ctx context.Context, all []Release) ([]Outcome, error) {
	outcomes, err := changeAll(ctx, e, all, e.unban)
	return outcomes, e.savedForPeers(ctx, err)
}

func (e *Engine) unban(r Release) (out Outcome) {
	out.kind = r.Target.Kind()
	reason := "by " + r.Author
	if r.Reason != "" {
		reason += ": " + r.Reason
	}
	end := func(target ban.Target) {
		c := e.ledger.Unban(target, reason, e.now, 0)
		e.decide(c)
		out.Changes = append(out.Changes, c)
	}
	if r.Exact {
		if _, banned := e.ledger.Get(r.Target); banned {
			end(r.Target)
		}
	} else {
		for b, ok := e.ledger.Covering(r.Target); ok; b, ok = e.ledger.Covering(r.Target) {
			end(b.Target)
		}
		for _, endpoint := range e.ledger.Endpoints(r.Target) {
			end(endpoint)
		}
	}
	e.ledger.Unban(r.Target, reason, e.now, r.Grace)
	if r.Grace > 0 {
		out.Grace = e.now.Add(r.Grace)
	}
	e.tellUnban(r, out.Changes)
	return out
}

// Trust trusts targets from now on and unbans what they cover; outcomes are by index. It replaces
// the run-time entries for the same targets. It waits as Ban does, and is safe for concurrent use.
func (e *Engine) Trust(ctx context.Context, entries []ban.Trusted) ([]Outcome, error) {
	outcomes, err := changeAll(ctx, e, entries, func(t ban.Trusted) Outcome {
		ended := e.ledger.Grant(t, e.now)
		for _, c := range ended {
			e.decide(c)
		}
		e.tellTrust(&t, ended)
		return Outcome{Changes: ended, kind: t.Target.Kind()}
	})
	return outcomes, e.savedForPeers(ctx, err)
}

// Untrust ends the run-time trust in exactly this target, at this node of a fleet alone or at all, and
// reports whether there was one. It is safe for concurrent use.
func (e *Engine) Untrust(ctx context.Context, target ban.Target, here bool) (known bool, err error) {
	err = e.Do(ctx, func() {
		if known = e.ledger.Revoke(target); known {
			e.tellUntrust(target, here)
		}
	})
	return known, e.savedForPeers(ctx, err)
}

// waiting is what must happen until the changes made so far are enforced.
type waiting struct {
	seq    uint64
	levels []*action
	dry    bool // no action is carried out
}

// waiting returns what to wait for now. It must be called on the core's goroutine.
func (e *Engine) waiting() waiting {
	w := waiting{seq: e.ledger.Seq(), dry: e.options.DryRun}
	for _, a := range e.cfg.Actions {
		if r := e.live.actions.running[a.Ref]; r != nil && holdsBans(a) {
			w.levels = append(w.levels, r)
		}
	}
	return w
}

// settleAll waits until the actions agree with the changes, and notes where they do not. An outcome
// depends only on actions that enforce bans of its kind: a switch that cannot be reached delays no ban
// of an address.
func (e *Engine) settleAll(ctx context.Context, w *waiting, outcomes []Outcome) {
	// Of a ban that was not changed just now, the kernel may have lost the entry since.
	members := slices.ContainsFunc(outcomes, func(o Outcome) bool { return len(o.Changes) > 0 && o.Changes[0].Standing })
	open := map[ban.TargetKind][]*Outcome{}
	for i := range outcomes {
		if o := &outcomes[i]; o.Why == "" {
			open[o.kind] = append(open[o.kind], o)
		}
	}
	// At once: ctx may end while the actions of one kind are waited for, and what others have done is known.
	var kinds sync.WaitGroup
	for kind, all := range open {
		kinds.Go(func() {
			gaps, why := e.unsettled(ctx, w, kind, members)
			for _, o := range all {
				o.Why = cmp.Or(why, o.gap(gaps))
				o.Applied = o.Why == ""
			}
		})
	}
	kinds.Wait()
}

// unsettled waits until the actions that enforce bans of a kind agree with the changes, and returns
// why they do not: all of them, or for some networks. See [enforce.Runner.InForce] for members.
func (e *Engine) unsettled(ctx context.Context, w *waiting, kind ban.TargetKind, members bool) (all []plugin.Gap, why string) {
	if w.dry {
		return nil, "dry run: no action is carried out"
	}
	enforced := false
	for _, a := range w.levels {
		if !a.Handles(kind) {
			continue
		}
		enforced = true
		err := a.runner.Settled(ctx, w.seq)
		var gaps []plugin.Gap
		if err == nil {
			gaps, err = a.runner.InForce(ctx, members)
		}
		if err != nil {
			return nil, err.Error()
		}
		all = append(all, gaps...)
	}
	if err := e.live.saver.failed(); err != nil {
		return all, "it holds until the program ends: " + err.Error()
	}
	switch {
	case enforced:
		return all, ""
	case kind == ban.TargetAccount:
		return nil, "no action enforces bans of accounts: the rule files declare none whose source is enabled, such as action \"accounts\" \"pbx\" { source = source.esl.pbx }"
	}
	return nil, "no action blocks: the rule files declare none, such as action \"iptables\" \"drop\" {}"
}
