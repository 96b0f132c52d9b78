package admin

import (
	"context"
	"net/netip"
	"time"

	"freeswitch-security/engine/ban"
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
	Covering(target netip.Prefix) (ban.Ban, bool)

	// BansAfter returns up to limit bans in force that stand behind a target, in
	// the order of [netip.Prefix.Compare]. An invalid target stands before all of
	// them.
	BansAfter(target netip.Prefix, limit int) []ban.Ban
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
	Status(ctx context.Context) (Status, error)

	// Kernel reads what really stands, for each action that holds a state in the
	// kernel. What could not be read of one of them is among the errors of its
	// view; an error says that there was no time to look at any.
	Kernel(ctx context.Context) ([]KernelView, error)

	// Trackers returns the keys that are closest to firing a rule, the closest
	// first, up to top of them.
	Trackers(ctx context.Context, top int) ([]Tracker, error)
}

// An Outcome is what became of an order: exactly one of Change and Refusal is
// not nil. A refusal whose Standing is set means that the target is banned
// already for as long as was asked.
type Outcome struct {
	Change  *ban.Change
	Refusal *ban.Refusal
	Applied bool   // the target is banned in the kernel
	Why     string // why it is not; "" where it is
}

// A Release is the wish that a target be banned no longer.
type Release struct {
	Target netip.Prefix
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

// Status is how an engine is doing.
type Status struct {
	Started   time.Time
	AutoBlock bool // false: rules decide and report, and block nobody
	DryRun    bool // no action runs
	Events    uint64
	Waiting   int    // reports that wait to be counted
	Unsaved   string // why the state is not saved; "" where it is

	Reloaded    time.Time // when the rules that run were loaded
	ReloadError string    // of the last attempt; "" where it succeeded

	Bans    int // in force
	Trusted int // entries
	Rules   []RuleStatus
	Sources []SourceStatus
	Actions []ActionStatus
	Tallies []Tally

	Known        Known
	Corroborated Corroborated
}

// Known is whom the switch itself knows, as far as that protects anybody.
type Known struct {
	Registrations int    // of phones
	Evicted       uint64 // registrations that had to give way before they were over
	Refused       uint64 // addresses of gateways that were one too many to be trusted
}

// Corroborated is what became of the events of logs that another source vouches for.
// Its numbers only grow.
type Corroborated struct {
	Confirmed uint64
	Forged    uint64
	Unheard   uint64 // not believed because the other source was not heard at that time
}

// A RuleStatus is what a rule has done and what it holds. But for Tracked, its
// numbers only grow.
type RuleStatus struct {
	Name      string
	Where     string // file and line
	On        []string
	Matches   uint64
	Firings   uint64
	Tracked   int    // keys with a window
	Evicted   uint64 // windows that had to give way before they were over
	Expired   uint64
	Errors    uint64 // events for which its expression could not be evaluated
	LastError string
}

// A SourceStatus is how far a source has come. But for Behind and Lag, its
// numbers only grow.
type SourceStatus struct {
	Name      string
	Running   bool
	Events    uint64
	Lost      uint64 // events that were dropped on their way
	Lines     uint64
	Bytes     uint64
	Skipped   uint64 // lines that were too long to be looked at
	Doubted   uint64 // lines that were refused as evidence
	Connects  uint64 // how often it was connected to; 0 where it is a file
	Restarts  uint64 // how often the switch was seen to have been started anew
	Behind    int64  // bytes that are there and were not read yet
	Lag       time.Duration
	LastEvent time.Time // zero: there was none
	Fault     string    // why nothing can be read at present; "" if it can
	Warning   string    // what is amiss though it is read; "" if nothing is
}

// An ActionStatus is how an action is doing.
type ActionStatus struct {
	Name     string
	Synced   bool // it has agreed with the ledger at least once
	Waiting  int  // changes that are not yet carried out
	Applied  time.Time
	Took     time.Duration // the last apply
	Batch    int           // the changes in it
	Latency  Histogram     // of all applies, in seconds
	Batches  Histogram     // of all applies, in changes
	Drifts   uint64        // how often something had to be mended
	Failures int           // in a row
	Lost     uint64        // times that changes were dropped because it was too slow
	Err      string        // the last failure; "" after a success
	Delivery *Delivery     // nil: it tells nobody
}

// A Delivery is how an action that tells others gets on. Its counts begin anew when a
// reload changes its block.
type Delivery struct {
	Delivered uint64    // notices that have reached the other side
	Dropped   uint64    // notices of which it will never hear
	Failed    uint64    // attempts that failed, most of which are made again
	Waiting   int       // notices that are not delivered yet
	Since     time.Time // when the oldest of them was queued; zero: there is none
	Err       string    // of the last attempt; "" after a success
	Unkept    string    // why what waits would not survive a restart; "" where it would, or was never to
}

// A Histogram is how a number was distributed. The zero value is that of no
// numbers.
type Histogram struct {
	Count   uint64
	Sum     float64
	Buckets map[float64]uint64 // by upper bound: how many were not above it
}

// A Tally counts the verdicts of one rule on one source. Neither is set for what
// no rule ordered.
type Tally struct {
	Rule     string
	Source   string
	Bans     uint64
	Unbans   uint64
	Alerts   uint64
	Refusals uint64 // not of those who are banned already
	LastBan  time.Time
}

// A KernelView is what stands in the kernel for one action.
type KernelView struct {
	Action   string // "iptables.drop"
	Chain    string
	Backend  string   // "rules" or "ipset"; "" before anything was applied
	Versions []string // of the programs in use
	Jumps    []Jump
	Entries  []KernelEntry // in the order of their addresses
	Foreign  []string      // rules in the chain that are not ours
	Warnings []string
	Errors   []string // why bans are not in force, or could not be read
	Unread   bool     // not all of it could be read: what is missing above may be there

	Drifts    uint64 // how often something had to be mended
	Missing   int    // at the last of them: bans that were not in force
	Surplus   int    // and entries that nobody wanted
	Notes     []string
	Applied   time.Time // the last apply; zero: there was none
	Took      time.Duration
	Batch     int
	LastError string // of the last apply; "" after a success
}

// A Jump is one way for packets to the chain.
type Jump struct {
	Family   string // "IPv4" or "IPv6"
	Hook     string
	Match    string // "": every packet
	Position int    // counted from 1; 0: there is none
	Waiting  bool   // the hook does not exist
}

// A KernelEntry is a ban as the kernel has it.
type KernelEntry struct {
	Target    netip.Prefix
	Packets   uint64 // that it has stopped
	Bytes     uint64
	Remaining time.Duration // 0: permanent, or not known
	Permanent bool
}

// A Tracker is a key and how far it is from firing a rule.
type Tracker struct {
	Rule   string
	Source string
	Key    string // for people: "203.0.113.7", "1000@pbx"; "" where it is no longer kept
	Count  int    // in the window
	Limit  int    // at which the rule fires
	Within time.Duration
	Last   time.Time // the newest match
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
	Events  []Sighting
	Explain string // how the source reads the line, in words; "" where it cannot say
}

// A Sighting is an event and the rules whose expression is true of it.
type Sighting struct {
	Source string
	Fields map[string]string
	Rules  []string
	Trust  string // who its address is trusted by; "" where it may be banned
}

// A Notice is a verdict, as those who watch hear of it.
type Notice struct {
	Time     time.Time
	Kind     string       // "ban", "unban", "alert" or "refused"
	Target   netip.Prefix // invalid where there is none
	Rule     string
	Source   string
	Author   string
	Offence  int
	Term     ban.Term  // 0: there is none
	Until    time.Time // zero: permanent, or there is no ban
	Reason   string
	Evidence []ban.Evidence
	Standing bool // refused because a ban stands already
	DryRun   bool // nobody is really blocked
}
