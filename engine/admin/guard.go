package admin

import (
	"context"
	"net/netip"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

// A Guard is the engine as this package sees it. It is safe for use by several
// goroutines, and none of its methods keeps the engine from counting.
type Guard interface {
	Bans
	Trusts
	Gauges

	// Reload loads the rule files anew and puts them in the place of those that
	// run. With an error among the diagnostics nothing has changed, and err is
	// not nil; an err without one says why the engine could not do it.
	Reload(ctx context.Context) (diagnostics []Diagnostic, err error)

	// Test says what the rules make of a line or an event, and counts nothing.
	// What is wrong with the probe is a [Mistake].
	Test(ctx context.Context, p Probe) (Findings, error)
}

// A Mistake is an error of whoever asked, in words: there is no such source, no
// such field. Any other error of a guard means that it cannot do it now.
type Mistake string

func (m Mistake) Error() string { return string(m) }

// Bans is who is banned.
type Bans interface {
	// Block enters the orders in their turn and returns what became of each, by
	// index. An order without terms lasts for security.block_duration.
	//
	// It returns once the bans are durable and the kernel agrees, or has failed
	// to; where ctx ends before the kernel has answered, it returns with the
	// outcome not applied, and without an error. An error means that it is not
	// known to be durable, or that the engine is stopping.
	Block(ctx context.Context, orders []ban.Order) ([]Outcome, error)

	// Unblock ends every ban that covers all of the release's target, and keeps
	// rules from banning the target for its grace. It waits as Block does. Where
	// nothing was banned it returns no change, the grace is given all the same.
	Unblock(ctx context.Context, r Release) (Released, error)

	// Covering returns the ban in force that covers all of target and ends last.
	Covering(target ban.Target) (ban.Ban, bool)

	// BansAfter returns up to limit bans in force that follow a target, in the order
	// of [ban.Target.Compare]. The zero Target precedes all of them.
	BansAfter(target ban.Target, limit int) []ban.Ban
}

// Trusts is who is never banned.
type Trusts interface {
	// Trust trusts networks from now on, and lifts the bans that this forbids.
	// It waits as Block does; outcomes are by index. An entry takes the place of
	// the run-time entry for the same network, if there is one.
	Trust(ctx context.Context, entries []Trusted) ([]TrustOutcome, error)

	// Untrust ends the run-time trust in exactly this network; false says that
	// there was none.
	Untrust(ctx context.Context, network netip.Prefix) (bool, error)

	// Trusted lists everybody who is trusted, by run-time entries, by rule files,
	// or built in. The slice belongs to the caller.
	Trusted() []Trusted
}

// Gauges is how everything is doing.
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

// An Outcome is the result of an order.
type Outcome struct {
	Change  ban.Change
	Applied bool   // the target is banned in the kernel
	Why     string // why it is not; "" where it is
}

// A Release is the wish that a target be banned no longer.
type Release struct {
	Target ban.Target
	Grace  time.Duration // how long rules leave it alone; 0: not at all
	Author string
	Reason string // in words; "" where none was given
}

// Released is what became of a release.
type Released struct {
	Lifted  []ban.Change // the one that would have ended last first
	Applied bool         // the kernel has let go of all of them
	Why     string       // why not; "" where it has
}

// Trusted is an entry of the trust, as it stands or as somebody wants it.
type Trusted struct {
	ban.Trusted
	RunTime bool      // it was added while the engine ran, and can be taken out again
	Author  string    // of a run-time entry: who added it
	Since   time.Time // of a run-time entry
	Until   time.Time // zero: it does not end by itself
}

// A TrustOutcome is what became of a wish to trust.
type TrustOutcome struct {
	Lifted  []ban.Change // the bans that it ended
	Applied bool         // the kernel has let go of all of them
	Why     string       // why not; "" where it has
	Refused string       // why it is not trusted; "" where it is
}

// A Diagnostic is something that is wrong with the rule files.
type Diagnostic struct {
	Error   bool   // false: a warning
	Summary string // what is wrong
	Detail  string // what to do about it
	Where   string // "rules.d/00-site.hcl:4,3"; "" where it is in no file
}

// A Probe is what the rules are asked about: a line as a source reads it, or an
// event by its fields. Exactly one of the two is given.
type Probe struct {
	Source string // "log.freeswitch"; "": the first that can read it
	Line   string
	Event  map[string]string // fields by their names in rules: "event", "ip", "user"
}

// Findings is what the rules make of a probe.
type Findings struct {
	Events  status.List[Sighting] `json:"events"`
	Explain string                `json:"explain"` // how the source reads the line; "" if it cannot say
}

// A Sighting is an event and the rules that match it.
type Sighting struct {
	Source string              `json:"source"`
	Fields map[string]string   `json:"fields"`
	Rules  status.List[string] `json:"rules"` // whose expression is true
	Trust  string              `json:"trust"` // what trusts its address; "" if it may be banned
}
