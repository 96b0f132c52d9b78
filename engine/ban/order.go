package ban

import (
	"net/netip"
	"strings"
	"time"

	"freeswitch-security/engine/event"
)

// ByRule is the author of an order that a rule gave.
const ByRule = "rule"

// OnlyHere is how the author of a ban or trust ends that is not shared with a fleet.
const OnlyHere = " (only here)"

// IsOnlyHere reports whether what an author ordered is not shared with a fleet.
func IsOnlyHere(author string) bool { return strings.HasSuffix(author, OnlyHere) }

// An Order is a request to ban a target. The ledger may refuse it.
type Order struct {
	Target Target
	// Address is the address that the order is about, in Target. The ledger bans it
	// alone if Target contains a trusted address. Invalid: there is none.
	Address netip.Addr

	// ByHand marks the order of a person: a grace does not delay it.
	ByHand bool
	// DryRun marks an order that no action will carry out against the target.
	DryRun bool
	// Proven says that no event that a rule counted at the target can be of a forged sender.
	Proven bool
	// Offence is the number of the offence where a peer has decided; 0: this ledger counts. Only what
	// ends later than a ban of the target itself replaces that, and a network around it does not matter.
	Offence int

	Rule   string // the rule that fired; "" if none did
	Source string // the source of the firing event; "" if there is none
	Author string // who ordered it: ByRule, "api alice", "feed apiban"
	Reason string // in words, for people
	Key    string // what the rule counted by: "203.0.113.7", "1000@pbx"; "" if no rule did

	At       time.Time     // the time of the offence: the ban starts here
	Terms    []Term        // of the first offence, the second, and all further ones; at least one
	Forget   time.Duration // offences are forgotten this long after the end of the last ban; 0: never
	Actions  []string      // the actions that carry it out; nil: all
	Evidence []Evidence    // oldest first, the firing event last
}

// Evidence is one event that led to a ban.
type Evidence struct {
	Time   time.Time  `json:"time"`
	Event  string     `json:"event"`
	Source string     `json:"source"`
	IP     netip.Addr `json:"ip"`                        // invalid: the event had none, or it is no longer kept
	User   string     `json:"user"`                      // the account that was tried; "": not known, or no longer kept
	Domain string     `json:"domain"`                    // of the account; likewise
	Proven bool       `json:"proven"`                    // the switch checked the account's password; else a caller named the account
	Text   string     `json:"text"`                      // as the source gave it, bounded, not escaped; "": no longer kept
	Lost   bool       `json:"lost,omitzero" msgpack:"-"` // account and text are no longer kept
}

// A Ban is an order that the ledger accepted.
type Ban struct {
	Target   Target        `json:"target" msgpack:"-"`
	Rule     string        `json:"rule"`
	Source   string        `json:"source"`
	Author   string        `json:"author"`
	Key      string        `json:"key"`
	Reason   string        `json:"reason"`
	Offence  int           `json:"offence"` // 1 the first time; 0: an alert
	Term     Term          `json:"for,omitzero"`
	Start    time.Time     `json:"addedAt,omitzero"`
	Until    time.Time     `json:"expiresAt,omitzero"` // zero: permanent
	Forget   time.Duration `json:"-"`                  // see [Order]
	Actions  []string      `json:"actions"`            // nil: all
	Evidence []Evidence    `json:"evidence"`           // oldest first

	event.Place `msgpack:"-"` // of the target's address; set in a [Change], and empty in what the ledger returns
}

// OfRule reports whether a rule ordered the ban, here or at a peer.
func (b *Ban) OfRule() bool { return b.Author == ByRule || b.Rule != "" }

// by says who ordered the ban.
func (b *Ban) by() string {
	if b.Rule != "" {
		return "rule " + b.Rule
	}
	return b.Author
}

// Over reports whether the ban has ended at t.
func (b *Ban) Over(t time.Time) bool { return !b.Until.IsZero() && !t.Before(b.Until) }

// outlasts reports whether a ban that ends at until ends later than one that
// ends at other; the zero time is never.
func outlasts(until, other time.Time) bool {
	if other.IsZero() {
		return false
	}
	return until.IsZero() || until.After(other)
}

// A Kind says what a change is. Its text is the word for it in logs, the API and
// notifications.
type Kind string

// The kinds of changes. The last three change no ban: they are for the log, for
// notifications, and for actions that act on accounts.
const (
	KindBan    Kind = "ban"    // a ban came into force
	KindExtend Kind = "extend" // a ban in force now ends later, or has further actions
	KindUnban  Kind = "unban"  // a ban was ended by an order, or because its target is now trusted
	KindExpire Kind = "expire" // a ban reached its end

	KindAlert  Kind = "alert"  // a rule fired that bans nothing; the target may be the zero Target
	KindSpare  Kind = "spare"  // a rule's order was withheld: its target is protected
	KindRefuse Kind = "refuse" // an order was not accepted
)

var (
	// Kinds are all kinds.
	Kinds = []Kind{KindBan, KindExtend, KindUnban, KindExpire, KindAlert, KindSpare, KindRefuse}

	// Levels are the kinds of changes to the bans: what an action with a state outside
	// of the program follows.
	Levels = Kinds[:4]

	// Told are all kinds but refusals: what other actions follow.
	Told = Kinds[:6]
)

// A Change is one decision, and all that is needed to explain it. It is also the
// wire format of decisions. The ban is the one in force after the change; the one
// that ended; or the one that would have been. Its reason says what the target did.
type Change struct {
	Seq  uint64    `json:"seq"`  // counts the changes of one process, from 1
	Kind Kind      `json:"kind"` // the first word on it
	At   time.Time `json:"time"` // when it took effect
	Ban

	// Why says why the target was unbanned, refused or spared; "" for other kinds.
	Why string `json:"why"`
	// Standing says that the order was refused because a ban of the target is in force.
	Standing bool `json:"standing"`
	// DryRun says that no action carries the ban out against the target.
	DryRun bool `json:"dryRun"`

	// Proven is that of the order.
	Proven bool `json:"-"`

	// Held marks an alert or a sparing that is held off: only actions that block are passed it,
	// and the log, the API and notifications leave it out.
	Held bool `json:"-"`

	// Cover is the ban in force if Standing is set.
	Cover *Ban `json:"-"`
}

// InForce reports whether the change put the ban into force.
func (c *Change) InForce() bool { return c.Kind == KindBan || c.Kind == KindExtend }

// Banned reports whether the target is banned after the order that led to the change.
func (c *Change) Banned() bool { return c.InForce() || c.Standing }

// Text returns the reason of the change in words: Why, or else the reason of the ban.
func (c *Change) Text() string {
	if c.Why != "" {
		return c.Why
	}
	return c.Ban.Reason
}

// A Batch is what an action is asked to carry out at once, oldest first.
type Batch struct {
	Now     time.Time // bans whose end is not after Now are over already
	Changes []*Change // others have them as well: they must not be changed
}

// BatchOf returns a batch, such as the tests of an action need.
func BatchOf(now time.Time, changes ...Change) Batch {
	b := Batch{Now: now}
	for _, c := range changes {
		b.Changes = append(b.Changes, &c)
	}
	return b
}
