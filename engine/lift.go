package engine

import (
	"net/netip"
	"slices"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// lift ends the bans that rules made of a registered phone's address while its registration
// could not be known: its source was not connected to the switch, and lists it now. It ends
// those that would have been spared. A ban stands if its offence began while the source was
// connected, if it is of an operator or a feed, or if it has no evidence, or not all of it any more.
func (e *Engine) lift(ev *event.Event) {
	source := e.live.sources.progress[ev.Source]
	if ev.Name != event.Registered || !ev.Repeat || e.known.registrations == nil || source == nil {
		return
	}
	unheard := e.byClock(source.Status().Disconnected)
	for {
		b, banned := e.ledger.Covering(ban.Address(ev.IP))
		if !banned || b.Author != ban.ByRule {
			return
		}
		b.Evidence = e.ledger.Evidence(&b)
		lost := slices.ContainsFunc(b.Evidence, func(e ban.Evidence) bool { return e.Lost })
		if lost || len(b.Evidence) == 0 || b.Evidence[0].Time.Before(unheard) || !e.liftable(b.Target.Prefix(), b.Evidence) {
			return
		}
		why := "protected: " + e.whyRegistered(b.Target.Prefix(), b.Evidence) + "; banned while source." + ev.Source + " did not hear the switch"
		e.decide(e.ledger.Lift(b.Target, why, e.now))
	}
}

// liftable reports whether a network with a registered phone would have been spared.
func (e *Engine) liftable(network netip.Prefix, evidence []ban.Evidence) bool {
	return e.known.registrations.Holds(network, e.now) && e.fewUnknown(network, len(failedAccounts(network, evidence))) &&
		e.beyond(e.known.nat64.Host(network.Addr())) == ""
}
