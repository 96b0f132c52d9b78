package registrations

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

func TestFailures(t *testing.T) {
	start := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	f := NewFailures()
	fail := func(name, ip, user string, after time.Duration) {
		f.Learn(&event.Event{Name: name, IP: netip.MustParseAddr(ip), User: user, Domain: "pbx", Time: start.Add(after)})
	}
	count := func(network string, after time.Duration, want int) {
		t.Helper()
		if got := f.Count(netip.MustParsePrefix(network), start.Add(after)); got != want {
			t.Errorf("%s after %s: %d accounts, want %d", network, after, got, want)
		}
	}
	fail(event.AuthFailure, "203.0.113.7", "bob", 0)
	fail(event.AuthFailure, "203.0.113.7", "BOB", time.Minute)
	fail(event.UnknownUser, "203.0.113.7", "eve", 2*time.Minute)
	fail(event.Challenge, "203.0.113.7", "ann", 2*time.Minute)
	fail(event.AuthFailure, "203.0.113.7", "", 2*time.Minute)
	fail(event.AuthFailure, "2001:db8::1", "bob", 0)
	fail(event.AuthFailure, "2001:db8::2", "eve", 0)
	count("203.0.113.7/32", 2*time.Minute, 2)
	count("203.0.113.7/32", time.Hour+90*time.Second, 1)
	count("203.0.113.7/32", 2*time.Hour, 0)
	count("2001:db8::/64", 0, 2)
	count("192.0.2.1/32", 0, 0)

	// Another source reports the same attempts, and one more; it names another domain.
	for _, user := range []string{"bob", "eve", "ann"} {
		f.Learn(&event.Event{Name: event.AuthFailure, Source: "sip.wire", IP: netip.MustParseAddr("203.0.113.7"), User: user, Domain: "203.0.113.1", Time: start})
	}
	count("203.0.113.7/32", 2*time.Minute, 3)
	for i := range 3 * maxFailed {
		fail(event.AuthFailure, "203.0.113.7", fmt.Sprint(i), 0)
	}
	count("203.0.113.7/32", 0, maxFailed)
	for i := range maxFailing {
		fail(event.AuthFailure, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String(), "bob", 0)
	}
	count("203.0.113.7/32", 0, 0) // the oldest address is dropped first
	if n := f.at.Len(); n > maxFailing {
		t.Errorf("%d addresses are held", n)
	}
}
