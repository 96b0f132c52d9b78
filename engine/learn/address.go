package learn

import (
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/event"
)

// Bounds of what is remembered of one address.
const (
	maxWell    = 256 // accounts that registered well: they take a password each
	maxFailed  = 32  // accounts that failed
	maxNumbers = 16  // callers, and numbers that were called
	maxNames   = 3   // of anything, to be shown
	maxName    = 48  // bytes
)

// Who told something.
const (
	byStream = iota
	byLog    // callers may have written it
)

// An address is what is remembered of one IPv4 address or IPv6 /64.
type address struct {
	network     netip.Prefix
	single      netip.Addr // the one address that was seen in it; invalid if there were several
	first, last time.Time
	days        int   // of UTC, on which it was seen
	day         int64 // the last of them, since 1970
	told        [2]tally

	well, failed     set // accounts
	callers, numbers set
	again            int32 // calls to a number that had been called before

	wellNames, failedNames, agents, gateways []string

	catches []catch
	peaks   []peak
}

// A tally counts what one kind of source told of an address.
type tally struct {
	accepted, registered int32 // passwords, and registrations with one
	blind                int32 // registrations without one
	challenges           int32
	failures             int32 // wrong password, no such account, no proper header
	refused              int32 // by an access list
	forgeries            int32 // lines in the log that it wrote itself
	calls, rejected      int32
}

// A catch is what one rule decided about the address.
type catch struct {
	rule    int32
	times   int32
	first   int64 // microseconds since 1970
	success int32 // of the address before the first
	spared  bool  // it was refused each time, since the address is protected
}

// A peak is the highest count that the address reached in the windows of a rule.
type peak struct {
	rule, count int32
	at          int64 // microseconds since 1970
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
	const secondsADay = 24 * 60 * 60
	if day := at.Unix() / secondsADay; a.days == 0 || day > a.day {
		a.days++
		a.day = day
	}
}

// most is the larger of what the stream and the logs told of one thing: they tell
// of the same attempts.
func (a *address) most(of func(*tally) int32) int {
	return int(max(of(&a.told[byStream]), of(&a.told[byLog])))
}

// success is how often a password was accepted. A registration is reported
// together with its password.
func (a *address) success() int  { return a.most((*tally).success) }
func (t *tally) success() int32  { return max(t.accepted, t.registered) }
func (a *address) failures() int { return a.most(func(t *tally) int32 { return t.failures }) }
func (a *address) refused() int  { return a.most(func(t *tally) int32 { return t.refused }) }
func (a *address) calls() int    { return a.most(func(t *tally) int32 { return t.calls }) }

// weight is how much would be lost with the record.
func (a *address) weight() int {
	w := 0
	for i := range a.told {
		t := &a.told[i]
		w += int(t.challenges + t.failures + t.refused + t.forgeries + t.calls + t.rejected + t.blind)
	}
	if success := a.success(); success > 0 || len(a.gateways) > 0 {
		const above = 1 << 20 // what anybody can do without a password
		w += above + success
	}
	return w
}

// caught returns what a rule decided about the address; nil if nothing.
func (a *address) caught(rule int) *catch {
	for i := range a.catches {
		if c := &a.catches[i]; int(c.rule) == rule {
			return c
		}
	}
	return nil
}

func (a *address) catch(rule int, at time.Time, spared bool) {
	c := a.caught(rule)
	if c == nil {
		a.catches = append(a.catches, catch{rule: int32(rule), first: at.UnixMicro(), success: int32(a.success()), spared: true})
		c = &a.catches[len(a.catches)-1]
	}
	c.times++
	c.spared = c.spared && spared
}

// reach notes that the address came to a count.
func (a *address) reach(rule, count int, at int64) {
	i := slices.IndexFunc(a.peaks, func(p peak) bool { return int(p.rule) == rule })
	if i < 0 {
		i = len(a.peaks)
		a.peaks = append(a.peaks, peak{rule: int32(rule)})
	}
	if p := &a.peaks[i]; int32(count) > p.count {
		p.count, p.at = int32(count), at
	}
}

// peak returns the highest count in the windows of a rule, and when that was.
func (a *address) peak(rule int) (count int, at time.Time) {
	for _, p := range a.peaks {
		if int(p.rule) == rule {
			return int(p.count), time.UnixMicro(p.at).UTC()
		}
	}
	return 0, at
}

// strange is how many accounts failed at the address and never registered there.
func (a *address) strange() int {
	n := 0
	for _, account := range a.failed {
		if !a.well.has(account) {
			n++
		}
	}
	return n
}

// A set holds a few hashes.
type set []uint64

func (s set) has(h uint64) bool { return slices.Contains(s, h) }

// add reports whether the hash was not in the set. A full set stays as it is.
func (s *set) add(h uint64, limit int) bool {
	if s.has(h) {
		return false
	}
	if len(*s) < limit {
		*s = append(*s, h)
	}
	return true
}

// remember adds a name to the few that are kept to be shown.
func remember(names []string, name string) []string {
	if name == "" || len(names) >= maxNames {
		return names
	}
	if name = brief(name); !slices.Contains(names, name) {
		names = append(names, name)
	}
	return names
}

// brief bounds a name, which a caller may have written.
func brief(name string) string { return event.Bound(name, maxName) }
