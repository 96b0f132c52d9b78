package esl

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/status"
)

// AccountsKind makes actions of `action "accounts" "name" { … }` blocks.
var AccountsKind = plugin.ActionKind{
	Name: "accounts", Blocks: true, Targets: []ban.TargetKind{ban.TargetAccount},
	New: func(b *settings.Block, env plugin.ActionEnv) plugin.Action {
		if !b.Require("source", "Name the source of the switch: source = source.esl.pbx.") {
			return nil
		}
		if ref, ok := b.Reference("source", "source", "source.esl.pbx"); ok {
			if source, declared := env.Sources[ref.Value]; declared && source == nil {
				b.NoticeAt(ref.Range, "Bans of accounts are not enforced", fmt.Sprintf("source.%s is disabled, so action.%s is left out.", ref.Value, env.Name))
				return nil
			}
		}
		a := newAccounts(env.Name, readSwitch(b, env.Sources))
		a.emergency = env.Emergency
		env.Claim("calls and registrations of the switch at " + a.at.Address)
		return a
	},
}

const (
	connectTimeout = 3 * time.Second  // that a ban waits for the event connection
	reconnectAfter = time.Second      // since the last attempt
	sweepTimeout   = 20 * time.Second // for one reading of the lists
	sweepEvery     = time.Minute      // while the event connection is up
)

// relists: FreeSWITCH lists a new call up to 0.3 s late, and later if it is busy. A call of a banned account ends within 0.5 s.
var relists = []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 350 * time.Millisecond, 600 * time.Millisecond, time.Second}

// Accounts holds bans of accounts at a switch: while an account is banned, its calls are ended
// and its registrations flushed, those that are listed and those that the switch reports.
type Accounts struct {
	name      string // the reference: "accounts.pbx"
	at        esl.Switch
	emergency numberKind
	relists   []time.Duration // when the lists are read after a connection, besides at once; shorter in tests
	resync    func()          // see [plugin.Host]
	ended     summary
	flushed   summary
	spared    summary

	wake    chan struct{} // banned is not empty any more
	ending  chan *listedCall
	expired chan registration // to be flushed

	mu       sync.Mutex // guards what follows
	banned   map[ban.Target]bool
	known    map[string]call       // of the switch, by UUID
	queued   map[registration]bool // those in expired
	stop     context.CancelFunc    // ends the event connection; nil: there is none
	up       time.Time             // when it was subscribed; zero: it is not
	sweepAt  time.Time             // when the lists are due again
	relistAt time.Time             // when they will show the calls that were heard last, see [Accounts.relist]
	changed  chan struct{}         // closed when up or attempts changes
	attempts int                   // failed connections
	fault    error                 // of the last of them
	gaps     []plugin.Gap          // since the last reading of the lists
}

func newAccounts(name string, at esl.Switch) *Accounts {
	return &Accounts{
		name: name, at: at, relists: relists, resync: func() {},
		ended: newSummary("calls hung up", "calls"), flushed: newSummary("registrations flushed", "registrations"),
		spared: newSummary("calls to emergency numbers not ended", "calls"),
		wake:   make(chan struct{}, 1), ending: make(chan *listedCall, maxQueued), expired: make(chan registration, maxQueued),
		banned: map[ban.Target]bool{}, known: map[string]call{}, queued: map[registration]bool{}, changed: make(chan struct{}),
	}
}

func (a *Accounts) log() *slog.Logger { return slog.With("action", a.name) }

// Open implements [plugin.Opener].
func (a *Accounts) Open(host plugin.Host) error {
	a.resync = host.Resync
	return nil
}

// Apply implements [plugin.Action]: it returns once the switch has ended the calls of newly banned
// accounts, and flushed their registrations.
func (a *Accounts) Apply(ctx context.Context, batch ban.Batch) error {
	a.mu.Lock()
	banned := maps.Clone(a.banned)
	a.mu.Unlock()
	for _, c := range batch.Changes {
		if c.InForce() {
			banned[c.Ban.Target] = true
		} else {
			delete(banned, c.Ban.Target)
		}
	}
	_, err := a.enforce(ctx, banned)
	return err
}

// Resync implements [plugin.Level]. The lists are read at a start, after each reconnect, and from
// time to time.
func (a *Accounts) Resync(ctx context.Context, want iter.Seq[ban.Ban]) (drift plugin.Drift, err error) {
	banned := map[ban.Target]bool{}
	for b := range want {
		banned[b.Target] = true
	}
	drift.Missing, err = a.enforce(ctx, banned)
	if drift.Missing > 0 {
		drift.Notes = []string{"banned accounts had calls or registrations"}
	}
	for _, s := range []*summary{&a.ended, &a.flushed, &a.spared} {
		s.tell(a.log())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	drift.Gaps = a.gaps
	return drift, err
}

// Repair implements [plugin.Level]: the bans are in force if the switch reports.
func (a *Accounts) Repair(context.Context) (drift plugin.Drift, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.banned) > 0 && a.up.IsZero() {
		err = a.down()
	}
	return plugin.Drift{Gaps: a.gaps}, err
}

// down is the error while the switch does not report; a.mu is held.
func (a *Accounts) down() error {
	if a.fault != nil {
		return fmt.Errorf("the switch does not report its calls: %w", a.fault)
	}
	return fmt.Errorf("the switch does not report its calls: %s: no answer yet", a.at)
}

// Withdraw implements [plugin.Level]: the switch keeps nothing.
func (a *Accounts) Withdraw(context.Context) error { return nil }

// Inspect implements [plugin.Level]. The switch keeps no bans: entries are those that this
// process enforces.
func (a *Accounts) Inspect(context.Context) (k status.Kernel, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for target := range a.banned {
		k.Entries = append(k.Entries, status.Entry{Target: target, Bypassed: a.up.IsZero()})
	}
	slices.SortFunc(k.Entries, func(x, y status.Entry) int { return x.Target.Compare(y.Target) })
	return k, nil
}

// Report implements [plugin.Reporter].
func (a *Accounts) Report(context.Context) (r status.Report) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, gap := range a.gaps {
		r.Add(status.Warning, "the ban of %s is not enforced completely: %s", esl.Printable(gap.Account.String()), gap.Why)
	}
	return r
}

// enforce makes banned the accounts whose calls are ended, and reads the lists if they are due. It returns
// how much it found that should have been ended before.
func (a *Accounts) enforce(ctx context.Context, banned map[ban.Target]bool) (found int, err error) {
	a.hold(banned)
	if len(banned) == 0 {
		return 0, nil
	}
	if err := a.await(ctx); err != nil {
		return 0, err
	}
	due, settled := a.due()
	if due {
		found, err = a.sweep(ctx)
	}
	if !settled {
		found = 0
	}
	return found, err
}

// hold replaces the banned accounts. The lists are due if one of them was not banned before, until they
// have been read. The event connection ends with the last ban.
func (a *Accounts) hold(banned map[ban.Target]bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for target := range banned {
		if !a.banned[target] {
			a.sweepAt = time.Time{}
		}
	}
	a.banned = banned
	switch {
	case len(banned) > 0:
		select {
		case a.wake <- struct{}{}:
		default:
		}
	case a.stop != nil:
		a.stop()
		a.stop, a.up, a.gaps = nil, time.Time{}, nil
		clear(a.known)
	default:
		a.fault = nil
	}
}

// await waits until the switch reports, or a connection has failed.
func (a *Accounts) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	for before := a.attempts; a.up.IsZero(); {
		if a.attempts > before {
			return a.down()
		}
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
			a.mu.Lock()
		case <-ctx.Done():
			a.mu.Lock()
			return a.down()
		}
	}
	return nil
}

// due reports whether the lists are to be read, and whether that was done since the connection
// is up, and long enough after that for the switch to have written them.
func (a *Accounts) due() (due, settled bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !time.Now().Before(a.sweepAt), a.sweepAt.After(a.up.Add(a.relists[len(a.relists)-1]))
}

// told changes what [Accounts.await] waits for; a.mu is held.
func (a *Accounts) told() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// Serve implements [plugin.Server]: while accounts are banned it hears what the switch reports.
func (a *Accounts) Serve(ctx context.Context) {
	for {
		select {
		case <-a.wake:
		case <-ctx.Done():
			return
		}
		for a.begin(ctx) && plugin.Rest(ctx, reconnectAfter, nil) {
		}
	}
}

// begin hears the switch while accounts are banned. It reports whether a connection has failed.
func (a *Accounts) begin(ctx context.Context) (failed bool) {
	for ctx.Err() == nil {
		a.mu.Lock()
		if len(a.banned) == 0 {
			a.mu.Unlock()
			return false
		}
		hearing, stop := context.WithCancel(ctx)
		a.stop = stop
		a.mu.Unlock()
		err := a.hear(hearing)
		failed = a.disconnected(hearing, err)
		stop()
		if failed {
			return true
		}
	}
	return false
}

// disconnected notes that a connection has ended, and reports whether it has failed.
func (a *Accounts) disconnected(hearing context.Context, err error) (failed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if hearing.Err() != nil { // the last ban has ended
		return false
	}
	if !a.up.IsZero() {
		a.log().Warn("bans of accounts not enforced until the switch reports again", "err", err)
		a.resync() // which fails, and tells
	}
	a.stop, a.up, a.fault = nil, time.Time{}, err
	a.attempts++
	clear(a.known)
	a.told()
	return true
}

// subscription is what the switch reports to this action.
var subscription = esl.Subscription{Events: []string{"CHANNEL_CREATE"}, Subclasses: []string{"sofia::register"}, LogLevel: -1}

// hear connects three times: reports come on one connection, calls are ended on another, and
// flushes, which wait for a database, go over the third.
func (a *Accounts) hear(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel(nil)
	for _, do := range []func(context.Context, *esl.Console) error{a.endCalls, a.flushRegistrations} {
		console, err := a.at.Console(ctx)
		if err != nil {
			return err
		}
		workers.Go(func() {
			defer console.Close()
			if err := do(ctx, console); err != nil {
				cancel(err)
			}
		})
	}
	err := a.at.Listen(ctx, subscription, func() { a.connected(ctx) }, a.take)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// connected notes that the switch reports from now on. The lists show what began before, some of
// it a moment late.
func (a *Accounts) connected(hearing context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if hearing.Err() != nil { // the last ban has ended meanwhile
		return
	}
	a.up, a.fault, a.sweepAt = time.Now(), nil, time.Time{}
	a.told()
	a.resync()
	for _, after := range a.relists {
		time.AfterFunc(after, a.resync)
	}
}
