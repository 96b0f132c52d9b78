package engine

import (
	"context"
	"slices"
	"sync"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/enforce"
	"freeswitch-security/engine/plugin"
)

// runs is the actions that are kept in agreement with the ledger, by their
// references.
type runs struct {
	running map[string]*run
	all     sync.WaitGroup
}

// A run is one action at work.
type run struct {
	action plugin.Action
	runner *enforce.Runner
	cancel context.CancelFunc
	done   chan struct{}
}

func newRuns() runs { return runs{running: map[string]*run{}} }

// agree runs the actions of the configuration, and no others. One that says the
// same as before is left alone, but asked about other bans if need be. One that
// is gone takes back what it did.
func (r *runs) agree(e *Engine) {
	if e.DryRun {
		return
	}
	wanted := map[string]plugin.Action{}
	for _, a := range e.cfg.Actions {
		wanted[a.Ref] = a.Action
	}
	for ref, running := range r.running {
		if same(running.action, wanted[ref]) {
			continue
		}
		running.cancel()
		<-running.done
		delete(r.running, ref)
		if w, ok := running.action.(plugin.Withdrawer); ok && wanted[ref] == nil {
			if err := w.Withdraw(e.live.ctx); err != nil {
				e.Log.Error("action not withdrawn", "action", ref, "err", err)
			}
		}
	}
	for _, a := range e.cfg.Actions {
		wants := wants(a, e.cfg.Security.AutoBlock)
		if running := r.running[a.Ref]; running != nil {
			running.runner.Want(wants)
			continue
		}
		r.start(e, a, wants)
	}
}

func (r *runs) start(e *Engine, a config.Action, wants enforce.Wants) {
	ctx, cancel := context.WithCancel(e.live.ctx)
	running := &run{
		action: a.Action, cancel: cancel, done: make(chan struct{}),
		runner: enforce.New(a.Ref, a.Action, e.ledger, wants, e.Log),
	}
	r.running[a.Ref] = running
	r.all.Go(func() {
		defer close(running.done)
		running.runner.Run(ctx)
	})
}

// wants says which bans are the business of an action: those that name it, or no
// action at all; and of an action that blocks, while rules may not block, only
// those that no rule ordered.
func wants(a config.Action, autoBlock bool) enforce.Wants {
	return func(b *ban.Ban) bool {
		if b.Actions != nil && !slices.Contains(b.Actions, a.Ref) {
			return false
		}
		return autoBlock || !a.Blocks || b.Author != ban.ByRule
	}
}

// runners lists the runners of all actions.
func (r *runs) runners() []*enforce.Runner {
	var all []*enforce.Runner
	for _, running := range r.running {
		all = append(all, running.runner)
	}
	return all
}

// ready calls f once every runner has tried to agree with the ledger.
func ready(ctx context.Context, runners []*enforce.Runner, f func()) {
	for _, r := range runners {
		select {
		case <-r.Tried():
		case <-ctx.Done():
			return
		}
	}
	f()
}

func (r *runs) wait() { r.all.Wait() }
