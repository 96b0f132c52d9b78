package engine

import (
	"net/netip"
	"testing"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// TestGatewaysAreTrusted connects a switch whose carrier is banned.
func TestGatewaysAreTrusted(t *testing.T) {
	s := tellStory(t, banning(t))
	asked := 0
	s.options.Hosts = func() []ban.Trusted { asked++; return nil }
	s.fails(3, "", "203.0.113.9")
	s.hears(event.Gateway, "carrier", "203.0.113.9")
	s.fails(3, "", "203.0.113.9")
	for range 50 {
		s.hears(event.Gateway, "carrier", "203.0.113.9")
	}
	if asked != 1 {
		t.Errorf("the trust was put together %d times for one gateway", asked)
	}
	s.Reload(s.cfg)
	s.fails(3, "", "203.0.113.9")
	s.hears(event.GatewayRemoved, "carrier", "")
	s.fails(3, "", "203.0.113.9")
	const why = "trusted: gateway carrier of log.x"
	s.want(
		"ban 203.0.113.9: 3 in 1m, per ip 203.0.113.9",
		"unban 203.0.113.9: "+why,
		"refuse 203.0.113.9: "+why,
		"refuse 203.0.113.9: "+why,
		"ban 203.0.113.9: 3 in 1m, per ip 203.0.113.9",
	)
}

// TestGatewaysOfASourceThatIsGone takes the switch out of the configuration.
func TestGatewaysOfASourceThatIsGone(t *testing.T) {
	s := tellStory(t, banning(t))
	s.hears(event.Gateway, "carrier", "203.0.113.9")
	without := *s.cfg
	without.Sources = nil
	s.Reload(&without)
	s.fails(3, "", "203.0.113.9")
	s.want("ban 203.0.113.9: 3 in 1m, per ip 203.0.113.9")
}

// TestManyGatewaysAtOnce lists hundreds of gateways in one burst, and bans none
// of them in it.
func TestManyGatewaysAtOnce(t *testing.T) {
	s := tellStory(t, banning(t))
	asked := 0
	s.options.Hosts = func() []ban.Trusted { asked++; return nil }
	burst := func(name string) {
		for i := range 500 {
			s.observe(&event.Event{Time: morning, Name: name, Source: "log.x", Fields: map[string]string{"gateway": "carrier"},
				IP: netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})}, morning)
		}
	}
	burst(event.Gateway)
	for range 3 {
		s.observe(&event.Event{Time: morning, Name: event.AuthFailure, Source: "log.x", IP: netip.MustParseAddr("198.51.1.1")}, morning)
	}
	burst(event.GatewayRemoved)
	if err := s.settle(); err != nil {
		t.Fatal(err)
	}
	s.want("refuse 198.51.1.1: trusted: gateway carrier of log.x")
	if asked != 2 {
		t.Errorf("the trust was put together %d times", asked)
	}
}
