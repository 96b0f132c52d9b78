package ban

import (
	"net/netip"
	"time"
)

// ByRule is the author of an order that a rule gave.
const ByRule = "rule"

// An Order is a wish that a target be banned. The ledger may refuse it.
type Order struct {
	Target Target
	// Address is what the order is about: it lies in Target. Where Target
	// contains somebody who is trusted, the ledger bans Address alone.
	Address netip.Addr

	// ByHand marks what a person ordered: a grace given before does not hold it up.
	ByHand bool

	Rule   string // the rule that fired; "" where none did
	Source string // the source of the firing event; "" where there is none
	Author string // who ordered it: ByRule, "api alice", "feed apiban"
	Reason string // in words, for people
	Key    string // whom the rule caught, for people: "203.0.113.7", "1000@pbx"; "" where no rule did

	At       time.Time     // when the offence was: the ban starts here
	Terms    []Term        // the first time, the second, and from then on; at least one
	Forget   time.Duration // offences are forgotten this long after the last ban's end; 0: never
	Actions  []string      // the actions that carry it out; nil: all
	Evidence []Evidence    // oldest first, the firing event last
}

// Evidence is one event that spoke for a ban.
type Evidence struct {
	Time   time.Time
	Event  string
	Source string
	IP     netip.Addr // invalid where the event bore none, or it is no longer kept
	User   string     // the account that was tried; "" where it is not told or no longer kept
	Domain string     // of the account; "" likewise
	Proven bool       // the switch had seen the account's password; else a caller named it
	Text   string     // as the source gave it, bounded, not escaped; "" where it is no longer kept
}

// A Ban is an order that the ledger accepted.
type Ban struct {
	Target   Target
	Rule     string
	Source   string
	Author   string
	Reason   string
	Key      string // see [Order]
	Start    time.Time
	Until    time.Time // the zero time: permanent
	Term     Term
	Offence  int           // 1 the first time
	Forget   time.Duration // the offence is forgotten this long after the end; 0: never
	Actions  []string
	Evidence []Evidence
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

// A Kind says what became of a ban.
type Kind uint8

const (
	Banned   Kind = iota + 1 // it came into force
	Extended                 // it stands and now ends later
	Expired                  // its time was over
	Lifted                   // somebody ended it, or trust now covers it

	// Nobody is banned by these two: they are told to those who tell people and
	// to those who act on accounts, and never reach a level.
	Alerted // a rule told of something; the target may be invalid
	Spared  // a rule wished for this ban, and its target is protected
)

func (k Kind) String() string {
	return [...]string{"", "banned", "extended", "expired", "lifted", "alerted", "spared"}[k]
}

// A Change is one step in the history of the ledger.
type Change struct {
	Kind   Kind
	Ban    Ban
	At     time.Time // when it took effect
	Reason string    // why it was lifted or spared; "" for the other kinds
	Seq    uint64    // counts the changes of one process, from 1
}

// InForce tells whether the target is banned after the change.
func (c *Change) InForce() bool { return c.Kind == Banned || c.Kind == Extended }

// A Batch is what an action is asked to carry out at once, oldest first.
type Batch struct {
	Now     time.Time // bans whose end is not after Now are over already
	Changes []Change
}

// A Refusal is an order that the ledger did not accept, and why.
type Refusal struct {
	Order   Order
	Offence int    // what the ban would have counted as
	Term    Term   // how long it would have lasted
	Reason  string // "trusted by security.trusted_networks (rules.d/00-site.hcl:4)"
	// Standing is the ban that already covers the target; nil where there is
	// another reason.
	Standing *Ban
}
