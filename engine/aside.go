package engine

import (
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
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
	protocols := []ban.Protocol{ban.UDP, ban.TCP}
	switch ev.Transport {
	case "":
	case "udp":
		protocols = protocols[:1]
	default:
		protocols = protocols[1:]
	}
	return e.ledger.Bars(ev.Peer(), protocols, ev.Time.Add(-underWay), e.wouldEnforce)
}

// wouldEnforce reports whether an action would drop the packets of a ban's target, and does not.
func (e *Engine) wouldEnforce(b *ban.Ban) bool {
	return (e.dry || b.Author == ban.ByRule) && slices.ContainsFunc(e.cfg.Actions, func(a config.Action) bool {
		_, level := a.Action.(plugin.Level)
		return level && a.Blocks && wants(a, true)(b)
	})
}
