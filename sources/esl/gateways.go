package esl

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"freeswitch-security/engine/event"
)

const (
	lookupTimeout = 5 * time.Second // of all questions about one gateway
	lookups       = 8               // gateways that are looked up at the same time
	forgetAfter   = time.Hour       // an address that the DNS does not name any more; it may name them in turn

	maxGateways  = 1000 // a switch has a few
	maxAddresses = 64   // of one gateway
)

// A resolver asks the DNS, as [net.Resolver] does.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// gateways knows which addresses the switch's gateways have, and tells what
// changes in them. It belongs to one goroutine.
//
// The switch's list names of a gateway its proxy and its realm; a register-proxy
// or outbound-proxy is in none of its answers. Where it registers there, the
// address is in sofia::gateway_state, which the decoder reads.
type gateways struct {
	source   string
	want     map[string]bool // nil: all
	resolver resolver
	known    map[string]addresses // by the gateway's name
}

// addresses says when each was last seen to be the gateway's.
type addresses map[netip.Addr]time.Time

// A gatewayEntry is one of the switch's list.
type gatewayEntry struct {
	Name  string `xml:"name"`
	Realm string `xml:"realm"`
	Proxy string `xml:"proxy"` // "sip:sbc.example:5060;transport=tcp"
}

// list reads the answer to `sofia xmlstatus gateway`, looks the gateways up and
// tells all their addresses, and those that are theirs no longer. A gateway that
// cannot be looked up keeps the addresses it had; the error names the first one.
func (g *gateways) list(ctx context.Context, answer string) ([]*event.Event, error) {
	entries, err := parseGateways(answer)
	if err != nil {
		return nil, err
	}
	found, errs := g.lookUpAll(ctx, entries)
	now := time.Now()
	var events []*event.Event
	tell := func(name, gateway string, addr netip.Addr) {
		if g.want == nil || g.want[name] {
			events = append(events, g.event(name, gateway, addr, now))
		}
	}
	var failed error
	listed := map[string]bool{}
	for i, entry := range entries {
		listed[entry.Name] = true
		if errs[i] != nil && failed == nil {
			failed = fmt.Errorf("look up gateway %q: %w", entry.Name, errs[i])
		}
		for _, addr := range g.agree(entry.Name, found[i], errs[i] == nil, now) {
			tell(event.GatewayRemoved, entry.Name, addr)
		}
		for _, addr := range slices.SortedFunc(maps.Keys(g.known[entry.Name]), netip.Addr.Compare) {
			tell(event.Gateway, entry.Name, addr)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g.known)) {
		if !listed[name] {
			delete(g.known, name)
			tell(event.GatewayRemoved, name, netip.Addr{})
		}
	}
	return events, failed
}

// agree takes note of the addresses that were found for a gateway, and returns
// those that it does not have any more. Where not all could be asked for, none is
// given up.
func (g *gateways) agree(name string, found []netip.Addr, all bool, now time.Time) (gone []netip.Addr) {
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
		case !all:
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

// parseGateways reads the switch's list. FreeSWITCH escapes few of its texts, and
// says ISO-8859-1 whatever they are.
func parseGateways(answer string) ([]gatewayEntry, error) {
	decoder := xml.NewDecoder(strings.NewReader(strings.ToValidUTF8(answer, "\ufffd")))
	decoder.Strict = false
	decoder.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var listing struct {
		XMLName  xml.Name       `xml:"gateways"`
		Gateways []gatewayEntry `xml:"gateway"`
	}
	if err := decoder.Decode(&listing); err != nil {
		return nil, fmt.Errorf("list gateways: %w", err)
	}
	entries := listing.Gateways[:min(len(listing.Gateways), maxGateways)]
	for i := range entries {
		entries[i].Name = event.Bound(entries[i].Name, event.MaxField)
	}
	return entries, nil
}

// lookUpAll looks up several gateways at once. The results are in the order of
// the entries.
func (g *gateways) lookUpAll(ctx context.Context, entries []gatewayEntry) (found [][]netip.Addr, errs []error) {
	found, errs = make([][]netip.Addr, len(entries)), make([]error, len(entries))
	free := make(chan struct{}, lookups)
	var all sync.WaitGroup
	for i, entry := range entries {
		free <- struct{}{}
		all.Go(func() {
			found[i], errs[i] = g.lookUp(ctx, entry)
			<-free
		})
	}
	all.Wait()
	return found, errs
}

// lookUp gives the addresses of a gateway. A realm that the DNS does not know is
// no fault: many carriers invent one.
func (g *gateways) lookUp(ctx context.Context, entry gatewayEntry) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	proxy, hasPort := hostOf(entry.Proxy)
	found, err := g.addresses(ctx, proxy, hasPort)
	if realm, hasPort := hostOf(entry.Realm); realm != proxy && strings.ContainsAny(realm, ".:") {
		more, _ := g.addresses(ctx, realm, hasPort)
		found = append(found, more...)
	}
	return found, err
}

// addresses asks for the addresses of a host, and where no port is told, as SIP
// has it, for those of the servers that stand for it.
func (g *gateways) addresses(ctx context.Context, host string, hasPort bool) ([]netip.Addr, error) {
	if addr, _, ok := event.ParseAddr(host); ok {
		return []netip.Addr{addr}, nil
	}
	found, err := g.resolver.LookupNetIP(ctx, "ip", host)
	if !hasPort {
		for _, service := range []struct{ name, proto string }{{"sip", "udp"}, {"sip", "tcp"}, {"sips", "tcp"}} {
			_, servers, _ := g.resolver.LookupSRV(ctx, service.name, service.proto, host)
			for _, server := range servers[:min(len(servers), maxAddresses)] {
				more, _ := g.resolver.LookupNetIP(ctx, "ip", server.Target)
				found = append(found, more...)
			}
		}
	}
	for i, addr := range found {
		found[i] = addr.Unmap().WithZone("")
	}
	found = slices.DeleteFunc(found, netip.Addr.IsUnspecified) // what a blocking resolver answers
	if len(found) > 0 {
		return found, nil
	}
	return nil, err
}

// hostOf gives the host of a SIP address as it stands in a gateway's
// configuration: "sbc.example", "sip:user@sbc.example:5060;transport=tcp",
// "[2001:db8::1]:5060".
func hostOf(uri string) (host string, hasPort bool) {
	uri = strings.Trim(strings.TrimSpace(uri), "<>")
	for _, scheme := range []string{"sip:", "sips:"} {
		if len(uri) >= len(scheme) && strings.EqualFold(uri[:len(scheme)], scheme) {
			uri = uri[len(scheme):]
			break
		}
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
