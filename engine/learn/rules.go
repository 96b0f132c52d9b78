package learn

import (
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/rule"
)

// Totals count what the firings of a rule led to.
type Totals struct {
	Bans     int // or longer bans
	Alerts   int
	Refusals int // no ban, because the target is trusted or protected
	Already  int // no ban, because the target is banned already
}

// Decided takes a change, after the event that led to it. It ignores changes that no
// rule ordered, rules that are not among the options, and the ends of bans.
func (r *Recorder) Decided(c *ban.Change) {
	i := slices.IndexFunc(r.rules, func(t *ruleTotals) bool { return t.spec.Name == c.Rule })
	if i < 0 || c.Author != ban.ByRule {
		return
	}
	t := r.rules[i]
	refused := false
	switch {
	case c.InForce():
		t.Bans++
	case c.Kind == ban.KindAlert:
		t.Alerts++
	case c.Standing:
		t.Already++
	case c.Kind == ban.KindRefuse, c.Kind == ban.KindSpare:
		t.Refusals++
		refused = true
	default:
		return
	}
	if n := len(c.Evidence); n > 0 {
		last := &c.Evidence[n-1] // of the event that fired
		if a := r.address(last.IP); a != nil {
			a.catch(i, c.At, refused)
		}
		if one := r.callers[r.accountOf(last.User, last.Domain)]; one != nil && last.Proven {
			one.caught = true
		}
	}
	network := c.Target.Prefix()
	if host, ok := rule.Host.Of(network.Addr(), r.NAT64); ok && network.Bits() < host.Bits() && c.InForce() {
		t.widen(network, c.At)
	}
}

// ruleTotals is the record of one rule.
type ruleTotals struct {
	spec *rule.Spec
	Totals
	wide map[netip.Prefix]time.Time // first bans of networks with more than one host
}

// maxWide bounds the networks recorded of one rule.
const maxWide = 10_000

func (t *ruleTotals) widen(network netip.Prefix, at time.Time) {
	if _, known := t.wide[network]; !known && len(t.wide) < maxWide {
		t.wide[network] = at
	}
}

// A RuleFinding is what one rule would have done, and how far its threshold is from
// genuine addresses.
type RuleFinding struct {
	Spec *rule.Spec
	Totals
	Caught  int      // addresses that made it fire
	Victims []Victim // those that registered, and their neighbours; by the time of the catch

	Genuine int // genuine addresses that it might ban
	Peak    int // the highest count of one of them; 0: the rule counted none
	PeakOf  netip.Prefix
	PeakAt  time.Time

	Advice Advice
	Count  int // the proposed threshold, with Raise and Lower
}

// A Victim is an address that registered before or after a rule caught it.
type Victim struct {
	Network       netip.Prefix
	At            time.Time // of the first catch
	Times         int       // catches
	Before, After int       // accepted passwords
	Spared        bool      // it is protected, and was not banned
	Neighbour     bool      // it did nothing: its network was banned
	Suspect       bool      // it may have guessed its password
}

// Advice says what to do with a threshold.
type Advice uint8

const (
	NoThreshold Advice = iota // every match fires
	Unknown                   // no genuine address was seen
	Shared                    // the windows are not by address, and attackers filled them too
	Keep                      // it has margin, or there is too little evidence to lower it
	Raise                     // a genuine address came too close
	Lower                     // no genuine address came close
	Hopeless                  // a genuine address went beyond any useful threshold
)

const (
	// minCount is the lowest proposed threshold: a person may mistype twice.
	minCount = 3
	// minGenuine is how many genuine addresses it takes to lower a threshold.
	minGenuine = 10
)

// maxCount is how far a threshold is raised. The owner of one account could otherwise
// raise it without limit, by failing for days beside registering.
func maxCount(count int) int { return max(10, 3*count) }

// ruleFinding judges a rule by all addresses.
func (r *Recorder) ruleFinding(i int, t *ruleTotals, all []*address, f *Findings) RuleFinding {
	found := RuleFinding{Spec: t.spec, Totals: t.Totals}
	for _, a := range all {
		record, class := ruleRecord{}, a.class()
		for _, r := range a.rules {
			if int(r.rule) == i {
				record = r
			}
		}
		caught := record.caught > 0
		if caught {
			found.Caught++
		}
		if class == stranger || r.isTrusted(a) {
			continue
		}
		if caught {
			found.Victims = append(found.Victims, Victim{
				Network: a.target(), At: time.UnixMicro(record.first).UTC(), Times: int(record.caught),
				Before: int(record.success), After: a.success() - int(record.success),
				Spared: record.spared, Suspect: class == suspect,
			})
		} else if at, ok := t.around(a); ok && class == genuine {
			found.Victims = append(found.Victims, Victim{Network: a.target(), At: at, Before: a.success(), Neighbour: true})
		}
		if class != genuine || caught && record.spared {
			continue
		}
		found.Genuine++
		if int(record.peak) > found.Peak {
			found.Peak, found.PeakOf, found.PeakAt = int(record.peak), a.target(), time.UnixMicro(record.peakAt).UTC()
		}
	}
	slices.SortStableFunc(found.Victims, func(a, b Victim) int { return a.At.Compare(b.At) })
	found.advise(f)
	return found
}

// around returns when a network around the address was banned first.
func (t *ruleTotals) around(a *address) (at time.Time, ok bool) {
	for bits := a.network.Bits(); bits > 0 && len(t.wide) > 0; bits-- {
		network, _ := a.network.Addr().Prefix(bits)
		if banned, found := t.wide[network]; found && (!ok || banned.Before(at)) {
			at, ok = banned, true
		}
	}
	return at, ok
}

// advise proposes a threshold: one and a half times the peak, and two more at least.
// One genuine address is enough to raise it. To lower it takes a long recording and
// many genuine addresses.
func (r *RuleFinding) advise(f *Findings) {
	t := r.Spec.Threshold
	if t == nil {
		r.Advice = NoThreshold
		return
	}
	count := withMargin(r.Peak)
	switch raise := count > t.Count && r.Peak > 0; {
	case r.Genuine == 0:
		r.Advice = Unknown
	case !isByHost(t.Per) && f.Attackers > 0:
		r.Advice = Shared
	case raise && count > min(maxCount(t.Count), rule.MaxCount):
		r.Advice = Hopeless
	case raise:
		r.Advice, r.Count = Raise, count
	case count < t.Count && !f.Short() && r.Genuine >= minGenuine:
		r.Advice, r.Count = Lower, count
	default:
		r.Advice = Keep
	}
}

// withMargin returns a threshold that genuine counts stay below.
func withMargin(peak int) int { return max(minCount, peak+max(2, (peak+1)/2)) }

// isByHost reports whether each key belongs to one host, so that no other can fill its
// windows.
func isByHost(key rule.Key) bool {
	return slices.ContainsFunc(key, func(part rule.KeyPart) bool {
		return part.Field == "ip" && part.Network.V4 == rule.Host.V4 && part.Network.V6 >= rule.Host.V6
	})
}

// Innocent counts the victims that are genuine and were not spared.
func (r *RuleFinding) Innocent() int {
	n := 0
	for _, v := range r.Victims {
		if !v.Suspect && !v.Spared {
			n++
		}
	}
	return n
}
