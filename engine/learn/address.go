package learn

import (
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/event"
)

// Bounds of the record of one address.
const (
	maxAccounts = 256 // accounts that registered: they take a password each
	maxFailed   = 32  // accounts that failed
	maxCallers  = 16
	maxNames    = 3  // names of any kind, to be shown
	maxName     = 48 // bytes
)

// The origins of events.
const (
	byStream = iota
	byLog    // callers may have written it
	origins
)

// What is counted of an address.
const (
	accepted        = iota // passwords
	registered             // registrations with a password
	unauthenticated        // registrations without one
	challenges
	failures  // wrong password, unknown account, malformed header
	refusals  // by an access list
	forgeries // lines that it wrote into the log
	calls
	rejected // calls
	counters
)

// counterOf says which counter an event adds to.
var counterOf = map[string]int{
	event.AuthSuccess: accepted, event.Registered: registered, event.Challenge: challenges,
	event.AuthFailure: failures, event.UnknownUser: failures, event.AuthMalformed: failures, event.VertoLoginFailure: failures,
	event.ACLReject: refusals, event.ESLDenied: refusals, event.LogForgery: forgeries,
	event.Call: calls, event.CallRejected: rejected,
}

// An address is the record of one IPv4 address or IPv6 /64.
type address struct {
	network     netip.Prefix
	single      netip.Addr // the only address seen in network; invalid if there were several
	first, last time.Time
	seen        days
	counts      [origins][counters]int32
	guessed     bool // its first success came after guessedAfter failures

	accounts, failed set // accounts that registered, and accounts that failed
	callers          set

	accountNames, failedNames, agents, gateways []string

	rules []ruleRecord
}

// A ruleRecord is the record of an address with one rule.
type ruleRecord struct {
	rule    int32
	peak    int32 // the highest count in the rule's windows
	peakAt  int64 // microseconds since 1970
	caught  int32 // firings
	first   int64 // of them, in microseconds since 1970
	success int32 // of the address before the first
	spared  bool  // the bans of all firings were refused, because the address is protected
}

func (a *address) see(ip netip.Addr, at time.Time) {
	if a.single != ip {
		a.single = netip.Addr{}
	}
	if a.first.IsZero() || at.Before(a.first) {
		a.first = at
	}
	if at.After(a.last) {
		a.last = at
	}
	a.seen.see(at)
}

// count is the larger count of stream and logs: both report the same attempts.
func (a *address) count(counter int) int {
	return int(max(a.counts[byStream][counter], a.counts[byLog][counter]))
}

// success is how often a password was accepted. A registration is reported beside
// its password.
func (a *address) success() int { return max(a.count(accepted), a.count(registered)) }

// inStream reports whether the event stream reported a counter.
func (a *address) inStream(counter int) bool { return a.counts[byStream][counter] > 0 }

// weight is how much would be lost with the record. What takes a password weighs more
// than anything that does not.
func (a *address) weight() int {
	weight := (a.success() + len(a.gateways)) << 30
	for origin := range a.counts {
		for _, n := range a.counts[origin] {
			weight += int(n)
		}
	}
	return weight
}

// with returns the record with a rule, which it adds if there is none.
func (a *address) with(rule int) *ruleRecord {
	i := slices.IndexFunc(a.rules, func(r ruleRecord) bool { return int(r.rule) == rule })
	if i < 0 {
		i = len(a.rules)
		a.rules = append(a.rules, ruleRecord{rule: int32(rule), spared: true})
	}
	return &a.rules[i]
}

// caughtBy returns the records of the rules that the address made fire.
func (a *address) caughtBy() (caught []ruleRecord) {
	for _, r := range a.rules {
		if r.caught > 0 {
			caught = append(caught, r)
		}
	}
	return caught
}

// catch records a firing.
func (a *address) catch(rule int, at time.Time, spared bool) {
	r := a.with(rule)
	if r.caught == 0 {
		r.first, r.success = at.UnixMicro(), int32(a.success())
	}
	r.caught++
	r.spared = r.spared && spared
}

// reach records a count in a window.
func (a *address) reach(rule, count int, at int64) {
	if r := a.with(rule); int32(count) > r.peak {
		r.peak, r.peakAt = int32(count), at
	}
}

// strange is how many accounts failed at the address and never registered there.
func (a *address) strange() int {
	n := 0
	for _, account := range a.failed {
		if !a.accounts.has(account) {
			n++
		}
	}
	return n
}

// A class is what the registrations of an address say about it.
type class uint8

const (
	stranger class = iota // never registered with a password
	suspect               // registered, and failed like a guesser
	genuine               // registered, without signs of guessing
)

// Accounts may fail at a genuine address without ever registering there: one, a phone
// with an old password, or one of five that register.
const (
	maxStrange      = 1
	maxStrangeOneIn = 5
)

// guessedAfter is the number of failures after which a first success may be a guess. A person may
// mistype twice.
const guessedAfter = 3

// class tells a phone's owner from a guesser: both fail and then register. An address
// that fails on several accounts of others, or more often than it registers, may have
// found a password.
func (a *address) class() class {
	switch {
	case a.success() == 0:
		return stranger
	case a.prowls(), a.count(forgeries) > 0, a.failsMore(), a.guessed:
		return suspect
	}
	return genuine
}

// prowls reports whether too many accounts of others failed at the address.
func (a *address) prowls() bool {
	return a.strange() > max(maxStrange, len(a.accounts)/maxStrangeOneIn)
}

// failsMore reports whether the address fails as often as it registers.
func (a *address) failsMore() bool { return a.count(failures) >= max(a.success(), guessedAfter) }

// target is what would be trusted: the only address that was seen, else the /64.
func (a *address) target() netip.Prefix {
	if a.single.IsValid() {
		return netip.PrefixFrom(a.single, a.single.BitLen())
	}
	return a.network
}

// A set holds a few hashes.
type set []uint64

func (s set) has(h uint64) bool { return slices.Contains(s, h) }

// add reports whether the hash was not in the set. A full set does not change.
func (s *set) add(h uint64, limit int) bool {
	if s.has(h) {
		return false
	}
	if len(*s) < limit {
		*s = append(*s, h)
	}
	return true
}

// remember adds a name to the few that are shown.
func remember(names []string, name string) []string {
	if name == "" || len(names) >= maxNames {
		return names
	}
	if name = event.Bound(name, maxName); !slices.Contains(names, name) {
		names = append(names, name)
	}
	return names
}
