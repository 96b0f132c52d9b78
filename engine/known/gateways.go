package known

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// maxGateways bounds the addresses of gateways. What comes beyond it is not
// trusted: a switch has a few, and a name of the DNS that lists thousands of
// addresses is not to be believed.
const maxGateways = 10_000

// GatewayEvents are the names of the events that Gateways learns from.
var GatewayEvents = []string{event.Gateway, event.GatewayRemoved}

// Gateways is the addresses that the switch itself calls through. It belongs to
// one goroutine.
type Gateways struct {
	at      map[gateway]struct{}
	limit   int // maxGateways, but in tests
	refused uint64
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

// Learn takes in an event, ignores those that are not of GatewayEvents, and
// reports whether what is trusted has changed. A source lists its gateways again
// and again, which changes nothing.
func (g *Gateways) Learn(ev *event.Event) (changed bool) {
	before := len(g.at)
	one := gateway{addr: ev.IP, source: ev.Source, name: event.Bound(ev.Fields["gateway"], event.MaxField)}
	switch _, known := g.at[one]; {
	case ev.Name == event.Gateway && ev.IP.IsValid() && !known:
		if before >= g.limit {
			g.refused++
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

// Retain forgets what was told by sources for which keep is false.
func (g *Gateways) Retain(keep func(source string) bool) {
	maps.DeleteFunc(g.at, func(at gateway, _ struct{}) bool { return !keep(at.source) })
}

// Trusted lists the gateways as whom the ledger may not ban, in the order of their
// addresses.
func (g *Gateways) Trusted() []ban.Trusted {
	sorted := slices.SortedFunc(maps.Keys(g.at), func(a, b gateway) int {
		return cmp.Or(a.addr.Compare(b.addr), cmp.Compare(a.source, b.source), cmp.Compare(a.name, b.name))
	})
	trusted := make([]ban.Trusted, len(sorted))
	for i, one := range sorted {
		trusted[i] = ban.Trusted{Network: single(one.addr), Name: fmt.Sprintf("gateway %s of %s", printable(one.name), one.source)}
	}
	return trusted
}

// Refused counts the addresses that were one too many.
func (g *Gateways) Refused() uint64 { return g.refused }
