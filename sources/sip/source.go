package sip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/sources/sip/exchange"
)

// Kind makes sources of SIP on the wire.
var Kind = plugin.SourceKind{Name: "sip", New: func(b *settings.Block, env plugin.SourceEnv) plugin.Source { return read(b, env) }}

// source is one `source "sip"` block.
type source struct {
	name    string // the reference: "sip.wire"
	listen  netip.AddrPort
	from    []netip.Prefix // of the senders; empty: all that reach the listener
	key     string         // of HEP; secret; "": none
	local   []netip.Prefix // of the switch; empty: learned
	forward string         // host and port; "": nothing is sent on
	queue   int            // events that may wait for the engine
}

// Defaults and bounds. HEP agents send to port 9060.
const (
	defaultQueue = 20_000 // events
	minQueue     = 100
	maxQueue     = 1_000_000
)

var defaultListen = netip.MustParseAddrPort("127.0.0.1:9060")

// read reads a source block.
func read(b *settings.Block, env plugin.SourceEnv) *source {
	s := &source{name: env.Name, listen: defaultListen, queue: defaultQueue}
	if t, ok := b.Text("listen"); ok {
		settings.Parse(b, t, &s.listen, parseListen, "Invalid address", "an address and a port of this host")
	}
	readNetworks(b, "from", &s.from)
	if !s.listen.Addr().IsLoopback() && !b.Has("from") {
		b.Error("listen", "Open listener", "Other hosts reach this address, and a forged message leads to a ban. "+
			`Name the senders: from = ["192.0.2.10"]. Or listen on 127.0.0.1.`)
	}
	if b.String("key", &s.key) && s.key == "" {
		b.Error("key", "Empty key", "The agents send a key of at least one byte. Leave the attribute out if they send none.")
	}
	readNetworks(b, "switch", &s.local)
	if t, ok := b.Text("forward"); ok {
		settings.Parse(b, t, &s.forward, s.parseForward, "Invalid address", "the address of another HEP listener")
	}
	b.Int("queue", &s.queue, minQueue, maxQueue)
	return s
}

// parseListen reads the address of a listener.
func parseListen(given string) (netip.AddrPort, error) {
	at, err := netip.ParseAddrPort(given)
	if err != nil || at.Port() == 0 || at.Addr().Zone() != "" {
		return at, fmt.Errorf("%q is not an address of this host with a port: write \"127.0.0.1:9060\" or \"[2001:db8::1]:9060\", or \"[::]:9060\" for all addresses", given)
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// parseForward reads where packets are sent on to.
func (s *source) parseForward(given string) (string, error) {
	host, port, err := net.SplitHostPort(given)
	number, errPort := strconv.ParseUint(port, 10, 16)
	if err != nil || errPort != nil || number == 0 || host == "" || strings.ContainsAny(host, " \t\r\n/@\"'") {
		return "", fmt.Errorf("%q is not the address of a HEP listener: write \"host:port\" or \"[2001:db8::1]:9060\"", given)
	}
	if at, err := netip.ParseAddrPort(given); err == nil && at.Port() == s.listen.Port() {
		to, own := at.Addr().Unmap(), s.listen.Addr()
		if to == own || to.IsUnspecified() || own.IsUnspecified() && to.IsLoopback() {
			return "", errors.New("the source listens there: its packets would return to it")
		}
	}
	return given, nil
}

// readNetworks reads a list of networks.
func readNetworks(b *settings.Block, name string, target *[]netip.Prefix) {
	texts, _ := b.Texts(name)
	for _, t := range texts {
		var p netip.Prefix
		if settings.Parse(b, t, &p, ban.ParseNetwork, "Invalid network", "an address or a network") {
			*target = append(*target, p)
		}
	}
	if b.Has(name) && len(texts) == 0 {
		b.Error(name, "No network", "Name at least one address or network, or leave the attribute out.")
	}
}

// Listen returns where packets are received, for the doctor.
func (s *source) Listen() netip.AddrPort { return s.listen }

// Describe lists the events of package exchange.
func (s *source) Describe() plugin.Description {
	return plugin.Description{Events: vocabulary, Hears: true, Proves: true, Explain: s.explain, Merge: s.merge}
}

// newTable makes a table that matches the messages of this source. local may be nil.
func (s *source) newTable(want map[string]bool, local func(netip.Addr) bool) *exchange.Table {
	return exchange.New(exchange.Options{Source: s.name, Want: want, Switch: s.local, Local: local})
}
