package config

import (
	"context"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/geoip"
	"freeswitch-security/engine/numbering"
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

// Config is the content of all rule files, checked and inert.
type Config struct {
	Security Security
	Admin    *Admin // nil: no admin listener
	Fleet    *Fleet // nil: the guard is in no fleet
	Sources  []Source
	Disabled []string // the references of sources with enabled = false, which are not in Sources
	Actions  []Action
	Trusted  []ban.Trusted // as written, without the addresses of the host itself
	Names    []TrustedName // likewise
	Rules    []*rule.Spec
	Tests    []Test
	Skipped  []Test // those that need a source that is not enabled

	Numbering *numbering.Plan // of the site; never nil in a configuration that was loaded
	Numbered  bool            // a file has a numbering block
	History   History

	GeoIP *geoip.Databases // nil: no file has a geoip block

	used used // by the rules

	settings []Setting
	hints    hcl.Diagnostics // for [Lint]

	protectRanges map[string]hcl.Range // of the words of security.protect
	dir           hcl.Range            // where the rules are read from
	ruleRanges    map[string]hcl.Range // of the rules, by name
}

// History is the history block: what is kept of what happened.
type History struct {
	Days   int  // that hours, days and attackers are kept; default 90
	Masked bool // numbers that were dialled, and accounts; default false
}

// Security is all security blocks together, overridden by the environment.
type Security struct {
	AutoBlock     bool     // false: the bans of rules are not enforced; default true
	Chain         string   // of iptables; default "FREESWITCH"
	BlockDuration ban.Term // of rules without a term of their own; default 1h
	Protect       Protect
	NAT64         ban.NAT64 // prefixes of the site

	// ProtectedFailures is how often a protected address may fail in an hour, where the failures may
	// be of a forged sender; 0: DefaultProtectedFailures. Up to StrictFailures, they count as if
	// they were proven.
	ProtectedFailures int
}

// Values of [Security.ProtectedFailures].
const (
	StrictFailures           = 20
	DefaultProtectedFailures = 120
	minProtectedFailures     = 10
	maxProtectedFailures     = 240
)

// Protect says which addresses no rule bans, because the switch itself knows them. The
// zero value protects none.
type Protect struct {
	Registered bool // addresses with a live, authenticated registration
	Gateways   bool // addresses that the switch calls through
	Dialogues  bool // addresses with a recent dialogue, from senders that may be forged
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

// Read returns the events that the source reads in a text. name names the text in errors.
func (s Source) Read(ctx context.Context, name, text string) (events []*event.Event, stats plugin.Stats, err error) {
	stats, err = s.Source.Replay(ctx, plugin.Recording{Name: name, R: strings.NewReader(text)}, nil, func(ev *event.Event) error {
		ev.Source = s.Ref
		events = append(events, ev)
		return nil
	})
	return events, stats, err
}

// A TrustedName is a DNS name whose addresses are trusted.
type TrustedName struct {
	Host  string      // in lower case, without a dot at its end
	Trust ban.Trusted // in each address, without a target
}

// An Action is one action block.
type Action struct {
	Ref         string // "iptables.drop"
	Kind        string // "iptables"
	Name        string // "drop"
	Action      plugin.Action
	Source      string   // that it names as its switch: "esl.pbx"; "" if it names none
	Claims      []string // see [plugin.ActionEnv]
	Fingerprint settings.Fingerprint
	Targets     []ban.TargetKind // see [plugin.ActionKind]
	Blocks      bool             // see [plugin.ActionKind]
}

// Handles reports whether the action is passed changes about targets of that kind; an alert may have
// no target.
func (a *Action) Handles(kind ban.TargetKind) bool {
	if a.Targets == nil {
		return kind != ban.TargetEndpoint && kind != ban.TargetAccount
	}
	return kind == "" || slices.Contains(a.Targets, kind)
}

// A Test is one test block: events, and the bans and alerts that they must lead to.
type Test struct {
	Rule  string // the name of the rule that it stands in
	Name  string
	Where string // "rules.d/20-registration.hcl:31"
	Given []Given

	// Site is where the test plays: at no real site, so that shipped rules pass their tests at each.
	Site numbering.Site

	// Bans holds the expected targets with their terms; an empty map means no ban. A
	// network stands as it was written. A bare address was widened as the rule widens
	// it, so that it is the target of the ban.
	Bans map[ban.Target]ban.Term

	// Alerts counts the expected alerts by target; an empty map means none. A bare address is a /32 or a /128: the address of the firing event.
	// A ban that is spared because its target is protected counts as an alert about
	// that target, which for an IPv6 address is its /64.
	Alerts map[ban.Target]int
}

// Plan returns the numbering plan of the test's site.
func (t *Test) Plan() *numbering.Plan {
	plan, _ := numbering.New(t.Site) // its parts have been checked
	return plan
}

// Repetition stands for the number of the repetition in the address of a given event.
const Repetition = "<n>"

// A Given is an event or a line that is reported once or several times.
type Given struct {
	Source string // the source that reports it: "log.freeswitch"; "" if it is disabled

	// Node of a fleet that reports it; "": this one.
	Node string

	// Event is the event, without a time; nil where Line is given.
	Event *event.Event
	// IP is the address of Event where it has a Repetition in it, else "".
	IP string
	// Line is what the source reads; "" where Event is given.
	Line string

	Times int            // at least 1
	Every time.Duration  // the interval; default 1s
	At    *time.Duration // of the first, since [numbering.Plan.TestStart]; nil: one interval after the given before
	Where string         // "rules.d/20-registration.hcl:33"
}
