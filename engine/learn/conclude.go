package learn

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
)

// Findings are what a recording shows.
type Findings struct {
	From, To  time.Time // of the recording
	Events    int64
	Addresses int   // including forgotten ones
	Forgotten int64 // addresses dropped for lack of room

	Genuine   int // addresses that registered without signs of guessing
	Suspect   int // addresses that registered and failed like guessers
	Attackers int // addresses that a rule would have banned, without the genuine ones
	Logged    int // genuine addresses that only a log reported

	Proposals []Proposal // carriers, then offices; of each the certain ones first, then those seen on the most days
	TooBrief  int        // addresses seen on too few days to be proposed
	Trusted   int        // addresses that would be proposed and are trusted already
	Traffic   Traffic
	Rules     []RuleFinding
}

// MinimumDays is how long a recording must be for what does not happen in it to be
// evidence.
const MinimumDays = 3

// Short reports whether the recording is too short to lower thresholds.
func (f *Findings) Short() bool { return f.To.Sub(f.From) < MinimumDays*24*time.Hour }

// Conclude returns the findings of all that was recorded. Equal recordings lead to
// equal findings.
func (r *Recorder) Conclude() *Findings {
	f := &Findings{
		From: r.from, To: r.to, Events: r.events,
		Addresses: len(r.addresses) + int(r.forgotten), Forgotten: r.forgotten,
	}
	all := slices.SortedFunc(maps.Values(r.addresses), func(a, b *address) int { return a.network.Compare(b.network) })
	for _, a := range all {
		switch a.class() {
		case genuine:
			f.Genuine++
			if !a.inStream(accepted) && !a.inStream(registered) {
				f.Logged++
			}
			continue
		case suspect:
			f.Suspect++
		}
		if r.isBanned(a) {
			f.Attackers++
		}
	}
	for _, propose := range []func(*address) *Proposal{r.carrier, r.office} {
		for _, a := range all {
			r.consider(f, a, propose(a))
		}
	}
	rank := map[bool]int{true: 0, false: 1}
	slices.SortStableFunc(f.Proposals, func(a, b Proposal) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(rank[a.Sure], rank[b.Sure]), cmp.Compare(b.Days, a.Days))
	})
	f.Traffic = r.traffic()
	for i, t := range r.rules {
		f.Rules = append(f.Rules, r.ruleFinding(i, t, all, f))
	}
	return f
}

// consider adds a proposal that is of use.
func (r *Recorder) consider(f *Findings, a *address, p *Proposal) {
	switch {
	case p == nil:
	case r.isTrusted(a):
		f.Trusted++
	case !p.Gateway && !r.isLong(a):
		f.TooBrief++
	default:
		f.Proposals = append(f.Proposals, *p)
	}
}

// isBanned reports whether a rule would have banned an address.
func (r *Recorder) isBanned(a *address) bool {
	return slices.ContainsFunc(a.caughtBy(), func(c ruleRecord) bool { return r.rules[c.rule].spec.BansAddresses() && !c.spared })
}

func (r *Recorder) isTrusted(a *address) bool {
	return r.Trusted.Covers(ban.Network(a.target())) != nil
}

// isLong reports whether an address was seen for long enough: on Days days, and from
// the first to the last of as many.
func (r *Recorder) isLong(a *address) bool {
	return a.seen.n >= r.Days && a.last.Sub(a.first) >= time.Duration(r.Days-1)*24*time.Hour
}
