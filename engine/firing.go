package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

// An occasion is why a firing leads to an alert or a sparing. Each has a hold-off of its
// own: that the brake stopped a rule is news also if the rule alerts.
type occasion string

const (
	onRequest occasion = "alert"      // the rule has an alert
	noAddress occasion = "no address" // the event has none
	noAccount occasion = "no account" // the switch has verified none
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
	case !f.Spec.Bans():
		e.alert(f, onRequest, f.Reason)
	case f.NoAccount == "" && len(f.Orders) == 0:
		e.alert(f, noAddress, "the event has no address that could be banned; "+f.Reason)
	default:
		if f.NoAccount != "" {
			e.alert(f, noAccount, f.NoAccount+"; "+f.Reason)
		} else if f.Alert && !e.sparesAll(f.Orders) { // a sparing says more than the alert, and reaches the actions of both
			e.alert(f, onRequest, f.Reason)
		}
		for _, o := range f.Orders {
			banned = e.enter(f, o) || banned
		}
	}
	f.Keep = !banned && f.Alert && e.acts(f.Spec.Alert.Actions, false) || banned && f.Spec.BansOthers()
}

func (e *Engine) sparesAll(orders []ban.Order) bool {
	return !slices.ContainsFunc(orders, func(o ban.Order) bool {
		_, c := e.allowed(o)
		return c == nil
	})
}

// enter passes an order to the ledger, unless its target is protected or the brake of the rule
// withholds the ban. It reports whether the target is banned.
func (e *Engine) enter(f *rule.Firing, o ban.Order) (banned bool) {
	orders, c := e.allowed(o)
	if c != nil {
		e.spare(f, c)
		for _, one := range orders {
			e.withhold(f, one)
		}
		return false
	}
	if e.brakes(f, &o, orders) {
		return false
	}
	charged := false
	for _, one := range orders {
		one.Reason, one.Terms = o.Reason, o.Terms
		one.DryRun = e.options.DryRun || !e.cfg.Security.AutoBlock
		c := e.ledger.Enter(one, e.now)
		if limited(c, &one) && !charged {
			e.rules.Charge(f.Spec, one.At)
			charged = true
		}
		e.decide(c)
		banned = banned || c.Banned()
	}
	return banned
}

// allowed returns the orders that an order becomes, so that they ban no protected host. A sparing
// is what it leads to instead: of the orders, or of a network if there are none. What one
// host did concerns its neighbours only as far as they are not protected; see [Engine.parts] for what several did.
// The orders are valid until the next call.
func (e *Engine) allowed(o ban.Order) ([]ban.Order, *ban.Change) {
	failed := e.failedHosts(o)
	if failed < 2 {
		e.alone[0] = e.besideProtected(o)
		return e.alone[:], e.spared(e.alone[0])
	}
	c := e.ledger.Consider(o, e.now)
	if !c.InForce() || c.Target != o.Target { // refused, or narrowed for a trusted address
		return []ban.Order{o}, e.spared(o)
	}
	parts, why := e.parts(o, failed)
	if why != "" {
		return nil, sparing(c, why)
	}
	var orders []ban.Order
	for _, part := range parts {
		one := o
		if one.Target = ban.Network(part); !part.Contains(o.Address) {
			one.Address = netip.Addr{}
		}
		orders = append(orders, one)
	}
	return orders, nil
}

// limited reports whether a brake limits a ban: that of a new target whose packets may be forged.
// One that a rule has banned before is no new one.
func limited(c *ban.Change, o *ban.Order) bool {
	return c.Kind == ban.KindBan && c.Offence == 1 && !o.Proven
}

// brakes reports whether the used-up brake of a rule withholds a ban, and alerts once at each
// of its steps. A target that goes on is banned later, and begins with the second term: otherwise
// it would gain by the brake.
func (e *Engine) brakes(f *rule.Firing, o *ban.Order, orders []ban.Order) bool {
	if !e.rules.Braked(f.Spec, o.At) || !slices.ContainsFunc(orders, func(one ban.Order) bool {
		c := e.ledger.Consider(one, e.now)
		return limited(&c, &one)
	}) {
		return false
	}
	b := e.rules.Brake(f.Spec, o.Target, o.At)
	if b.Risen {
		e.alert(f, onBrake, fmt.Sprintf("brake used up: %d new bans in %s; new targets have to reach the threshold %d times; %s",
			f.Spec.Brake.Bans, ban.FormatDuration(f.Spec.Brake.Within), b.Factor, f.Reason))
	}
	if b.Factor > 1 && !b.Withheld {
		o.Reason += fmt.Sprintf("; reached %d times, as the brake is used up", b.Factor)
		o.Terms = o.Terms[min(1, len(o.Terms)-1):]
	}
	return b.Withheld
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
		every = 0 // the brake tells each step once
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
	held, ok := e.rules.Due(spec, subjectOf(why, subject), every, c.At)
	if c.Held = !ok; c.Held && !e.acts(c.Actions, why == onSparing) {
		return
	}
	if held > 0 {
		*text = fmt.Sprintf("%s, and %d more since the last one that was told", *text, held)
	}
	e.ledger.Add(*c)
	e.decide(c)
}

// subjectOf returns what an announcement is held off by.
func subjectOf(why occasion, subject string) string { return string(why) + " " + event.Fold(subject) }

// acts reports whether one of the actions acts on what an alert or a sparing is about: it blocks
// and holds no state. unnamed says what nil means: all actions, or none, as an alert has to name it.
func (e *Engine) acts(actions []string, unnamed bool) bool {
	return slices.ContainsFunc(e.cfg.Actions, func(a config.Action) bool {
		return a.Blocks && !holdsBans(a) && (slices.Contains(actions, a.Ref) || actions == nil && unnamed)
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
