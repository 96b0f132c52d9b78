package rule

import (
	"time"

	"freeswitch-security/engine/ban"
)

// A Spec is what a rule block says, checked and inert.
type Spec struct {
	Name  string
	Where string   // file and line of the block, for messages
	On    []string // the sources it listens to: "log.freeswitch"
	Match *Matcher

	Threshold *Threshold // nil: every match fires
	Ban       *Ban       // nil: nobody is banned
	Alert     *Alert     // nil: nobody is told but by the ban
	Brake     *Brake     // nil: no limit
}

// A Threshold says how many matches within how long, and counted per what.
type Threshold struct {
	Count    int // 1 to MaxCount
	Within   time.Duration
	Per      Key    // never empty
	Distinct string // the field whose different values count; "" counts matches
	// Then is what has to happen for the same key, on the same source, while the
	// window holds Count: the rule fires with that event and not before. nil: it
	// fires with the match that fills the window.
	Then *Matcher
}

// MaxCount bounds a threshold: a window remembers up to as many matches.
const MaxCount = 10_000

// A Key says what a window is kept per: the parts together, so that ["user",
// "domain"] keeps one window for each account.
type Key []KeyPart

// A KeyPart is one field of a key.
type KeyPart struct {
	Field string // a text field, "event", "port", or "ip"
	// Network widens an "ip" part.
	Network Network
}

// A Network is a pair of prefix lengths. A length of 0 leaves that family out:
// an address of it has no key and is no target.
type Network struct{ V4, V6 int }

// Host is the unit that a ban takes by default: one IPv4 address, or the /64
// that one IPv6 host has to itself.
var Host = Network{V4: 32, V6: 64}

// A Ban is what a rule wishes for whom it catches.
type Ban struct {
	Terms   []ban.Term // never empty, never shrinking
	Forget  time.Duration
	Network Network
	All     bool     // every address in the window, not only the firing one
	Actions []string // nil: all
}

// An Alert tells and blocks nobody.
type Alert struct {
	Actions []string // nil: all
	// Every is the time in which the same key is told of once; 0: every time.
	Every time.Duration
}

// shortestHoldOff is the least time between two alerts about the same key that a
// threshold gives by default: people read them.
const shortestHoldOff = 10 * time.Minute

// HoldOff is Alert.Every where nothing is said: as long as the threshold looks
// back, and 0 where there is none.
func (t *Threshold) HoldOff() time.Duration {
	if t == nil {
		return 0
	}
	return max(t.Within, shortestHoldOff)
}

// A Brake bounds how many new bans a rule may cause; beyond it the rule alerts.
type Brake struct {
	Bans   int
	Within time.Duration
}

// A Problem is a mistake in an expression. From and To are offsets in runes
// into the expression's text, To exclusive.
type Problem struct {
	From, To int
	Summary  string // what is wrong, one line: "Unknown field"
	Detail   string // what to do: `There is no field "usr". Did you mean "user"?`
}
