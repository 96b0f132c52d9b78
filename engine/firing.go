package engine

import (
	"fmt"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
)

// An occasion is why a firing leads to an alert or a sparing. Each has a hold-off of its
// own: that the brake stopped a rule is news also if the rule alerts.
type occasion string

const (
	onRequest occasion = "alert"      // the rule has an alert
	noAddress occasion = "no address" // the event has none
	onBrake   occasion = "brake"      // the rule has used up its new bans
	onSparing occasion = "spared"     // the target is protected
)

// fired does what a rule that fired asks for. Where an alert names actions that act on what it is
// about, such as calls, and nothing is banned, they act on every further match as well.
func (e *Engine) fired(f *rule.Firing) {
	e.retrust()
	for i := range f.Orders {
		f.Orders[i].At = e.begins(f.Event)
	}
	if e.challenges.forged(f) {
		f.Reason += hint
		for i := range f.Orders {
			f.Orders[i].Reason += hint
		}
	}
	banned := false
	switch {
	case f.Spec.Ban == nil:
		e.alert(f, onRequest, f.Reason)
	case len(f.Orders) == 0:
		e.alert(f, noAddress, "the event has no address that could be banned; "+f.Reason)
	default:
		// A sparing says more than the alert, and reaches the actions of both.
		if f.Alert && !e.sparesAll(f.Orders) {
			e.alert(f, onRequest, f.Reason)
		}
		for _, o := range f.Orders {
			banned = e.enter(f, o) || banned
		}
	}
	f.Keep = !banned && f.Alert && e.acts(f.Spec.Alert.Actions, false)
}

func (e *Engine) sparesAll(orders []ban.Order) bool {
	return !slices.ContainsFunc(orders, func(o ban.Order) bool { return e.spared(e.besideProtected(o)) == nil })
}

// enter passes an order to the ledger, unless its target is protected or the brake of
// the rule is used up: then a new ban becomes an alert. It reports whether the target is banned.
func (e *Engine) enter(f *rule.Firing, o ban.Order) bool {
	o = e.besideProtected(o)
	if c := e.spared(o); c != nil {
		e.spare(f, c)
		e.withhold(f, o)
		return false
	}
	if e.rules.Braked(f.Spec, o.At) && e.ledger.Consider(o, e.now).Kind == ban.KindBan {
		e.alert(f, onBrake, "brake: the rule has used up its new bans; "+f.Reason)
		return false
	}
	o.DryRun = e.options.DryRun || !e.cfg.Security.AutoBlock
	c := e.ledger.Enter(o, e.now)
	if c.Kind == ban.KindBan {
		e.rules.Charge(f.Spec, o.At)
	}
	e.decide(&c)
	return c.Banned()
}

// alert adds a firing that bans nothing to the changes.
func (e *Engine) alert(f *rule.Firing, why occasion, reason string) {
	at := e.begins(f.Event)
	c := ban.Change{Kind: ban.KindAlert, At: at, Ban: ban.Ban{
		Target: ban.Address(f.Event.IP), Rule: f.Spec.Name, Source: f.Event.Source, Author: ban.ByRule, Reason: reason,
		Key: f.Key, Start: at.UTC(), Evidence: f.Evidence,
	}}
	every := f.Spec.Threshold.HoldOff()
	if f.Spec.Alert != nil {
		every, c.Actions = f.Spec.Alert.Every, f.Spec.Alert.Actions
	}
	if why == onBrake {
		// An attacker that a braked rule does not ban goes on, and a rule without a
		// threshold would alert at each attempt.
		every = max(every, f.Spec.Brake.Within)
	}
	e.announce(f.Spec, why, f.Key, every, &c, &c.Ban.Reason)
}

// spare adds a withheld ban to the changes, once in the term of the ban.
func (e *Engine) spare(f *rule.Firing, c *ban.Change) {
	c.Actions = actionsOfSparing(f.Spec)
	e.announce(f.Spec, onSparing, c.Target.String(), time.Duration(c.Term), c, &c.Why)
}

// announce adds a change that changes no ban. If the rule announced the same within every, only
// actions that block see it. The next one that is told says how many were held off.
func (e *Engine) announce(spec *rule.Spec, why occasion, subject string, every time.Duration, c *ban.Change, text *string) {
	held, ok := e.rules.Due(spec, string(why)+" "+event.Fold(subject), every, c.At)
	if c.Held = !ok; c.Held && !e.acts(c.Actions, why == onSparing) {
		return
	}
	if held > 0 {
		*text = fmt.Sprintf("%s, and %d more since the last one that was told", *text, held)
	}
	e.ledger.Add(*c)
	e.decide(c)
}

// acts reports whether one of the actions acts on what an alert or a sparing is about: it blocks
// and holds no state. unnamed says what nil means: all actions, or none, as an alert has to name it.
func (e *Engine) acts(actions []string, unnamed bool) bool {
	return slices.ContainsFunc(e.cfg.Actions, func(a config.Action) bool {
		_, level := a.Action.(plugin.Level)
		return a.Blocks && !level && (slices.Contains(actions, a.Ref) || actions == nil && unnamed)
	})
}

// actionsOfSparing returns the actions that a rule names for bans and for alerts; nil: all.
func actionsOfSparing(spec *rule.Spec) []string {
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
