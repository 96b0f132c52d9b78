package config

import (
	"net/netip"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
)

// Kinds are the kinds of sources and actions that rule files may declare.
type Kinds struct {
	Sources []plugin.SourceKind
	Actions []plugin.ActionKind
}

// Config is everything that the rule files say, checked and inert.
type Config struct {
	Security Security
	Admin    *Admin // nil: no admin listener
	Sources  []Source
	Actions  []Action
	Trusted  []ban.Trusted // what was written; the host's own addresses are not among them
	Rules    []*rule.Spec
	Tests    []Test

	// protectRanges tells where each word of security.protect stands, by the word.
	protectRanges map[string]hcl.Range
	// ruleRanges tells where each rule is defined, by its name.
	ruleRanges map[string]hcl.Range
}

// Security is the union of all security blocks, with the environment over it.
type Security struct {
	AutoBlock     bool     // false: decide and report, block nobody; default true
	Chain         string   // of iptables; default "FREESWITCH"
	BlockDuration ban.Term // where a rule gives no length of its own; default 1h
	Protect       Protect
}

// Protect says whom no rule bans because the switch itself knows them. The zero
// value protects nobody.
type Protect struct {
	Registered bool // addresses with a live, authenticated registration
	Gateways   bool // addresses that the switch calls through
}

// A Source is one source block.
type Source struct {
	Ref         string // "log.freeswitch"
	Kind        string // "log"
	Name        string // "freeswitch"
	Source      plugin.Source
	Description plugin.Description
	Fingerprint settings.Fingerprint
	Range       hcl.Range // of the block's header
}

// An Action is one action block.
type Action struct {
	Ref         string // "iptables.drop"
	Kind        string // "iptables"
	Name        string // "drop"
	Action      plugin.Action
	Claims      []string // see [plugin.ActionEnv]
	Fingerprint settings.Fingerprint
	Targets     []ban.TargetKind // that it is passed, see plugin.ActionKind
	Blocks      bool             // it acts against callers, see plugin.ActionKind
	Range       hcl.Range        // of the block's header
}

// A Test is one test block: a story, and who is banned at its end.
type Test struct {
	Rule  string // the name of the rule that it stands in
	Name  string
	Where string // "rules.d/20-registration.hcl:31"
	Given []Given

	// Bans holds everybody who is expected to be banned, and for how long; an
	// empty map means nobody. A network stands as it was written; a bare address
	// was widened as the rule widens it, so that it is the target of the ban.
	Bans map[netip.Prefix]ban.Term

	// Alerts holds how many alerts are expected about whom; an empty map means
	// none. A bare address is a /32 or a /128: the address of the firing event.
	// That a ban was refused because its target is protected counts as an alert
	// about that target, which of an IPv6 host is its /64.
	Alerts map[netip.Prefix]int
}

// Repetition stands in the texts of what is given for which time it is reported.
const Repetition = "<n>"

// A Given is one kind of report that comes in, once or several times.
type Given struct {
	Source string // who reports: "log.freeswitch"

	// Event is what is reported, without a time; nil where Line is given.
	Event *event.Event
	// IP is the address of Event where it has a Repetition in it, else "".
	IP string
	// Line is what the source reads, "" where Event is given.
	Line string

	Times int            // at least 1
	Every time.Duration  // between two of them; default 1s
	At    *time.Duration // of the first, since the test's start; nil: where the given before would go on
	Where string         // "rules.d/20-registration.hcl:33"
}
