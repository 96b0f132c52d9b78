package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	// ctx outlives that of the core: actions hear what it decided last.
	ctx     context.Context
	stop    context.CancelFunc
	running map[string]*run
	all     sync.WaitGroup
}

// A run is one action at work.
type run struct {
	config.Action
	runner *enforce.Runner
	cancel context.CancelFunc
	done   chan struct{}
}

func newRuns() runs {
	ctx, stop := context.WithCancel(context.Background())
	return runs{ctx: ctx, stop: stop, running: map[string]*run{}}
}

// agree runs the actions of the configuration, and no others. One that says the
// same as before is left alone, but asked about other bans if need be. Nothing
// here waits: the core has attackers to count.
func (r *runs) agree(e *Engine) {
	if e.options.DryRun {
		return
	}
	wanted := map[string]config.Action{}
	for _, a := range e.cfg.Actions {
		wanted[a.Ref] = a
	}
	var ended, started []*run
	for ref, running := range r.running {
		if w, ok := wanted[ref]; !ok || running.Fingerprint != w.Fingerprint {
			running.cancel()
			delete(r.running, ref)
			ended = append(ended, running)
		}
	}
	for _, a := range e.cfg.Actions {
		wants := wants(a, e.cfg.Security.AutoBlock)
		if running := r.running[a.Ref]; running != nil {
			running.runner.Want(wants)
			continue
		}
		started = append(started, r.start(e, a, wants, ended))
	}
	if len(ended) > 0 {
		claimed := claims(e.cfg.Actions) // here: the next reload changes the configuration
		r.all.Go(func() { withdraw(e, ended, started, claimed) })
	}
}

// start runs an action once the ended ones have let go of what it may need.
func (r *runs) start(e *Engine, a config.Action, wants enforce.Wants, ended []*run) *run {
	ctx, cancel := context.WithCancel(r.ctx)
	running := &run{
		Action: a, cancel: cancel, done: make(chan struct{}),
		runner: enforce.New(a.Ref, a.Action, e.ledger, wants, e.options.Log),
	}
	r.running[a.Ref] = running
	r.all.Go(func() {
		defer close(running.done)
		for _, before := range ended {
			<-before.done
		}
		e.open(a)
		stop := serve(a.Action)
		defer stop()
		running.runner.Run(ctx)
	})
	return running
}

// keptMode are the rights of what an action keeps: it may hold secrets, and tells who
// was banned.
const keptMode = 0o700

// open offers an action what the engine has for it.
func (e *Engine) open(a config.Action) {
	opener, ok := a.Action.(plugin.Opener)
	if !ok {
		return
	}
	host := plugin.Host{Spared: e.spares}
	var err error
	if e.options.Dir != "" {
		host.Dir = filepath.Join(e.options.Dir, a.Ref)
		err = os.MkdirAll(host.Dir, keptMode)
	}
	if err == nil {
		err = opener.Open(host)
	}
	if err != nil {
		e.options.Log.Error("action not opened", "action", a.Ref, "err", err)
	}
}

// serve has an action work beside its runner, if it does. The returned function
// ends that and waits for it.
func serve(a plugin.Action) (stop func()) {
	s, ok := a.(plugin.Server)
	if !ok {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// claims returns what the actions have reserved for themselves.
func claims(actions []config.Action) map[string]bool {
	all := map[string]bool{}
	for _, a := range actions {
		for _, claim := range a.Claims {
			all[claim] = true
		}
	}
	return all
}

// withdraw lets ended actions take back what they did, once the started ones
// stand in for them. What another action has claimed it has taken over.
func withdraw(e *Engine, ended, started []*run, claimed map[string]bool) {
	ctx := e.live.ctx
	for _, s := range started {
		select {
		case <-s.runner.Tried():
		case <-ctx.Done():
			return
		}
	}
	for _, old := range ended {
		<-old.done
		level, ok := old.Action.Action.(plugin.Level)
		if !ok || slices.ContainsFunc(old.Claims, func(c string) bool { return claimed[c] }) {
			continue
		}
		if err := level.Withdraw(ctx); err != nil && ctx.Err() == nil {
			e.options.Log.Error("action not withdrawn", "err", err)
		}
	}
}

// failing joins the errors of the actions that do not work at present.
func (r *runs) failing() error {
	var errs []error
	for ref, running := range r.running {
		if s := running.runner.Status(); s.Error != "" {
			errs = append(errs, fmt.Errorf("action %s was failing: %s", ref, s.Error))
		}
	}
	return errors.Join(errs...)
}

// wants says which bans are the business of an action: those that name it, or no
// action at all; and of an action that blocks, while rules may not block, only
// those that no rule ordered.
func wants(a config.Action, autoBlock bool) enforce.Wants {
	return func(b *ban.Ban) bool {
		if !handles(a.Targets, b.Target.Kind()) {
			return false
		}
		if b.Actions != nil && !slices.Contains(b.Actions, a.Ref) {
			return false
		}
		return autoBlock || !a.Blocks || b.Author != ban.ByRule
	}
}

// handles reports whether an action for such targets is passed a change about a
// target of that kind; an alert may have no target.
func handles(targets []ban.TargetKind, kind ban.TargetKind) bool {
	if targets == nil {
		return kind != ban.TargetEndpoint && kind != ban.TargetAccount
	}
	return kind == "" || slices.Contains(targets, kind)
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

// end has the actions end, and waits for them.
func (r *runs) end() {
	r.stop()
	r.all.Wait()
}
