package registrations

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// maxGateways bounds the addresses of gateways. Further ones are not trusted: a switch
// has a few, and a DNS name with thousands of addresses is not credible.
const maxGateways = 10_000

// maxOfNode bounds those of one other node of a fleet. All other nodes have half of maxGateways.
const maxOfNode = 1000

// GatewayEvents are the names of the events that Gateways learn from.
var GatewayEvents = []string{event.Gateway, event.GatewayRemoved}

// Gateways holds the addresses that the switch itself calls through. It is not safe
// for concurrent use.
type Gateways struct {
	at      map[gateway]struct{}
	limit   int // maxGateways, except in tests
	ignored uint64
}

// A gateway is one address of a gateway of a switch.
type gateway struct {
	addr         netip.Addr
	source, name string
}

// NewGateways returns an empty set.
func NewGateways() *Gateways {
	return &Gateways{at: map[gateway]struct{}{}, limit: maxGateways}
}

// Learn takes an event, ignores those that are not of GatewayEvents, and reports
// whether the trusted addresses have changed. A source reports each gateway repeatedly.
func (g *Gateways) Learn(ev *event.Event) (changed bool) {
	if !slices.Contains(GatewayEvents, ev.Name) {
		return false
	}
	before := len(g.at)
	one := gateway{addr: ev.IP, source: ev.From(), name: event.Bound(ev.Fields["gateway"], event.MaxField)}
	switch _, known := g.at[one]; {
	case ev.Name == event.Gateway && ev.IP.IsValid() && !known:
		if before >= g.limit || ev.Node != "" && g.full(ev.Node) {
			g.ignored++
			return false
		}
		g.at[one] = struct{}{}
	case ev.Name == event.GatewayRemoved && known:
		delete(g.at, one)
	case ev.Name == event.GatewayRemoved && !ev.IP.IsValid():
		maps.DeleteFunc(g.at, func(at gateway, _ struct{}) bool { return at.source == one.source && at.name == one.name })
	}
	return len(g.at) != before
}

// Retain drops what came from sources for which keep is false.
func (g *Gateways) Retain(keep func(source string) bool) {
	maps.DeleteFunc(g.at, func(at gateway, _ struct{}) bool { return !keep(at.source) })
}

// Trusted lists the gateways as trusted networks, in the order of their addresses.
func (g *Gateways) Trusted() []ban.Trusted {
	sorted := slices.SortedFunc(maps.Keys(g.at), func(a, b gateway) int {
		return cmp.Or(a.addr.Compare(b.addr), cmp.Compare(a.source, b.source), cmp.Compare(a.name, b.name))
	})
	trusted := make([]ban.Trusted, len(sorted))
	for i, one := range sorted {
		trusted[i] = ban.Trusted{Target: ban.Network(single(one.addr)), Name: fmt.Sprintf("gateway %s of %s", event.Printable(one.name), one.source)}
	}
	return trusted
}

// Ignored counts the addresses beyond the limit.
func (g *Gateways) Ignored() uint64 { return g.ignored }
