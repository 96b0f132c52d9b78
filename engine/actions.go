package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/enforce"
	"freeswitch-security/engine/fleet"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/regex"
)

// An actionSet is the actions that are kept in agreement with the ledger, by their
// references. It belongs to the core.
type actionSet struct {
	ledger *ban.Ledger
	log    *slog.Logger
	dir    string                          // of what actions keep; "": nowhere
	spared func(netip.Prefix) bool         // see [plugin.Host]
	now    func() time.Time                // likewise
	adopt  func([]ban.Target) []ban.Target // see [plugin.Host]

	// ctx outlives that of the core: actions are passed its last decisions.
	ctx     context.Context
	stop    context.CancelFunc
	running map[string]*action
	all     sync.WaitGroup
}

// An action is one action that runs.
type action struct {
	config.Action
	runner *enforce.Runner
	cancel context.CancelFunc
	done   chan struct{}
}

func newActionSet(ledger *ban.Ledger, spared func(netip.Prefix) bool, o *Options) actionSet {
	ctx, stop := context.WithCancel(context.Background())
	return actionSet{ledger: ledger, log: o.Log, dir: o.Dir, spared: spared, now: o.Clock.Now, ctx: ctx, stop: stop, running: map[string]*action{}}
}

// reconcile runs the actions of a configuration, and no others. An action whose block is
// the same is left alone, but follows other bans if need be. ctx is that of the core.
// Nothing here waits: the core has events to count.
func (set *actionSet) reconcile(ctx context.Context, cfg *config.Config) {
	wanted := map[string]config.Action{}
	for _, a := range cfg.Actions {
		wanted[a.Ref] = a
	}
	var ended, started []*action
	for ref, a := range set.running {
		if w, ok := wanted[ref]; !ok || a.Fingerprint != w.Fingerprint {
			a.cancel()
			delete(set.running, ref)
			ended = append(ended, a)
		}
	}
	for _, a := range cfg.Actions {
		wants := wants(a, cfg.Security.AutoBlock)
		if running := set.running[a.Ref]; running != nil {
			running.runner.Want(wants)
			continue
		}
		started = append(started, set.start(a, wants, ended))
	}
	if len(ended) > 0 {
		claimed := func(claim string) bool {
			return slices.ContainsFunc(cfg.Actions, func(a config.Action) bool { return slices.Contains(a.Claims, claim) })
		}
		set.all.Go(func() { set.withdraw(ctx, ended, started, claimed) })
	}
}

// start runs an action once the ended ones have released what it may need.
func (set *actionSet) start(c config.Action, wants enforce.Wants, ended []*action) *action {
	ctx, cancel := context.WithCancel(set.ctx)
	a := &action{
		Action: c, cancel: cancel, done: make(chan struct{}),
		runner: enforce.New(c.Ref, c.Action, set.ledger, wants, set.log),
	}
	a.runner.Now, a.runner.Held = set.now, c.Blocks
	set.running[c.Ref] = a
	set.all.Go(func() {
		defer close(a.done)
		for _, before := range ended {
			<-before.done
		}
		set.open(c, a.runner)
		serving, stop := context.WithCancel(context.Background())
		var server sync.WaitGroup
		if s, ok := c.Action.(plugin.Server); ok {
			server.Go(func() { s.Serve(serving) })
		}
		a.runner.Run(ctx)
		stop()
		server.Wait()
	})
	return a
}

// keptMode is the mode of an action's directory: it may hold secrets, and says who was
// banned.
const keptMode = 0o700

// open offers an action what the engine has for it.
func (set *actionSet) open(a config.Action, runner *enforce.Runner) {
	opener, ok := a.Action.(plugin.Opener)
	if !ok {
		return
	}
	host := plugin.Host{Spared: set.spared, Now: set.now, Changed: runner.Changed, Resync: runner.Resync}
	host.Adopt = func(targets []ban.Target) []ban.Target {
		if !runner.Others() {
			return nil
		}
		return set.adopt(targets)
	}
	var err error
	if set.dir != "" {
		host.Dir = filepath.Join(set.dir, a.Ref)
		err = os.MkdirAll(host.Dir, keptMode)
	}
	if err == nil {
		err = opener.Open(host)
	}
	if err != nil {
		set.log.Error("action not opened", "action", a.Ref, "err", err)
	}
}

// withdraw lets ended actions take back what they did, once the started ones are in
// force. What another action has claimed it has taken over.
func (set *actionSet) withdraw(ctx context.Context, ended, started []*action, claimed func(string) bool) {
	if !tried(ctx, started) {
		return
	}
	for _, a := range ended {
		<-a.done
		level, ok := a.Action.Action.(plugin.Level)
		if !ok || slices.ContainsFunc(a.Claims, claimed) {
			continue
		}
		if err := level.Withdraw(ctx); err != nil && ctx.Err() == nil {
			set.log.Error("action not withdrawn", "action", a.Ref, "err", err)
		}
	}
}

// failing joins the errors of the actions that do not work at present.
func (set *actionSet) failing() error {
	var errs []error
	for ref, a := range set.running {
		if s := a.runner.Status(); s.Error != "" {
			errs = append(errs, fmt.Errorf("action %s was failing: %s", ref, s.Error))
		}
	}
	return errors.Join(errs...)
}

// wants returns which bans an action follows: those that name it, or no action at all;
// and while bans of rules are not enforced, an action that blocks follows no bans of rules. Others follow no
// bans of peers: each node reports its own.
func wants(a config.Action, autoBlock bool) enforce.Wants {
	return func(b *ban.Ban) bool {
		if !a.Handles(b.Target.Kind()) {
			return false
		}
		if b.Actions != nil && !slices.Contains(b.Actions, a.Ref) {
			return false
		}
		if !a.Blocks {
			return !strings.HasPrefix(b.Author, fleet.AuthorPrefix)
		}
		return autoBlock || !b.OfRule()
	}
}

// tried waits until every action has tried to agree with the ledger. It reports false if
// ctx ends before.
func tried(ctx context.Context, actions []*action) bool {
	for _, a := range actions {
		select {
		case <-a.runner.Tried():
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// end ends the actions, and waits for them.
func (set *actionSet) end() {
	set.stop()
	set.all.Wait()
}

// holdsBans reports whether an action blocks as long as a ban lasts, as opposed to once.
func holdsBans(a config.Action) bool {
	_, level := a.Action.(plugin.Level)
	return level && a.Blocks
}

// Withdraw removes what the actions of a configuration have put in force outside of the program, while
// no engine runs.
func Withdraw(ctx context.Context, cfg *config.Config) error {
	var errs []error
	for _, a := range cfg.Actions {
		if level, ok := a.Action.(plugin.Level); ok {
			if err := level.Withdraw(ctx); err != nil {
				errs = append(errs, fmt.Errorf("action %s: %w", a.Ref, err))
			}
		}
	}
	return errors.Join(errs...)
}

// keptFor is the time that the directory of an action is kept without its block in the
// rule files: the block may be commented out for a while. No notification of a webhook
// is delivered after that time.
const keptFor = 30 * 24 * time.Hour

// removeStaleDirs removes the directories in dir of actions that no rule file names, and
// that were not written to for keptFor.
func removeStaleDirs(dir string, actions []config.Action, log *slog.Logger, now time.Time) {
	kept, err := os.ReadDir(dir)
	if err != nil {
		return // there is nothing yet, or the actions will report it
	}
	for _, entry := range kept {
		if slices.ContainsFunc(actions, func(a config.Action) bool { return a.Ref == entry.Name() }) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		if !stale(path, entry, now.Add(-keptFor)) {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			log.Error("stale directory of an action not removed", "action", entry.Name(), "err", err)
			continue
		}
		log.Info("stale directory of an action removed: no rule file names it", "action", entry.Name())
	}
}

// actionRef is the reference of an action: webhook.noc.
var actionRef = regex.New(`^[a-z0-9]+\.[\pL\pN_-]+$`)

// stale reports whether open can have made a directory for an action, and it was last
// written to before then. The operator chooses the directory above, which may hold other
// things.
func stale(path string, dir os.DirEntry, then time.Time) bool {
	info, err := dir.Info()
	if err != nil || info.Mode()&^os.ModeSetgid != os.ModeDir|keptMode || !actionRef.Use().MatchString(dir.Name()) || !info.ModTime().Before(then) {
		return false
	}
	entries, err := os.ReadDir(path)
	return err == nil && !slices.ContainsFunc(entries, func(entry os.DirEntry) bool {
		info, err := entry.Info()
		return err != nil || !info.Mode().IsRegular() || !info.ModTime().Before(then)
	})
}
