package registrations

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

func talk(d *Dialogues, ip string, at time.Time) {
	d.Learn(&event.Event{Time: at, Name: event.Dialogue, IP: netip.MustParseAddr(ip)}, at)
}

func TestDialogues(t *testing.T) {
	d := NewDialogues()
	d.limit = 4
	start := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	at := func(hours int) time.Time { return start.Add(time.Duration(hours) * time.Hour) }
	latest := func(network, except string, hours int) string {
		var other netip.Addr
		if except != "" {
			other = netip.MustParseAddr(except)
		}
		last, ok := d.Latest(netip.MustParsePrefix(network), other, at(hours))
		if !ok {
			return ""
		}
		return last.Sub(start).String()
	}
	talk(d, "198.51.100.7", at(0))
	talk(d, "2001:db8::1", at(1))
	talk(d, "198.51.100.9", at(2))
	for _, c := range []struct {
		network, except string
		hours           int
		want            string
	}{
		{"198.51.100.7/32", "", 24, "0s"},
		{"198.51.100.7/32", "", 25, ""},
		{"198.51.100.8/32", "", 3, ""},
		{"198.51.100.0/24", "", 3, "2h0m0s"},
		{"198.51.100.0/24", "198.51.100.9", 3, "0s"},
		{"198.51.100.7/32", "198.51.100.7", 3, ""},
		{"2001:db8::/64", "", 3, "1h0m0s"},
		{"2001:db8::ffff/128", "", 3, "1h0m0s"}, // of the same host
		{"2001:db8::/64", "2001:db8::2", 3, ""},
		{"2001:db8::/32", "", 3, "1h0m0s"},
		{"2001:db8:0:1::/64", "", 3, ""},
	} {
		if got := latest(c.network, c.except, c.hours); got != c.want {
			t.Errorf("latest in %s but %s after %dh: %q, want %q", c.network, c.except, c.hours, got, c.want)
		}
	}
	talk(d, "198.51.100.7", at(3)) // no longer the first to be evicted
	talk(d, "198.51.100.7", at(0)) // late, and changes nothing
	talk(d, "203.0.113.1", at(4))
	talk(d, "203.0.113.2", at(5))
	if latest("2001:db8::/64", "", 5) != "" || latest("198.51.100.7/32", "", 5) != "3h0m0s" || d.Size() != 4 {
		t.Errorf("of five hosts, the one without a dialogue for the longest time is not evicted")
	}
	saved, _ := d.MarshalBinary()
	again := NewDialogues()
	if err := again.UnmarshalBinary(saved); err != nil || again.Size() != 4 {
		t.Errorf("restored: %d, %v", again.Size(), err)
	}
	for _, network := range []string{"198.51.100.7/32", "203.0.113.2/32"} {
		was, _ := d.Latest(netip.MustParsePrefix(network), netip.Addr{}, at(5))
		if now, ok := again.Latest(netip.MustParsePrefix(network), netip.Addr{}, at(5)); !ok || !now.Equal(was) {
			t.Errorf("%s: %s restored as %s", network, was, now)
		}
	}
	if err := again.UnmarshalBinary([]byte("something else, and no whole number of dialogues")); err != nil || again.Size() > 6 {
		t.Errorf("of other bytes: %d, %v", again.Size(), err)
	}
	d.Step(-2 * time.Hour)
	if got := latest("198.51.100.7/32", "", 5); got != "1h0m0s" {
		t.Errorf("after a step of the clock: %s", got)
	}
	talk(d, "203.0.113.3", at(26))
	if d.Size() != 3 {
		t.Errorf("%d hosts; those of the day before are kept", d.Size())
	}
}

// TestOneSiteEvictsNoOthers has dialogues of more hosts of one IPv6 site than are remembered.
func TestOneSiteEvictsNoOthers(t *testing.T) {
	d := NewDialogues()
	d.limit = maxPerSite + 1
	now := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	talk(d, "198.51.100.7", now)
	for i := range 2 * maxPerSite {
		talk(d, fmt.Sprintf("2001:db8:7:%x::1", i), now.Add(time.Second))
	}
	if _, ok := d.Latest(netip.MustParsePrefix("198.51.100.7/32"), netip.Addr{}, now); !ok || d.Size() != maxPerSite+1 {
		t.Errorf("%d hosts, the first is remembered: %v", d.Size(), ok)
	}
	d.limit = 1
	for d.order.Len() > 0 {
		d.drop(d.order.Back())
	}
	if len(d.sites) != 0 || d.at.Size() != 0 {
		t.Errorf("%d sites and %d hosts of dropped dialogues", len(d.sites), d.at.Size())
	}
}

// TestHostsBehindTranslator has a thousand hosts behind one NAT64: each has dialogues of its own.
func TestHostsBehindTranslator(t *testing.T) {
	start := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	for _, prefix := range []string{"64:ff9b::", "2001:db8:64::"} {
		d := NewDialogues()
		d.SetNAT64(ban.NAT64{netip.MustParsePrefix("2001:db8:64::/96")})
		for i := range 2 * maxPerSite {
			talk(d, fmt.Sprintf("%s10.0.%d.%d", prefix, i/256, i%256), start)
		}
		if d.Size() != 2*maxPerSite {
			t.Errorf("%s: %d hosts of %d", prefix, d.Size(), 2*maxPerSite)
		}
		if _, ok := d.Latest(netip.MustParsePrefix(prefix+"10.1.0.1/128"), netip.Addr{}, start); ok {
			t.Errorf("%s: a host has the dialogue of another", prefix)
		}
	}
}
