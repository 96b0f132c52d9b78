package rule

import (
	"maps"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// A Spec is a rule block, checked and inert.
type Spec struct {
	Name  string
	Where string   // file and line of the block
	On    []string // sources: "log.freeswitch"
	Match *Matcher
	NAT64 ban.NAT64 // of the site
	Fleet bool      // with a threshold: it counts what all nodes of a fleet report
	Fact  Fact      // "": none

	Threshold *Threshold // nil: every match fires
	Ban       *Ban       // nil: the rule does not ban
	Alert     *Alert     // nil: the rule does not alert
	Brake     *Brake     // nil: no limit
}

// BansOthers reports whether the rule bans accounts and counts per something else, such as a number that
// many of them call. A ban of some then ends nothing for the others.
func (s *Spec) BansOthers() bool {
	return s.Ban != nil && s.Ban.Account && s.Threshold != nil && !slices.ContainsFunc(s.Threshold.Per, func(k KeyPart) bool { return k.Field == "user" })
}

// Bans reports whether a firing of the rule orders bans.
func (s *Spec) Bans() bool { return s.Ban != nil && !s.Ban.Off }

// BansAddresses reports whether it orders bans of addresses or networks.
func (s *Spec) BansAddresses() bool { return s.Bans() && s.Ban.Network != Network{} }

// Reads returns the names of the events that the rule counts or that can fire it; nil: any. The caller
// must not change the map.
func (s *Spec) Reads() map[string]bool {
	events := s.Match.Events()
	if s.Threshold == nil || s.Threshold.Then == nil {
		return events
	}
	return union(maps.Clone(events), s.Threshold.Then.Events())
}

// FiredBy returns the names of the events that can fire the rule; nil: any.
func (s *Spec) FiredBy() map[string]bool {
	if s.Threshold != nil && s.Threshold.Then != nil {
		return s.Threshold.Then.Events()
	}
	return s.Match.Events()
}

// Counts reports whether the rule counts an event, whatever its threshold. reason says why it does
// not, unless the expression decides: Match.Why explains that.
func (s *Spec) Counts(ev *event.Event) (counts bool, reason string) {
	switch {
	case !slices.Contains(s.On, ev.Source):
		return false, "it does not read " + ev.Source
	case s.Match.skips(ev):
		return false, "the event repeats an earlier report of the same attempt"
	}
	counts, _ = s.Match.Match(ev) // an expression that fails does not match
	if counts && s.Threshold != nil && s.Threshold.Concurrent && ev.UUID == "" {
		return false, "the event has no uuid, so the end of the call is not known"
	}
	return counts, ""
}

// Uses reports whether the rule reads a field, in an expression, to count by it or to name it in a reason.
func (s *Spec) Uses(field string) bool {
	t := s.Threshold
	return s.Match.Uses(field) || slices.Contains(s.Fact.Fields(), field) || t != nil && (t.Distinct == field || field == "ip" && strings.HasPrefix(t.Distinct, "ip/") || t.Then != nil && t.Then.Uses(field) ||
		slices.ContainsFunc(t.Per, func(k KeyPart) bool { return k.Field == field }))
}

// CountsBy returns the fields by which a rule with a threshold counts.
func (s *Spec) CountsBy() []string {
	var fields []string
	for _, part := range s.Threshold.Per {
		fields = append(fields, part.Field)
	}
	if s.Threshold.Distinct != "" {
		part, _ := parseKeyPart(s.Threshold.Distinct)
		fields = append(fields, part.Field)
	}
	return fields
}

// A Threshold says how many matches of one key, within which time, fire a rule.
type Threshold struct {
	Count  int // 1 to MaxCount
	Within time.Duration
	// Concurrent counts calls that are open at once, instead of matches within a time: each from its
	// match to the event CallEnded or CallRejected of its uuid. The rule fires at each match while
	// Count or more are open. There is no Within, Distinct and Then.
	Concurrent bool
	Per        Key    // never empty
	Distinct   string // the field, or "ip/24,48", whose different values count; "" counts matches
	// Then must be true for an event of the same key on the same source, while the
	// window holds Count matches: the rule fires with that event. nil: it fires with
	// the match that fills the window.
	Then *Matcher
}

// MaxCount bounds a threshold: a window holds as many matches.
const MaxCount = 10_000

// A Key lists the fields whose values together have one window: ["user", "domain"] has
// one window for each account.
type Key []KeyPart

// A KeyPart is one field of a key.
type KeyPart struct {
	Field   string
	Network Network // of an "ip" part
}

// Within reports whether the values of one k are all of one outer: the address of a /24, the same user. A
// family without a prefix length has no key.
func (k KeyPart) Within(outer KeyPart) bool {
	of, in := outer.Network, k.Network
	return k.Field == outer.Field && (in.V4 == 0 || in.V4 >= of.V4) && (in.V6 == 0 || in.V6 >= of.V6)
}

// A Network is a pair of prefix lengths. With a length of 0, an address of that family
// has no key and is no target.
type Network struct{ V4, V6 int }

// Host is the default network of a ban: one IPv4 address, or the /64 of one IPv6 host.
var Host = Network{V4: 32, V6: 64}

// A Ban says how a rule bans.
type Ban struct {
	Terms   []ban.Term // by offence; never empty, never decreasing
	Forget  time.Duration
	Network Network  // around the address; zero: addresses are not banned
	Account bool     // ban the account whose password the switch verified
	All     bool     // every address and account in the window, not only those of the last event
	Off     bool     // the rule alerts instead
	Actions []string // nil: all
}

// An Alert says how a rule alerts.
type Alert struct {
	Actions []string      // nil: all
	Every   time.Duration // one alert for the same key in this time; 0: all
}

// shortestHoldOff is the shortest default of Alert.Every for a rule with a threshold.
const shortestHoldOff = 10 * time.Minute

// HoldOff returns the default of Alert.Every: at least the window of the threshold, or 0
// without a threshold.
func (t *Threshold) HoldOff() time.Duration {
	if t == nil {
		return 0
	}
	return max(t.Within, shortestHoldOff)
}

// A Brake limits the new bans of a rule. Beyond the limit, the rule alerts.
type Brake struct {
	Bans   int
	Within time.Duration
}

// A Problem is a mistake in an expression. From and To are offsets in runes into its
// text; To is exclusive.
type Problem struct {
	From, To int
	Summary  string // "Unknown field"
	Detail   string // `There is no field "usr". Did you mean "user"?`
}
