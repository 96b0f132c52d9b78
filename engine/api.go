package engine

import (
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

// A Mistake is an error of the caller: there is no such source, no such field. Any
// other error means that the engine cannot do it now.
type Mistake string

func (m Mistake) Error() string { return string(m) }

// An Outcome is the result of an order.
type Outcome struct {
	Change  ban.Change
	Applied bool   // the kernel enforces the ban
	Why     string // why it does not; "" if it does
}

// A Release is an order to unban a target.
type Release struct {
	Target ban.Target
	Grace  time.Duration // how long rules do not ban it; 0: none
	Author string
	Reason string // "" if none was given
}

// Released is the result of a release.
type Released struct {
	Lifted  []ban.Change // the latest end first
	Applied bool         // the kernel blocks none of them
	Why     string       // why not; "" if so
}

// Trusted is an entry of the trust, in force or ordered.
type Trusted struct {
	ban.Trusted
	RunTime bool      // the API added it, and can remove it
	Author  string    // who added a run-time entry
	Since   time.Time // of a run-time entry
	Until   time.Time // zero: it does not end by itself
}

// A TrustOutcome is the result of an order to trust.
type TrustOutcome struct {
	Lifted  []ban.Change // the bans that it ended
	Applied bool         // the kernel blocks none of them
	Why     string       // why not; "" if so
	Refused string       // why it is not trusted; "" if it is
}

// A Diagnostic is a mistake in the rule files, or a warning.
type Diagnostic struct {
	Severity string `json:"severity"` // "error" or "warning"
	Summary  string `json:"summary"`  // what is wrong
	Detail   string `json:"detail"`   // what to do about it
	Where    string `json:"where"`    // "rules.d/00-site.hcl:4,3"; "" if it is in no file
}

// A Probe is a line or an event to test against the rules. Exactly one of the two is
// given.
type Probe struct {
	Source string // "log.freeswitch"; "": the first that can read it
	Line   string
	Event  map[string]string // fields by their names in rules: "event", "ip", "user"
}

// Findings is the result of a probe.
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
