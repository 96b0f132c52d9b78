package engine

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/registrations"
	"freeswitch-security/engine/rule"
)

// TestWithout takes random hosts out of a network: the parts hold every other address once.
func TestWithout(t *testing.T) {
	network := netip.MustParsePrefix("203.0.113.0/24")
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		out := map[netip.Addr]bool{}
		var hosts []netip.Prefix
		for range rng.IntN(200) {
			host := netip.AddrFrom4([4]byte{203, 0, 113, byte(rng.IntN(256))})
			out[host] = true
			hosts = append(hosts, single(host))
		}
		parts := without(network, append(hosts, netip.MustParsePrefix("198.51.100.1/32")))
		for a := network.Addr(); network.Contains(a); a = a.Next() {
			n := 0
			for _, part := range parts {
				if part.Contains(a) {
					n++
				}
			}
			if want := map[bool]int{false: 1}[out[a]]; n != want {
				t.Fatalf("%s without %v: %s is in %d parts", network, hosts, a, n)
			}
		}
		if len(parts) > 128 {
			t.Fatalf("%d parts", len(parts))
		}
	}
	parts := without(netip.MustParsePrefix("2001:db8:7::/48"), []netip.Prefix{netip.MustParsePrefix("2001:db8:7:ffff::/64")})
	if len(parts) != 16 || parts[0].String() != "2001:db8:7::/49" || parts[15].String() != "2001:db8:7:fffe::/64" {
		t.Errorf("parts %v", parts)
	}
}

// networks is a rule that bans a network of which four hosts fail, with two new bans in an hour.
func networks(t *testing.T) *rule.Spec {
	spec := banning(t)
	key, err := rule.ParseKey([]string{"ip/24,48"})
	if err != nil {
		t.Fatal(err)
	}
	spec.Threshold = &rule.Threshold{Count: 4, Within: time.Hour, Per: key, Distinct: "ip"}
	spec.Ban.Network = rule.Network{V4: 24, V6: 48}
	spec.Brake = &rule.Brake{Bans: 2, Within: time.Hour}
	return spec
}

// failIn has so many hosts of a network fail once each.
func (s *story) failIn(network string, hosts int) {
	s.t.Helper()
	for i := range hosts {
		s.fails(1, fmt.Sprint(2000+i), fmt.Sprintf(network, i+1))
	}
}

// TestNetworkBanLeavesOutProtectedHosts bans two networks with a registered phone in each. The parts
// of one count once for the brake.
func TestNetworkBanLeavesOutProtectedHosts(t *testing.T) {
	s := tellStory(t, networks(t))
	s.expires = "86400"
	s.hears(event.Registered, "1000", "203.0.113.77")
	s.hears(event.Registered, "1001", "2001:db8:7:77::9")
	s.failIn("203.0.113.%d", 4)
	s.failIn("2001:db8:7:%x::1", 4)
	for ip, want := range map[string]bool{
		"203.0.113.77": false, "203.0.113.76": true, "203.0.113.200": true, "2001:db8:7:77::1": false, "2001:db8:7:78::1": true, "2001:db8:7:fff0::1": true,
	} {
		if _, banned := s.ledger.Covering(ban.Address(netip.MustParseAddr(ip))); banned != want {
			t.Errorf("%s: banned %v", ip, banned)
		}
	}
	if n := s.ledger.Size(); n != 8+16 {
		t.Errorf("%d bans", n)
	}
	if r := s.rules.Stats()[0]; r.BrakeFactor != 1 {
		t.Errorf("the brake is used up: %+v", r)
	}
	s.failIn("198.51.100.%d", 4)
	if r := s.rules.Stats()[0]; r.BrakeFactor != 2 || s.ledger.Size() != 8+16 {
		t.Errorf("the brake is not used up: %+v", r)
	}
	s.failIn("198.51.100.%d", 4)
	if _, banned := s.ledger.Covering(ban.Network(netip.MustParsePrefix("198.51.100.0/24"))); !banned {
		t.Errorf("not banned at twice the threshold:\n%s", s.said())
	}
}

// TestNetworkOfManyPhonesIsSpared registers accounts in a network, from one host or from several.
func TestNetworkOfManyPhonesIsSpared(t *testing.T) {
	for _, test := range []struct {
		accounts, hosts int
		spared          bool
	}{{1, 1, false}, {1, 3, false}, {3, 3, false}, {4, 1, true}, {4, 4, true}, {9, 9, true}} {
		s := tellStory(t, networks(t))
		s.expires = "86400"
		for i := range max(test.accounts, test.hosts) {
			s.hears(event.Registered, fmt.Sprint(1000+i%test.accounts), fmt.Sprint("203.0.113.", 100+i%test.hosts))
		}
		s.failIn("203.0.113.%d", 4)
		if spared := s.ledger.Size() == 0 && strings.Contains(s.said(), "spare 203.0.113.0/24: protected: 4 hosts of the network failed"); spared != test.spared {
			t.Errorf("%+v: spared %v\n%s", test, spared, s.said())
		}
	}
}

// TestNetworkOfManyProtectedHostsIsSpared: with more protected hosts than a ban can leave out, none
// of them is banned for what fails beside it.
func TestNetworkOfManyProtectedHostsIsSpared(t *testing.T) {
	for hosts, spared := range map[int]bool{maxSparedHosts: false, maxSparedHosts + 1: true} {
		s := tellStory(t, networks(t))
		for i := range hosts {
			ip := netip.MustParseAddr(fmt.Sprintf("2001:db8:7:%x::9", 0x100+i))
			s.known.registrations.Learn(&event.Event{
				Time: s.now, Name: event.Registered, Source: "log.x", User: "1000", Domain: "pbx", IP: ip,
				Fields: map[string]string{registrations.Multiple: "true", "contact": ip.String(), "expires": "86400"},
			}, s.now)
		}
		s.failIn("2001:db8:7:%x::1", 4)
		if got := strings.Contains(s.said(), "spare 2001:db8:7::/48: protected: 4 hosts of the network failed, and 65 have"); got != spared || (s.ledger.Size() == 0) != spared {
			t.Errorf("%d hosts: spared %v, %d bans\n%s", hosts, got, s.ledger.Size(), s.said())
		}
		if _, banned := s.ledger.Covering(ban.Address(netip.MustParseAddr("2001:db8:7:100::9"))); banned {
			t.Errorf("%d hosts: a protected one is banned", hosts)
		}
	}
}

// TestNetworkOfAProviderIsCheap: a forger must not have the core look at each phone of a provider for
// every few packets.
func TestNetworkOfAProviderIsCheap(t *testing.T) {
	s := tellStory(t, networks(t))
	s.expires = "86400"
	for i := range 1000 {
		s.hears(event.Registered, fmt.Sprint(2000+i), fmt.Sprintf("2001:db8:7:%x::1", i))
	}
	o := ban.Order{Target: ban.Network(netip.MustParsePrefix("2001:db8:7::/48"))}
	if n := testing.AllocsPerRun(10, func() { s.parts(o, 4) }); n > 100 {
		t.Errorf("%v allocations", n)
	}
}

// TestOneHostIsCountedOnce has one IPv6 host fail from many addresses.
func TestOneHostIsCountedOnce(t *testing.T) {
	s := tellStory(t, networks(t))
	s.failIn("2001:db8:7:1::%x", 50)
	if s.ledger.Size() != 0 {
		t.Error(s.said())
	}
}
