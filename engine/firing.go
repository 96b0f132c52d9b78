package engine

import (
	"fmt"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/rule"
)

// An occasion is why somebody is told of a firing that bans nobody. Each is held
// off by itself: that a rule was braked is news also where the rule alerts.
type occasion string

const (
	asAsked   occasion = "alert"      // the rule says so
	noAddress occasion = "no address" // the event bears none
	brakeUsed occasion = "brake"      // the rule has used up its new bans
	ofSparing occasion = "spared"     // the target is protected
)

// fired does what a rule that fired asks for.
func (e *Engine) fired(f *rule.Firing) {
	e.retrust()
	if e.challenges.forged(f) {
		f.Reason += hint
		for i := range f.Orders {
			f.Orders[i].Reason += hint
		}
	}
	switch {
	case f.Spec.Ban == nil:
		e.alert(f, asAsked, f.Reason)
	case len(f.Orders) == 0:
		e.alert(f, noAddress, "the event bears no address that could be banned; "+f.Reason)
	default:
		// That the target is spared tells more than the alert would, and reaches
		// those that the alert would reach.
		if f.Alert && !e.sparesAll(f.Orders) {
			e.alert(f, asAsked, f.Reason)
		}
		for _, o := range f.Orders {
			e.enter(f, o)
		}
	}
}

func (e *Engine) sparesAll(orders []ban.Order) bool {
	return !slices.ContainsFunc(orders, func(o ban.Order) bool { return e.spared(e.besideProtected(o)) == nil })
}

// enter hands one order to the ledger, unless its target is protected, and within
// the rule's brake: what would be a new ban is only told once the rule has used up
// those it may cause.
func (e *Engine) enter(f *rule.Firing, o ban.Order) {
	o = e.besideProtected(o)
	if change := e.spared(o); change != nil {
		e.spare(f, change)
		return
	}
	if e.rules.Braked(f.Spec, o.At) {
		if change, _ := e.ledger.Consider(o, e.now); change != nil && change.Kind == ban.Banned {
			e.alert(f, brakeUsed, "brake: the rule has used up its new bans; "+f.Reason)
			return
		}
	}
	change, refusal := e.ledger.Enter(o, e.now)
	if refusal != nil {
		e.decide(refused(refusal))
		return
	}
	if change.Kind == ban.Banned {
		e.rules.Charge(f.Spec, o.At)
	}
	v := banned(change)
	v.WouldBlock = e.options.DryRun || !e.cfg.Security.AutoBlock
	e.decide(v)
}

// alert tells of a firing that bans nobody, unless it is to be held off.
func (e *Engine) alert(f *rule.Firing, why occasion, reason string) {
	since, ok := e.rules.Due(f.Spec, string(why)+" "+f.Key, holdOff(f.Spec, why), f.Event.Time)
	if !ok {
		return
	}
	v := alerted(f, andMore(reason, since))
	if why == noAddress && !f.Alert {
		v.Kind = Refused
	}
	e.decide(v)
	e.ledger.Pass(ban.Change{Kind: ban.Alerted, At: v.Time, Ban: ban.Ban{
		Target: v.Target, Rule: v.Rule, Source: v.Source, Author: ban.ByRule, Reason: v.Reason, Key: f.Key,
		Start: v.Time, Actions: v.Actions, Evidence: v.Evidence,
	}})
}

// holdOff is how long a rule does not tell of the same key again.
func holdOff(spec *rule.Spec, why occasion) time.Duration {
	every := spec.Threshold.HoldOff()
	if spec.Alert != nil {
		every = spec.Alert.Every
	}
	if why == brakeUsed {
		// Whom a braked rule does not ban goes on, and a rule without a threshold
		// would tell of each of his attempts.
		every = max(every, spec.Brake.Within)
	}
	return every
}

// spare tells that somebody is not banned because he is protected, once in the
// time that the ban would have taken.
func (e *Engine) spare(f *rule.Firing, change *ban.Change) {
	b := &change.Ban
	since, ok := e.rules.Due(f.Spec, string(ofSparing)+" "+b.Target.String(), time.Duration(b.Term), change.At)
	if !ok {
		return
	}
	change.Kind = ban.Spared
	change.Reason = andMore(e.whyProtected(b), since)
	b.Actions = toldOfSparing(f.Spec)
	e.decide(spared(change))
	e.ledger.Pass(*change)
}

// toldOfSparing is the actions that a rule has for bans and for alerts; nil: all.
func toldOfSparing(spec *rule.Spec) []string {
	if spec.Alert == nil || spec.Ban.Actions == nil {
		return spec.Ban.Actions
	}
	if spec.Alert.Actions == nil {
		return nil
	}
	all := slices.Concat(spec.Ban.Actions, spec.Alert.Actions)
	slices.Sort(all)
	return slices.Compact(all)
}

// andMore adds to a reason how often nobody was told since the last time.
func andMore(reason string, since int) string {
	if since == 0 {
		return reason
	}
	return fmt.Sprintf("%s, and %d more since the last one that was told", reason, since)
}
