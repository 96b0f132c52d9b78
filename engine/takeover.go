package engine

import (
	"context"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
)

// TakeOver makes the engine, when it runs, enter into its ledger what the actions find in
// force from an earlier run. It is for a start without the state of that run: without it the
// first resync would end all those bans. lost says what happened to the state: "was missing". What
// was restored stays as it is. damage is a problem of the status; nil if there is none.
func (e *Engine) TakeOver(lost string, damage error) { e.live.lost, e.live.damage = lost, damage }

func (e *Engine) takeOver(ctx context.Context) {
	if e.live.lost == "" || e.options.DryRun {
		return
	}
	now := e.tick()
	e.advance(now)
	none := true
	for _, a := range e.cfg.Actions {
		level, ok := a.Action.(plugin.Level)
		if !ok {
			continue
		}
		kernel, err := level.Inspect(ctx)
		if err != nil {
			e.options.Log.Error("bans of the run before cannot be read", "action", a.Ref, "err", err)
		}
		for _, entry := range kernel.Entries {
			left := ban.Term(entry.Remaining.Duration())
			if entry.Permanent {
				left = ban.Permanent
			}
			e.adopt(entry.Target, left, now)
		}
		none = none && err == nil && len(kernel.Entries) == 0
		if len(kernel.Entries) > 0 {
			e.options.Log.Warn("bans taken over without their history", "action", a.Ref, "bans", len(kernel.Entries))
		}
	}
	// The state is there from now on: what a kill leaves in force of a ban that was never saved is not taken over.
	if store := e.live.saver.store; none && store != nil {
		_ = store.Save(nil) // a store that fails is told of with the next ban
	}
}

// adopt enters a ban in force, for the time that it has left; if that is not known, for the
// default term.
func (e *Engine) adopt(target ban.Target, left ban.Term, now time.Time) {
	if _, restored := e.ledger.Covering(target); restored {
		return
	}
	if left == 0 {
		left = e.cfg.Security.BlockDuration
	}
	e.decide(e.ledger.Enter(ban.Order{
		Target: target, Address: target.Prefix().Addr(), Author: "takeover", At: now, Terms: []ban.Term{left},
		Reason: "stood when the state of the run before " + e.live.lost,
	}, now))
}

// adoptDrops makes permanent bans of what an operator has dropped by hand in the chain of an action.
// What a rule has banned before comes from saved rules of iptables, and its ban is over. It is called
// by the runners, and returns what is banned.
func (e *Engine) adoptDrops(targets []ban.Target) (banned []ban.Target) {
	err := e.between(e.live.ctx, func() {
		for _, target := range targets {
			if e.ledger.Offended(target) {
				continue
			}
			e.decide(e.ledger.Enter(ban.Order{
				Target: target, Author: "operator", At: e.now, Terms: []ban.Term{ban.Permanent},
				Reason: "a rule that was added to the chain by hand dropped it",
			}, e.now))
			if _, entered := e.ledger.Get(target); entered {
				banned = append(banned, target)
			}
		}
	})
	if err != nil {
		e.options.Log.Error("drops by hand not taken over", "targets", targets, "err", err)
		return nil
	}
	return banned
}
