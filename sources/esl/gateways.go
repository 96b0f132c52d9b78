package esl

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
)

const (
	forgetAfter  = time.Hour // an address that the DNS no longer returns; it may return them in turn
	maxGateways  = 1000      // a switch has a few
	maxAddresses = 64        // of one gateway
)

// gateways holds the addresses of the switch's gateways. It belongs to one goroutine.
//
// The switch lists the proxy and the realm of a gateway, and no register-proxy or
// outbound-proxy. Where it registers there, sofia::gateway_state has the address.
type gateways struct {
	source   string
	want     map[string]bool // nil: all
	resolver resolver
	known    map[string]addresses // by the gateway's name
}

// addresses of a gateway, with the time when each was last seen.
type addresses map[netip.Addr]time.Time

// update looks up the listed gateways and returns events for all their addresses, and
// for those that are gone. A gateway whose look-up fails keeps its addresses; the error
// is that of the first one.
func (g *gateways) update(ctx context.Context, listed []esl.Gateway) (events []*event.Event, failed error) {
	listed = listed[:min(len(listed), maxGateways)]
	found, errs := lookUpAll(ctx, g.resolver, listed)
	now := time.Now()
	add := func(event, gateway string, addr netip.Addr) {
		if isWanted(g.want, event) {
			events = append(events, g.event(event, gateway, addr, now))
		}
	}
	left := maps.Clone(g.known)
	for i := range listed {
		name := event.Bound(listed[i].Name, event.MaxField)
		delete(left, name)
		if errs[i] != nil && failed == nil {
			failed = fmt.Errorf("look up gateway %q: %w", name, errs[i])
		}
		for _, addr := range g.reconcile(name, found[i], errs[i] == nil, now) {
			add(event.GatewayRemoved, name, addr)
		}
		for _, addr := range slices.SortedFunc(maps.Keys(g.known[name]), netip.Addr.Compare) {
			add(event.Gateway, name, addr)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		delete(g.known, name)
		add(event.GatewayRemoved, name, netip.Addr{})
	}
	return events, failed
}

// reconcile stores the addresses that were found for a gateway, and returns those that
// are gone. After an incomplete look-up none is gone.
func (g *gateways) reconcile(name string, found []netip.Addr, complete bool, now time.Time) (gone []netip.Addr) {
	known := g.known[name]
	if known == nil {
		known = addresses{}
		g.known[name] = known
	}
	for _, addr := range found {
		if _, ok := known[addr]; ok || len(known) < maxAddresses {
			known[addr] = now
		}
	}
	for addr, seen := range known {
		switch {
		case !complete:
			known[addr] = now
		case now.Sub(seen) > forgetAfter:
			delete(known, addr)
			gone = append(gone, addr)
		}
	}
	slices.SortFunc(gone, netip.Addr.Compare)
	return gone
}

func (g *gateways) event(name, gateway string, addr netip.Addr, now time.Time) *event.Event {
	e := &event.Event{
		Name: name, Source: g.source, Time: now, IP: addr,
		Fields: map[string]string{"gateway": gateway},
	}
	e.Text = evidence("sofia xmlstatus gateway", e)
	return e
}
