package admin

import (
	"context"
	"net/netip"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

var _ Guard = (*engine.Guard)(nil)

// A Guard is the engine as this package uses it. It is safe for concurrent use, and its
// methods do not delay the engine.
type Guard interface {
	Bans
	Trusts
	Gauges

	// Reload loads the rule files and puts them into use. With an error among the
	// diagnostics nothing changes, and err is not nil. An err without one says why the
	// engine could not do it.
	Reload(ctx context.Context) (diagnostics []engine.Diagnostic, err error)

	// Test tests a line or an event against the rules, and counts nothing. A wrong probe is
	// an [engine.Mistake].
	Test(ctx context.Context, p engine.Probe) (engine.Findings, error)
}

// Bans bans and unbans.
type Bans interface {
	// Block enters the orders in their turn and returns what became of each, by
	// index. An order without terms lasts for security.block_duration.
	//
	// It returns once the bans are durable and the kernel agrees, or has failed
	// to; where ctx ends before the kernel has answered, it returns with the
	// outcome not applied, and without an error. An error means that it is not
	// known to be durable, or that the engine is stopping.
	Block(ctx context.Context, orders []ban.Order) ([]engine.Outcome, error)

	// Unblock ends every ban that covers all of the release's target, and keeps
	// rules from banning the target for its grace. It waits as Block does. Where
	// nothing was banned it returns no change, the grace is given all the same.
	Unblock(ctx context.Context, r engine.Release) (engine.Released, error)

	// Covering returns the ban in force that covers all of target and ends last.
	Covering(target ban.Target) (ban.Ban, bool)

	// BansAfter returns up to limit bans in force that follow a target, in the order
	// of [ban.Target.Compare]. The zero Target precedes all of them.
	BansAfter(target ban.Target, limit int) []ban.Ban
}

// Trusts changes the trust of run time.
type Trusts interface {
	// Trust trusts networks from now on, and lifts the bans that this forbids.
	// It waits as Block does; outcomes are by index. An entry takes the place of
	// the run-time entry for the same network, if there is one.
	Trust(ctx context.Context, entries []engine.Trusted) ([]engine.TrustOutcome, error)

	// Untrust ends the run-time trust in exactly this network; false says that
	// there was none.
	Untrust(ctx context.Context, network netip.Prefix) (bool, error)

	// Trusted lists everybody who is trusted, by run-time entries, by rule files,
	// or built in. The slice belongs to the caller.
	Trusted() []engine.Trusted
}

// Gauges reports the status.
type Gauges interface {
	// Status is a snapshot of all that is counted. It is asked a few times a
	// second at the most.
	Status(ctx context.Context) (status.Status, error)

	// Kernel reads what really stands, for each action that holds a state in the
	// kernel. What could not be read of one of them is among its problems; an error
	// says that there was no time to look at any.
	Kernel(ctx context.Context) ([]status.Kernel, error)

	// Trackers returns the keys that are closest to firing a rule, the closest
	// first, up to top of them.
	Trackers(ctx context.Context, top int) ([]status.Tracker, error)
}
