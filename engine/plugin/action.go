package plugin

import (
	"context"
	"iter"
	"net/netip"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/status"

	"github.com/hashicorp/hcl/v2"
)

// An ActionKind makes actions of one kind, the first label of an action block.
type ActionKind struct {
	Name string

	// Blocks says that actions of this kind act against callers rather than tell
	// people: they are not asked about the bans of rules while
	// security.auto_block_enabled is false.
	Blocks bool

	// Targets are the kinds of targets that actions of this kind handle: they are
	// passed no others, and what no blocking action handles cannot be banned. nil:
	// addresses and networks.
	Targets []ban.TargetKind

	// New reads the block `action "kind" "name" { … }`, as [SourceKind].New does for
	// sources.
	New func(b *settings.Block, env ActionEnv) Action
}

// ActionEnv is what the configuration knows of an action from outside its body.
type ActionEnv struct {
	Name  string           // the reference: "iptables.drop"
	Chain string           // security.iptables_chain
	Eval  *hcl.EvalContext // Deprecated: read the block with its methods

	// Sources are the sources that were declared and are right in themselves, by
	// their references: "esl.pbx". An action that speaks to the same switch as one
	// of them names it.
	Sources map[string]Source

	// Trusted are the networks that the rule files trust: the ledger bans nobody
	// in them, and an action that widens what it is ordered must not either.
	Trusted []netip.Prefix
}

// An Action does something about bans.
type Action interface {
	// Apply carries out one batch. It is called by one goroutine at a time. Of
	// what bans nobody (see [ban.Alerted] and [ban.Spared]), a [Level] hears
	// nothing.
	// A batch that failed comes again, with what has changed meanwhile, so
	// applying a change twice must end as applying it once.
	Apply(ctx context.Context, batch ban.Batch) error
}

// A Level is an action that holds a state outside of the program, such as the
// rules in the kernel, and can therefore drift from what it should be.
type Level interface {
	Action

	// Resync makes what really stands agree with the bans that should, and
	// says what it had to mend. The first call, after start or reload, takes
	// over what an earlier run left behind.
	Resync(ctx context.Context, want iter.Seq[ban.Ban]) (Drift, error)
}

// A Survivor is a level that can tell what an earlier run left standing.
type Survivor interface {
	Level
	// Standing returns the targets that are banned, and for how long still; 0
	// where that is not known.
	Standing(ctx context.Context) (map[netip.Prefix]ban.Term, error)
}

// A Reporter is an action that knows more of how it is doing than what Apply returns.
type Reporter interface {
	Action
	// Report may be called from any goroutine, beside Apply.
	Report(ctx context.Context) status.Report
}

// Drift says what a resync found other than it should be.
type Drift struct {
	Missing int      // bans that were not in force
	Surplus int      // entries in force that nobody wants
	Notes   []string // in words: "jump from INPUT was gone"
}

// Any reports whether there was anything to mend.
func (d Drift) Any() bool { return d.Missing > 0 || d.Surplus > 0 || len(d.Notes) > 0 }

// A Widener is a level that may drop more than it was ordered to, such as the
// network around several bans.
type Widener interface {
	Level
	// Spare is called before Apply and Resync, with a function that tells whether
	// somebody in a network is not to be dropped now: trusted, or protected. It may
	// be called from any goroutine.
	Spare(holds func(netip.Prefix) bool)
}

// A Keeper is an action that keeps something of its own across restarts.
type Keeper interface {
	Action
	// Keep is called before anything else, with a directory that exists and is
	// this action's alone, and holds files only. After an error the action works all
	// the same. The directory is removed at a start when nothing was written there for
	// 30 days and no rule file names the action any more.
	Keep(dir string) error
}

// A Server is an action that goes on with what it was handed beside Apply.
type Server interface {
	Action
	// Serve works until ctx ends. It is called once, and Apply not after it has
	// ended.
	Serve(ctx context.Context)
}

// A Claimant is an action that needs something for itself alone, such as a chain
// of the firewall. Two actions with the same claim are a mistake.
type Claimant interface {
	Action
	Claim() string // in words: "iptables chain FREESWITCH"
}

// An Inspector is an action that can show what it has done in the kernel.
type Inspector interface {
	Level
	// Inspect looks at the kernel and changes nothing. It may be called at any
	// time, beside Apply and Resync. What could be read comes back with the error.
	Inspect(ctx context.Context) (status.Kernel, error)
}

// A Comparer tells whether another action was made from the same words, so that a
// reload may leave the running one alone. One that cannot compare is always replaced.
type Comparer interface {
	Same(other any) bool
}

// A Withdrawer is a level that can take all it did back out of the world, which
// happens when a reload removes it. One that cannot is left as it stands.
type Withdrawer interface {
	Level
	Withdraw(ctx context.Context) error
}
