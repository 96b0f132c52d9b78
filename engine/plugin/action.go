package plugin

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/status"
)

// An ActionKind makes actions of one kind, the first label of an action block.
type ActionKind struct {
	Name string

	// Blocks is set for actions that enforce bans. They get no bans of rules while
	// security.auto_block_enabled is false.
	Blocks bool

	// Targets are the kinds of targets that actions of this kind handle: they are
	// passed no others, and what no blocking action handles cannot be banned. nil:
	// addresses and networks.
	Targets []ban.TargetKind

	// New reads the block `action "kind" "name" { … }`, as [SourceKind].New does for
	// sources. nil without an error leaves the action out: New has warned why.
	New func(b *settings.Block, env ActionEnv) Action
}

// ActionEnv is what the configuration knows of an action from outside its body.
type ActionEnv struct {
	Name  string // the reference: "iptables.drop"
	Chain string // security.iptables_chain

	// Sources are the sources that were declared and are right in themselves, by
	// their references: "esl.pbx". An action that speaks to the same switch as one
	// of them names it. A disabled source is nil.
	Sources map[string]Source

	// Trusted are the networks that the rule files trust. The ledger bans no address in
	// them, and an action that bans more than it is ordered to must not either.
	Trusted []netip.Prefix

	// Emergency reports whether dialled is an emergency number, with or without a line
	// prefix. No action may end such a call.
	Emergency func(dialled string) bool

	// Masked says that numbers and accounts are not shown in full in what leaves the host for people.
	Masked bool

	// Claim reserves something for this action alone, in words: "iptables chain
	// FREESWITCH". Two actions with the same claim are a mistake. What a started
	// action claims it takes over from the one before it.
	Claim func(what string)
}

// An Action does something about bans.
type Action interface {
	// Apply carries out one batch. It is called by one goroutine at a time. A batch
	// that failed comes again, with what has changed meanwhile, so applying a change
	// twice must end as applying it once. A [Level] is passed changes of the kinds in
	// [ban.Levels], any other action those in [ban.Told]. Alerts and sparings that are held off
	// are passed to the actions that block, marked Held.
	Apply(ctx context.Context, batch ban.Batch) error
}

// A Level is an action that holds a state outside of the program, such as the rules in
// the kernel, which can drift from what it should be. It is passed no changes of the
// kinds [ban.KindAlert] and [ban.KindSpare].
type Level interface {
	Action

	// Resync makes the state agree with the bans, and reports what it repaired. The
	// first call, after a start or a reload, takes over what an earlier run left.
	Resync(ctx context.Context, want iter.Seq[ban.Ban]) (Drift, error)

	// Repair makes in force again what was applied and others have changed, as far as
	// that needs no list of the bans. It is called when a change was heard (see
	// [Host.Changed]), and before an answer says that a ban is in force: where nothing
	// has changed it must be cheap.
	Repair(ctx context.Context) (Drift, error)

	// Withdraw removes the state, after a reload has removed the action.
	Withdraw(ctx context.Context) error

	// Inspect reads the state and changes nothing. It may be called at any time,
	// beside Apply and Resync. What could be read comes back with the error. At a
	// start without its state the engine takes over the entries; one without a
	// remaining time gets the default.
	Inspect(ctx context.Context) (status.Kernel, error)
}

// Drift is what a resync or a repair found other than it should be.
type Drift struct {
	Missing int      // bans that were not in force
	Surplus int      // entries in force without a ban
	Notes   []string // in words: "jump from INPUT was gone"
	Gaps    []Gap    // what it could not repair
}

// A Gap is the reason why bans are not in force although nothing has failed.
type Gap struct {
	Network netip.Prefix // bans of anything in it
	Account ban.Target   // or the ban of this account
	Why     string       // "no packet reaches chain FREESWITCH: …"
}

// And adds what another repair found.
func (d Drift) And(e Drift) Drift {
	return Drift{
		Missing: d.Missing + e.Missing, Surplus: d.Surplus + e.Surplus,
		Notes: append(d.Notes, e.Notes...), Gaps: append(d.Gaps, e.Gaps...),
	}
}

// Any reports whether there was anything to repair.
func (d Drift) Any() bool { return d.Missing > 0 || d.Surplus > 0 || len(d.Notes) > 0 }

// An Opener is an action that uses what the engine offers it.
type Opener interface {
	Action
	// Open is called before anything else. After an error the action works all the
	// same.
	Open(host Host) error
}

// A Host is what the engine offers to an action.
type Host struct {
	// Dir is a directory of this action alone (0700), for files that survive a
	// restart; "" if the engine keeps no state. It is removed at a start when no file
	// in it was written for 30 days and no rule file names the action.
	Dir string

	// Now is the time that bans are in. It differs from the host's clock for the moment
	// after a step of that.
	Now func() time.Time

	// Changed asks for a [Level.Repair]: others have changed the state. It does not wait, and
	// may be called from any goroutine.
	Changed func()

	// Resync asks for a [Level.Resync] now, also while the action fails: what failed may work. It does
	// not wait, and may be called from any goroutine.
	Resync func()

	// Spared reports whether a network holds an address that must not be banned now,
	// because it is trusted or protected. It may be called from any goroutine.
	Spared func(netip.Prefix) bool

	// Adopt makes permanent bans of entries without a ban that an operator may have added by hand, and
	// returns those that it did. They stay in force: their changes follow. It may be called within
	// Resync and Repair.
	Adopt func([]ban.Target) []ban.Target
}

// A Server is an action that goes on working beside Apply.
type Server interface {
	Action
	// Serve works until ctx ends. It is called once. Apply is not called after ctx has
	// ended.
	Serve(ctx context.Context)
}

// A Reporter is an action that knows more of how it is doing than what Apply returns.
type Reporter interface {
	Action
	// Report may be called from any goroutine, beside Apply.
	Report(ctx context.Context) status.Report
}
