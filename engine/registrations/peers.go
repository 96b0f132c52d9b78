package registrations

import (
	"strconv"
	"strings"
	"time"

	"freeswitch-security/engine/event"
)

// foreign reports whether a source is of another node of a fleet: "sbc2/esl.pbx".
func foreign(source string) bool { return strings.Contains(source, "/") }

// Own returns events that tell the other nodes of a fleet what is registered at this one.
func (t *Table) Own(now time.Time) (all []*event.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advance(now)
	for _, r := range t.byEnd {
		if foreign(r.account.source) {
			continue
		}
		left := r.until.Sub(now) - grace
		ev := &event.Event{
			Name: event.Registered, Time: now, Source: r.account.source, IP: r.addr, Port: r.port, User: r.account.user, Domain: r.account.domain,
			Profile: r.profile.name, CallID: r.callID, Repeat: true,
			Fields: map[string]string{"contact": r.contact, "expires": strconv.Itoa(max(0, int(left.Seconds()))), Multiple: "true"},
		}
		if !r.unproven {
			ev.Fields["authenticated"] = "true"
		}
		all = append(all, ev)
	}
	return all
}

// Own returns events that tell the other nodes of a fleet the gateways of this one.
func (g *Gateways) Own(now time.Time) (all []*event.Event) {
	for one := range g.at {
		if !foreign(one.source) {
			all = append(all, &event.Event{Name: event.Gateway, Time: now, Source: one.source, IP: one.addr, Fields: map[string]string{"gateway": one.name}})
		}
	}
	return all
}

// full reports whether another node, or all others together, have as many gateways as they may.
func (g *Gateways) full(node string) bool {
	own, all := 0, 0
	for one := range g.at {
		if foreign(one.source) {
			all++
		}
		if strings.HasPrefix(one.source, node+"/") {
			own++
		}
	}
	return own >= maxOfNode || all >= g.limit/2
}
