package learn

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Findings are what was learned.
type Findings struct {
	From, To  time.Time // of the recording
	Events    int64
	Addresses int   // with those that were forgotten
	Forgotten int64 // addresses that were forgotten, for lack of room

	Well      int // addresses that registered well, for all that can be told
	Doubtful  int // addresses that registered, and failed like somebody who guesses
	Attackers int // addresses that a rule would have banned, and that did not register well
	Logged    int // of Well: those of which only a log told

	Proposals []Proposal // carriers, then offices; of each the sure ones and those seen on the most days first
	TooBrief  int        // addresses that would be proposed, had they been seen on more days
	Trusted   int        // addresses that would be proposed and are trusted already
	Rules     []RuleFinding
}

// MinimumDays is how long a recording must be for what did not happen in it to mean
// anything.
const MinimumDays = 3

// Short reports whether the recording is too short for thresholds to be lowered
// upon it.
func (f *Findings) Short() bool { return f.To.Sub(f.From) < MinimumDays*24*time.Hour }

// Conclude gives what follows from all that was noted. The same events give the
// same findings.
func (n *Notebook) Conclude() *Findings {
	f := &Findings{
		From: n.from, To: n.to, Events: n.events,
		Addresses: len(n.addresses) + int(n.forgotten), Forgotten: n.forgotten,
	}
	all := n.sorted()
	for _, a := range all {
		switch a.standing() {
		case well:
			f.Well++
			if a.told[byStream].success() == 0 {
				f.Logged++
			}
		case doubtful:
			f.Doubtful++
		}
		if a.standing() != well && n.isBanned(a) {
			f.Attackers++
		}
	}
	for _, propose := range []func(*address) *Proposal{n.carrier, n.office} {
		for _, a := range all {
			n.consider(f, a, propose(a))
		}
	}
	slices.SortStableFunc(f.Proposals, func(a, b Proposal) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), compareBool(b.Sure, a.Sure), cmp.Compare(b.Days, a.Days))
	})
	for i, r := range n.rules {
		f.Rules = append(f.Rules, n.ruleFinding(i, r, all, f))
	}
	return f
}

// compareBool puts false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// consider adds a proposal, if there is one and it is of use.
func (n *Notebook) consider(f *Findings, a *address, p *Proposal) {
	switch {
	case p == nil:
	case n.isTrusted(a):
		f.Trusted++
	case !p.Gateway && !n.isLong(a):
		f.TooBrief++
	default:
		f.Proposals = append(f.Proposals, *p)
	}
}

// isBanned reports whether a rule that bans has caught an address.
func (n *Notebook) isBanned(a *address) bool {
	return slices.ContainsFunc(a.catches, func(c catch) bool { return n.rules[c.rule].spec.Ban != nil && !c.spared })
}

// sorted lists the addresses in their order.
func (n *Notebook) sorted() []*address {
	all := make([]*address, 0, len(n.addresses))
	for _, a := range n.addresses {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *address) int { return a.network.Compare(b.network) })
	return all
}

func (n *Notebook) isTrusted(a *address) bool {
	_, trusted := n.Trusted.Covers(a.target())
	return trusted
}

// isLong reports whether an address was seen for long enough: on as many days as
// were asked for, and from the first to the last of them.
func (n *Notebook) isLong(a *address) bool {
	return a.days >= n.Days && a.last.Sub(a.first) >= time.Duration(n.Days-1)*24*time.Hour
}

// target is what would be trusted: the one address that was seen, or the /64 if
// there were several.
func (a *address) target() netip.Prefix {
	if a.single.IsValid() {
		return netip.PrefixFrom(a.single, a.single.BitLen())
	}
	return a.network
}

// A standing is what an address's registrations say about it.
type standing uint8

const (
	stranger standing = iota // never registered with a password
	doubtful                 // did, and failed like somebody who guesses
	well
)

// strangers is how many accounts may fail at an address without ever registering
// there: a phone with an old password. In an office it may be one of five.
const (
	strangers      = 1
	strangersOneIn = 5
)

// standing tells a phone's owner from somebody who guesses: both fail and then
// register. Whoever fails on several accounts that are not his, or more often than he
// registers, may well have found a password.
func (a *address) standing() standing {
	switch {
	case a.success() == 0:
		return stranger
	case a.prowls(), a.forged(), a.failsMore():
		return doubtful
	}
	return well
}

// prowls reports whether too many accounts failed at the address that are not its own.
func (a *address) prowls() bool { return a.strange() > max(strangers, len(a.well)/strangersOneIn) }

// failsMore reports whether the address fails as often as it registers. A person may
// mistype twice before the first time.
func (a *address) failsMore() bool { return a.failures() >= max(a.success(), 3) }

// forged reports whether lines in a log were laid to the address's charge.
func (a *address) forged() bool { return a.most(func(t *tally) int32 { return t.forgeries }) > 0 }
