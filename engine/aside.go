package engine

import (
	"maps"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
)

// underWay is the time after the beginning of a ban in which events of its target still arrive: of
// packets that the switch had read before, and of those that came before the ban was in the kernel.
const underWay = 100 * time.Millisecond

// setsAside reports whether the packet that caused an event would have been dropped, if the bans
// were enforced: then the switch would not have reported it. So a replay and a dry run count as a
// guard that bans. The backlog of a source was written while no guard was running.
func (e *Engine) setsAside(ev *event.Event) bool {
	live := e.live.ctx != nil
	if !e.dry && (!live || e.cfg.Security.AutoBlock) || live && !ev.Live {
		return false
	}
	return e.ledger.Bars(ev.Peer(), protocolsOf(ev), ev.Time.Add(-underWay), e.wouldEnforce)
}

// protocolsOf returns the protocols that an event may have come over: both if it names no transport.
func protocolsOf(ev *event.Event) []ban.Protocol {
	switch {
	case ev.Transport == "":
		return protocols[:]
	case strings.EqualFold(ev.Transport, "udp"):
		return protocols[:1]
	}
	return protocols[1:]
}

var protocols = [...]ban.Protocol{ban.UDP, ban.TCP}

// wouldEnforce reports whether an action would drop the packets of a ban's target, and does not.
func (e *Engine) wouldEnforce(b *ban.Ban) bool {
	return (e.dry || b.OfRule()) && slices.ContainsFunc(e.cfg.Actions, func(a config.Action) bool {
		return holdsBans(a) && wants(a, true)(b)
	})
}

// attributed returns a failure as one of its sender if the address to which the nonce was sent is
// banned. Otherwise an attacker with another address would go on as long as the nonce lives, and only
// the banned one would count.
func (e *Engine) attributed(ev *event.Event) *event.Event {
	sender := ev.Peer().Addr()
	if !isFailure(ev) || sender == ev.IP || !sender.IsValid() {
		return ev
	}
	if _, banned := e.ledger.Covering(ban.Address(ev.IP)); !banned {
		return ev
	}
	own := *ev
	own.IP, own.Proven, own.Fields = sender, false, maps.Clone(ev.Fields)
	delete(own.Fields, "sender")
	return &own
}
