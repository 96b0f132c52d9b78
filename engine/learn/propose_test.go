package learn

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

func TestOffice(t *testing.T) {
	for _, test := range []struct {
		name string
		days int
		play func(r *recording)
		want string // "sure", "unsure", "brief", or "" for none
	}{
		{"four phones", 3, func(r *recording) { r.office("203.0.113.7") }, "sure"},
		{"an IPv6 host with several addresses", 3, func(r *recording) {
			r.office("2001:db8::1")
			r.office("2001:db8::2")
		}, "sure"},
		{"two days are too few", 2, func(r *recording) { r.office("203.0.113.7") }, "brief"},
		{"two phones are a home", 3, func(r *recording) {
			r.register("203.0.113.7", "200")
			r.register("203.0.113.7", "201")
		}, ""},
		{"one phone with an old password", 3, func(r *recording) {
			r.office("203.0.113.7")
			r.fail("203.0.113.7", "209", 3)
		}, "sure"},
		{"failures on accounts of others", 3, func(r *recording) {
			r.office("203.0.113.7")
			r.fail("203.0.113.7", "300", 1)
			r.fail("203.0.113.7", "301", 1)
		}, ""},
		{"more failures than registrations", 3, func(r *recording) {
			r.office("203.0.113.7")
			r.fail("203.0.113.7", "209", 5)
		}, ""},
		{"a password found at the fifth try, and more accounts later", 3, func(r *recording) {
			r.fail("203.0.113.7", "200", 4)
			for range 3 {
				r.office("203.0.113.7")
			}
		}, ""},
		{"a password found at the third try", 3, func(r *recording) {
			r.fail("203.0.113.7", "200", 2)
			for range 3 {
				r.office("203.0.113.7")
			}
		}, "sure"},
		{"only failures", 3, func(r *recording) { r.fail("203.0.113.7", "200", 50) }, ""},
		{"only challenges", 3, func(r *recording) {
			for i := range 50 {
				r.one(event.Challenge, "203.0.113.7", fmt.Sprint(200+i))
			}
		}, ""},
		{"registrations without a password", 3, func(r *recording) {
			for i := range 4 {
				ev := &event.Event{Time: r.at, Name: event.Registered, Source: stream, User: fmt.Sprint(200 + i),
					IP: netip.MustParseAddr("203.0.113.7"), Fields: map[string]string{"authenticated": "false"}}
				r.play(ev)
			}
		}, ""},
		{"a log alone", 3, func(r *recording) {
			for i := range 4 {
				ev := &event.Event{Time: r.at, Name: event.Registered, Source: log, User: fmt.Sprint(200 + i),
					IP: netip.MustParseAddr("203.0.113.7")}
				r.play(ev)
			}
		}, "unsure"},
		{"it wrote lines into the log", 3, func(r *recording) {
			r.office("203.0.113.7")
			r.one(event.LogForgery, "203.0.113.7", "")
		}, ""},
		{"trusted already", 3, func(r *recording) { r.office("192.0.2.7") }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := record(t, guessing(t))
			r.Trusted = ban.NewTrust([]ban.Trusted{{Target: ban.Network(netip.MustParsePrefix("192.0.2.0/24"))}})
			r.daily(test.days, func() { test.play(r) })
			f := r.Conclude()
			got := ""
			switch {
			case len(f.Proposals) > 1:
				t.Fatalf("%+v", f.Proposals)
			case len(f.Proposals) == 1 && f.Proposals[0].Sure:
				got = "sure"
			case len(f.Proposals) == 1:
				got = "unsure"
			case f.TooBrief > 0:
				got = "brief"
			}
			if got != test.want {
				t.Errorf("%q, want %q: %+v", got, test.want, f)
			}
		})
	}
}

// TestOfficeWithAccountsOfOthers has an attacker use passwords whose owners register,
// too.
func TestOfficeWithAccountsOfOthers(t *testing.T) {
	r := record(t, guessing(t))
	r.daily(3, func() {
		for i := range 4 {
			r.register(fmt.Sprintf("198.51.100.%d", i), fmt.Sprintf("20%d", i))
		}
		r.office("203.0.113.7")
	})
	p := proposed(t, r.Conclude())
	if p.Sure || !strings.Contains(strings.Join(p.Against, "; "), "4 of its accounts registered elsewhere") {
		t.Errorf("%+v", p)
	}
}

// TestOfficeThatARuleCaught reports the catch with the proposal.
func TestOfficeThatARuleCaught(t *testing.T) {
	r := record(t, guessing(t))
	r.daily(3, func() { r.office("203.0.113.7") })
	r.fail("203.0.113.7", "200", 6)
	p := proposed(t, r.Conclude())
	against := strings.Join(p.Against, "; ")
	if !p.Sure || p.Network.String() != "203.0.113.7/32" ||
		against != `6 failures, of 200; caught by rule "guessing", 1 time, first at 2026-05-06 08:00` {
		t.Errorf("%+v", p)
	}
}

func TestSeveralIPv6Addresses(t *testing.T) {
	r := record(t)
	r.daily(3, func() { r.office("2001:db8::1") })
	if p := proposed(t, r.Conclude()); p.Network.String() != "2001:db8::1/128" {
		t.Errorf("%s is proposed where one address was seen", p.Network)
	}
	r.office("2001:db8::2")
	if p := proposed(t, r.Conclude()); p.Network.String() != "2001:db8::/64" {
		t.Errorf("%s is proposed where two addresses were seen", p.Network)
	}
}

// calls plays n calls, each of another caller, to the given count of numbers.
func (r *recording) calls(source, ip string, n, numbers int) {
	for i := range n {
		r.at = r.at.Add(time.Second)
		r.play(&event.Event{
			Time: r.at, Name: event.Call, Source: source, IP: netip.MustParseAddr(ip),
			User: fmt.Sprintf("+4930%d", i), Destination: fmt.Sprintf("80%d", i%numbers),
		})
	}
}

func TestCarrierByCalls(t *testing.T) {
	const ip = "203.0.113.7"
	for _, test := range []struct {
		name string
		also func(r *recording)
		want bool
	}{
		{"calls of many", func(*recording) {}, true},
		{"one failure", func(r *recording) { r.fail(ip, "100", 1) }, false},
		{"asked for a password", func(r *recording) { r.one(event.Challenge, ip, "100") }, false},
		{"registers", func(r *recording) { r.register(ip, "100") }, false},
		{"refused by an access list", func(r *recording) { r.one(event.ACLReject, ip, "") }, false},
		{"rejected", func(r *recording) {
			for range 10 {
				r.one(event.CallRejected, ip, "")
			}
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := record(t, guessing(t))
			r.daily(3, func() {
				r.calls(stream, ip, 12, 4)
				test.also(r)
			})
			f := r.Conclude()
			if !test.want {
				wantNone(t, f)
				return
			}
			if p := proposed(t, f); p.Sure || p.Kind != Carrier {
				t.Errorf("calls alone made a proposal certain: %+v", p)
			}
		})
	}
	t.Run("few callers", func(t *testing.T) {
		r := record(t)
		r.daily(30, func() { r.calls(stream, ip, 5, 5) })
		wantNone(t, r.Conclude())
	})
	t.Run("a log", func(t *testing.T) {
		r := record(t)
		r.daily(3, func() { r.calls(log, ip, 12, 4) })
		if p := proposed(t, r.Conclude()); !strings.Contains(strings.Join(p.Against, "; "), "only a log") {
			t.Errorf("%+v", p)
		}
	})
}

func TestCarrierByGateway(t *testing.T) {
	gateway := func(r *recording, name, ip, gateway string) {
		r.at = r.at.Add(time.Second)
		ev := &event.Event{Time: r.at, Name: name, Source: stream, Fields: map[string]string{"gateway": gateway}}
		if ip != "" {
			ev.IP = netip.MustParseAddr(ip)
		}
		r.play(ev)
	}
	r := record(t, guessing(t))
	gateway(r, event.Gateway, "203.0.113.7", "carrier1")
	r.calls(stream, "203.0.113.7", 3, 1)
	if p := proposed(t, r.Conclude()); !p.Sure || p.Kind != Carrier {
		t.Errorf("%+v", p)
	}
	r.fail("203.0.113.7", "100", 1)
	if p := proposed(t, r.Conclude()); p.Sure {
		t.Errorf("a gateway with a failure is proposed as certain: %+v", p)
	}
	gateway(r, event.GatewayRemoved, "", "other")
	if len(r.Conclude().Proposals) != 1 {
		t.Error("another gateway was removed")
	}
	gateway(r, event.GatewayRemoved, "", "carrier1")
	wantNone(t, r.Conclude())
}
