package registrations

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// listed is a registration as a list of this node has it.
func listed(i int) *event.Event {
	return &event.Event{
		Name: event.Registered, Time: noon, Source: "esl.pbx", IP: netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), Repeat: true,
		User: fmt.Sprint("phone", i), Domain: "pbx.example", Profile: "internal", CallID: fmt.Sprint(i),
		Fields: map[string]string{"expires": "3600"},
	}
}

// ofPeer is a registration at another node, which ends later.
func ofPeer(i int) *event.Event {
	ev := listed(i)
	ev.Node, ev.IP = fmt.Sprint("sbc", i%20), netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
	ev.Fields = map[string]string{"expires": "7200", "authenticated": "true"}
	return ev
}

// TestPeersEvictNoRegistration fills the table from both sides.
func TestPeersEvictNoRegistration(t *testing.T) {
	table := NewTable()
	table.limit = 100
	const own = 70
	for i := range own {
		table.Learn(listed(i), noon)
	}
	for i := range 200 {
		table.Learn(ofPeer(i), noon)
	}
	if got := len(table.Own(noon)); got != own {
		t.Errorf("%d registrations of this node are left of %d", got, own)
	}
	if table.foreign != 30 {
		t.Errorf("%d registrations of peers", table.foreign)
	}
}

// TestPeersUnauthenticated has peers register at more profiles without a password than are told apart. What
// this node lists is protected as before.
func TestPeersUnauthenticated(t *testing.T) {
	table := NewTable()
	table.Learn(listed(1), noon)
	for i := range maxUnauthenticated + 1 {
		ev := ofPeer(i)
		ev.Profile, ev.Fields = fmt.Sprint("profile", i), map[string]string{"authenticated": "false"}
		table.Learn(ev, noon)
	}
	table.Learn(listed(2), noon)
	if got := len(table.Own(noon)); got != 2 {
		t.Errorf("%d of 2 listed registrations are known", got)
	}
}

// TestPeersLeaveGateways has many nodes report as many gateways as they may.
func TestPeersLeaveGateways(t *testing.T) {
	gateways := NewGateways()
	gateways.limit = 100
	report := func(node string, i int) bool {
		return gateways.Learn(&event.Event{
			Name: event.Gateway, Node: node, Source: "esl.pbx", IP: netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), Fields: map[string]string{"gateway": "carrier"},
		})
	}
	for i := range 200 {
		report(fmt.Sprint("sbc", i%20), i)
	}
	if got := len(gateways.Trusted()); got != 50 {
		t.Errorf("%d gateways of peers are trusted", got)
	}
	if !report("", 1000) {
		t.Error("there is no room for a gateway of this node")
	}
}
