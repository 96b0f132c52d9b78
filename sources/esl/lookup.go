package esl

import (
	"context"
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
