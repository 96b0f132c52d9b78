package esl

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
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

// errLookUp says that the DNS does not know a gateway, as that of FreeSWITCH's own configuration.
var errLookUp = errors.New("look up gateway")

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
			events = append(events, g.event(event, gateway, addr))
		}
	}
	left := maps.Clone(g.known)
	for i := range listed {
		name := bound(listed[i].Name)
		delete(left, name)
		if errs[i] != nil && failed == nil {
			why := "the DNS does not answer" // the error itself has a new port each time
			if dns, ok := errors.AsType[*net.DNSError](errs[i]); ok && dns.IsNotFound {
				why = "no such host"
			}
			failed = fmt.Errorf("%w %q: %s; its addresses are trusted once they are known, and a gateway that is not used can be deleted from its SIP profile", errLookUp, name, why)
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

func (g *gateways) event(name, gateway string, addr netip.Addr) *event.Event {
	e := &event.Event{
		Name: name, Source: g.source, IP: addr,
		Fields: map[string]string{"gateway": gateway},
	}
	e.Text = evidence("sofia xmlstatus gateway", e, nil)
	return e
}

const (
	lookupTimeout = 5 * time.Second // for one gateway
	lookups       = 8               // at the same time
)

// A resolver asks the DNS, as [net.Resolver] does.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// lookUpAll looks up several gateways at once. The results are in the order of the list.
func lookUpAll(ctx context.Context, r resolver, listed []esl.Gateway) (found [][]netip.Addr, errs []error) {
	found, errs = make([][]netip.Addr, len(listed)), make([]error, len(listed))
	free := make(chan struct{}, lookups)
	var all sync.WaitGroup
	for i := range listed {
		free <- struct{}{}
		all.Go(func() {
			found[i], errs[i] = lookUp(ctx, r, &listed[i])
			<-free
		})
	}
	all.Wait()
	return found, errs
}

// lookUp returns the addresses of a gateway. A realm that the DNS does not know is no
// error: many carriers invent one.
func lookUp(ctx context.Context, r resolver, g *esl.Gateway) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	proxy, hasPort := hostOf(g.Proxy)
	found, err := lookUpHost(ctx, r, proxy, hasPort)
	if realm, hasPort := hostOf(g.Realm); realm != proxy && strings.ContainsAny(realm, ".:") {
		more, _ := lookUpHost(ctx, r, realm, hasPort)
		found = append(found, more...)
	}
	return found, err
}

// lookUpHost looks up a host and, without a port, the servers of its SRV records, as SIP
// does.
func lookUpHost(ctx context.Context, r resolver, host string, hasPort bool) ([]netip.Addr, error) {
	if addr, _, ok := event.ParseAddr(host); ok {
		return []netip.Addr{addr}, nil
	}
	found, err := r.LookupNetIP(ctx, "ip", host)
	if !hasPort {
		for _, service := range []struct{ name, proto string }{{"sip", "udp"}, {"sip", "tcp"}, {"sips", "tcp"}} {
			_, servers, _ := r.LookupSRV(ctx, service.name, service.proto, host)
			for _, server := range servers[:min(len(servers), maxAddresses)] {
				more, _ := r.LookupNetIP(ctx, "ip", server.Target)
				found = append(found, more...)
			}
		}
	}
	for i, addr := range found {
		found[i] = addr.Unmap().WithZone("")
	}
	found = slices.DeleteFunc(found, netip.Addr.IsUnspecified) // the answer of a blocking resolver
	if len(found) > 0 {
		return found, nil
	}
	return nil, err
}

// hostOf returns the host of a SIP address in a gateway's configuration: "sbc.example",
// "sip:user@sbc.example:5060;transport=tcp", "[2001:db8::1]:5060".
func hostOf(uri string) (host string, hasPort bool) {
	uri = strings.Trim(strings.TrimSpace(uri), "<>")
	if scheme, rest, ok := strings.Cut(uri, ":"); ok && (strings.EqualFold(scheme, "sip") || strings.EqualFold(scheme, "sips")) {
		uri = rest
	}
	if end := strings.IndexAny(uri, ";?"); end >= 0 {
		uri = uri[:end]
	}
	uri = uri[strings.LastIndexByte(uri, '@')+1:]
	if addr, port, ok := event.ParseAddr(uri); ok {
		return addr.String(), port != 0
	}
	if name, _, err := net.SplitHostPort(uri); err == nil {
		return name, true
	}
	return uri, false
}
