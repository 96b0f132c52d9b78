package learn

import (
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/rule"
)

// Outcome is what the firing of a rule leads to.
type Outcome uint8

const (
	Banned  Outcome = iota // a ban, or a longer one
	Alerted                // an alert
	Refused                // no ban, because the target is trusted or protected
	Already                // no ban, because the target is banned already
	outcomes
)

// A Decision is what one firing of a rule led to.
type Decision struct {
	Rule    string
	Outcome Outcome
	At      time.Time
	Target  netip.Prefix // invalid if the event has no address
	Address netip.Addr   // of the event that fired
}

// Decided takes a decision, after the event that led to it. Rules that are not among
// the options are ignored.
func (r *Recorder) Decided(d Decision) {
	i := slices.IndexFunc(r.rules, func(t *ruleTotals) bool { return t.spec.Name == d.Rule })
	if i < 0 {
		return
	}
	t := r.rules[i]
	t.outcomes[d.Outcome]++
	if a := r.address(d.Address); a != nil {
		a.catch(i, d.At, d.Outcome == Refused)
	}
	if host, ok := rule.Host.Of(d.Target.Addr()); ok && d.Target.Bits() < host.Bits() && d.Outcome == Banned {
		t.widen(d.Target, d.At)
	}
}
