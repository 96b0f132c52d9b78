package registrations

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// gatewayEvent is an event about an address of a gateway; ip "" means no address.
func gatewayEvent(name, source, gateway, ip string) *event.Event {
	ev := &event.Event{Name: name, Source: source, Fields: map[string]string{"gateway": gateway}}
	if ip != "" {
		ev.IP = netip.MustParseAddr(ip)
	}
	return ev
}

func TestGateways(t *testing.T) {
	g := NewGateways()
	for _, step := range []struct {
		ev      *event.Event
		changed bool
		trusted string
	}{
		{gatewayEvent(event.Gateway, "esl.pbx", "carrier", "203.0.113.9"), true, "203.0.113.9"},
		{gatewayEvent(event.Gateway, "esl.pbx", "carrier", "203.0.113.9"), false, "203.0.113.9"},
		{gatewayEvent(event.Gateway, "esl.pbx", "carrier", "2001:db8::9"), true, "203.0.113.9 2001:db8::9"},
		{gatewayEvent(event.Gateway, "esl.pbx", "carrier", ""), false, "203.0.113.9 2001:db8::9"},
		{gatewayEvent(event.Gateway, "esl.other", "carrier", "203.0.113.8"), true, "203.0.113.8 203.0.113.9 2001:db8::9"},
		{gatewayEvent(event.GatewayRemoved, "esl.pbx", "another", ""), false, "203.0.113.8 203.0.113.9 2001:db8::9"},
		{gatewayEvent(event.GatewayRemoved, "esl.pbx", "carrier", "203.0.113.9"), true, "203.0.113.8 2001:db8::9"},
		{gatewayEvent(event.GatewayRemoved, "esl.pbx", "carrier", ""), true, "203.0.113.8"},
		{gatewayEvent(event.Registered, "esl.pbx", "carrier", "203.0.113.7"), false, "203.0.113.8"},
	} {
		if changed := g.Learn(step.ev); changed != step.changed {
			t.Errorf("%s of %s at %s: changed is %t", step.ev.Name, step.ev.Fields["gateway"], step.ev.IP, changed)
		}
		var trusted []string
		for _, one := range g.Trusted() {
			trusted = append(trusted, one.Target.String())
		}
		if got := strings.Join(trusted, " "); got != step.trusted {
			t.Errorf("after %s at %s: trusted %q, want %q", step.ev.Name, step.ev.IP, got, step.trusted)
		}
	}
}

func TestGatewayIsTrustedByName(t *testing.T) {
	g := NewGateways()
	g.Learn(gatewayEvent(event.Gateway, "esl.pbx", "car\x1brier", "203.0.113.9"))
	want := ban.Trusted{Target: ban.Network(netip.MustParsePrefix("203.0.113.9/32")), Name: `gateway car\x1brier of esl.pbx`}
	if got := g.Trusted(); len(got) != 1 || got[0] != want {
		t.Errorf("trusted %+v, want %+v", got, want)
	}
}

func TestGatewaysOfARemovedSource(t *testing.T) {
	g := NewGateways()
	g.Learn(gatewayEvent(event.Gateway, "esl.pbx", "carrier", "203.0.113.9"))
	g.Learn(gatewayEvent(event.Gateway, "esl.other", "carrier", "203.0.113.8"))
	g.Retain(func(source string) bool { return source == "esl.other" })
	if got := g.Trusted(); len(got) != 1 || got[0].Name != "gateway carrier of esl.other" {
		t.Errorf("trusted %+v", got)
	}
}

func TestGatewaysAreBounded(t *testing.T) {
	g := NewGateways()
	g.limit = 3
	for i := range 5 {
		g.Learn(gatewayEvent(event.Gateway, "esl.pbx", "carrier", fmt.Sprint("203.0.113.", i)))
	}
	if len(g.Trusted()) != 3 || g.Ignored() != 2 {
		t.Errorf("%d are trusted and %d ignored", len(g.Trusted()), g.Ignored())
	}
}
