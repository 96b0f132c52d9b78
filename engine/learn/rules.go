package learn

import (
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/rule"
)

// ruleNotes is what is remembered of one rule.
type ruleNotes struct {
	spec     *rule.Spec
	outcomes [outcomes]int

	// wide are the first bans of networks with more than one host in them.
	wide map[netip.Prefix]time.Time
}

// maxWide bounds the networks that are remembered of a rule.
const maxWide = 10_000

func (r *ruleNotes) widen(network netip.Prefix, at time.Time) {
	if _, known := r.wide[network]; !known && len(r.wide) < maxWide {
		r.wide[network] = at
	}
}

// A RuleFinding is what one rule would have done, and how its threshold stands to
// those who are good.
type RuleFinding struct {
	Spec                   *rule.Spec
	Bans, Alerts, Refusals int
	Already                int      // firings at who was banned already
	Caught                 int      // addresses that made it fire
	Victims                []Victim // of those, and of their neighbours: who registered, by the time of the catch

	Good   int // addresses that registered well and that it might ban
	Peak   int // the highest count of one of them; 0: the rule never counted one
	PeakOf netip.Prefix
	PeakAt time.Time

	Advice Advice
	Count  int // that is proposed, with Raise and Lower
}

// A Victim registered well, before or after a rule caught it.
type Victim struct {
	Network       netip.Prefix
	At            time.Time // of the catch
	Times         int       // that it was caught
	Before, After int       // registrations and accepted passwords
	Spared        bool      // it is protected, and was not banned
	Neighbour     bool      // it did nothing itself: its network was banned
	Doubtful      bool      // it may have guessed its password
}

// Advice says what to do with a threshold.
type Advice uint8

const (
	NoThreshold Advice = iota // every match fires
	Unknown                   // nobody good was seen
	Shared                    // the window is not an address's own, and attackers filled it
	Keep                      // it has margin, or there is too little to lower it upon
	Raise                     // somebody good came too near
	Lower                     // nobody good came near
	Hopeless                  // somebody good went further than any threshold should
)

const (
	// lowest is the lowest threshold that is proposed: a person may mistype twice.
	lowest = 3
	// enough is how many good addresses it takes to lower a threshold.
	enough = 10
)

// highest is how far a threshold is raised. Whoever has one account of his own could
// otherwise lead it wherever he likes, by failing for days beside registering.
func highest(count int) int { return max(10, 3*count) }

// ruleFinding judges a rule by all addresses.
func (n *Notebook) ruleFinding(i int, r *ruleNotes, all []*address, f *Findings) RuleFinding {
	found := RuleFinding{
		Spec: r.spec, Bans: r.outcomes[Banned], Alerts: r.outcomes[Alerted],
		Refusals: r.outcomes[Refused], Already: r.outcomes[Already],
	}
	for _, a := range all {
		caught := a.caught(i)
		if caught != nil {
			found.Caught++
		}
		standing := a.standing()
		if standing == stranger || n.isTrusted(a) {
			continue
		}
		if caught != nil {
			found.Victims = append(found.Victims, victim(a, caught, standing))
		} else if at, ok := r.around(a); ok && standing == well {
			found.Victims = append(found.Victims, Victim{Network: a.target(), At: at, Before: a.success(), Neighbour: true})
		}
		if standing != well || caught != nil && caught.spared {
			continue
		}
		found.Good++
		if count, at := a.peak(i); count > found.Peak {
			found.Peak, found.PeakOf, found.PeakAt = count, a.target(), at
		}
	}
	slices.SortStableFunc(found.Victims, func(a, b Victim) int { return a.At.Compare(b.At) })
	found.advise(f)
	return found
}

func victim(a *address, c *catch, s standing) Victim {
	return Victim{
		Network: a.target(), At: time.UnixMicro(c.first).UTC(), Times: int(c.times),
		Before: int(c.success), After: a.success() - int(c.success), Spared: c.spared, Doubtful: s == doubtful,
	}
}

// around gives when a network around the address was banned first.
func (r *ruleNotes) around(a *address) (at time.Time, ok bool) {
	if len(r.wide) == 0 {
		return at, false
	}
	for bits := a.network.Bits(); bits > 0; bits-- {
		network, _ := a.network.Addr().Prefix(bits)
		if banned, found := r.wide[network]; found && (!ok || banned.Before(at)) {
			at, ok = banned, true
		}
	}
	return at, ok
}

// advise proposes a threshold: half as much again as anybody good reached, and two
// more at the least. Upward one address is enough, since it was really there.
// Downward the recording must be long, and many have registered in it.
func (r *RuleFinding) advise(f *Findings) {
	t := r.Spec.Threshold
	if t == nil {
		r.Advice = NoThreshold
		return
	}
	count := max(lowest, r.Peak+max(2, (r.Peak+1)/2))
	switch {
	case r.Good == 0:
		r.Advice = Unknown
	case !isOfHosts(t.Per) && f.Attackers > 0:
		r.Advice = Shared
	case count > t.Count && r.Peak > 0 && count > min(highest(t.Count), rule.MaxCount):
		r.Advice = Hopeless
	case count > t.Count && r.Peak > 0:
		r.Advice, r.Count = Raise, count
	case count < t.Count && !f.Short() && r.Good >= enough:
		r.Advice, r.Count = Lower, count
	default:
		r.Advice = Keep
	}
}

// isOfHosts reports whether each key belongs to one address, so that nobody else
// can add to its windows.
func isOfHosts(key rule.Key) bool {
	return slices.ContainsFunc(key, func(part rule.KeyPart) bool {
		return part.Field == "ip" && part.Network.V4 == rule.Host.V4 && part.Network.V6 >= rule.Host.V6
	})
}

// Innocent counts the victims of a rule that registered well and were not spared.
func (r *RuleFinding) Innocent() int {
	n := 0
	for _, v := range r.Victims {
		if !v.Doubtful && !v.Spared {
			n++
		}
	}
	return n
}
