package accounts

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

const (
	office = "198.51.100.7"
	hotel  = "203.0.113.5"
	thief  = "192.0.2.66"
)

// A past tells what happens to accounts, and what their events are flagged with.
type past struct {
	t *testing.T
	*Table
	now        time.Time
	onlyProven bool
}

func begin(t *testing.T) *past {
	return &past{t: t, Table: NewTable(), now: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)}
}

func (p *past) later(by time.Duration) { p.now = p.now.Add(by) }

// take passes an event on, and returns the flags that are set.
func (p *past) take(ev event.Event) string {
	ev.Time = p.now
	if ev.Source == "" {
		ev.Source = "esl.pbx"
	}
	p.Learn(&ev, p.onlyProven, p.now)
	return flags(&ev)
}

func flags(ev *event.Event) string {
	var set []string
	for _, name := range Fields[:3] {
		if event.FieldNamed(name).Get(ev) != "" {
			set = append(set, name)
		}
	}
	return strings.Join(set, " ")
}

func (p *past) login(user, ip string) string {
	return p.take(event.Event{Name: event.AuthSuccess, User: user, Domain: "pbx.example", IP: netip.MustParseAddr(ip)})
}

func (p *past) fail(user, ip string, times int) {
	for range times {
		if got := p.take(event.Event{Name: event.AuthFailure, User: user, Domain: "pbx.example", IP: netip.MustParseAddr(ip)}); got != "" {
			p.t.Errorf("a failure is flagged with %s: its sender chose the account", got)
		}
		p.later(time.Second)
	}
}

func (p *past) call(user, ip, country, kind string) string {
	return p.take(event.Event{Name: event.Call, User: user, Domain: "pbx.example", IP: netip.MustParseAddr(ip),
		DestinationCountry: country, DestinationType: kind, Fields: map[string]string{"variable_sip_authorized": "true"}})
}

// settle lets an account be at home in the office for ten days.
func (p *past) settle(user string) {
	for range 10 {
		p.login(user, office)
		p.later(24 * time.Hour)
	}
}

func (p *past) want(what, got, want string) {
	p.t.Helper()
	if got != want {
		p.t.Errorf("%s: flagged %q, want %q", what, got, want)
	}
}

func TestNewNetwork(t *testing.T) {
	p := begin(t)
	p.want("the first login at all", p.login("1000", office), "")
	p.want("another network on the first day", p.login("1000", hotel), "")
	p.later(23 * time.Hour)
	p.want("before the account is at home", p.login("1000", thief), "")
	p = begin(t)
	p.settle("1000")
	p.want("elsewhere", p.login("1000", hotel), "new_network")
	p.want("a neighbour in the home network", p.login("1000", "198.51.100.200"), "")
	p.want("another spelling of the account", p.call("1000", hotel, "", ""), "new_network")
	p.later(59 * time.Minute)
	p.want("within the hour", p.call("1000", hotel, "", ""), "new_network")
	p.later(time.Minute)
	p.want("after an hour", p.call("1000", hotel, "", ""), "")
	p.want("an account that is new itself", p.login("1001", hotel), "")
	p.want("the home", p.login("1000", office), "")
	p.later(91 * 24 * time.Hour)
	p.want("after 90 days of silence", p.login("1000", thief), "")
}

// TestUnverified has strangers name an account: they learn nothing and change nothing.
func TestUnverified(t *testing.T) {
	p := begin(t)
	p.settle("1000")
	for _, ev := range []event.Event{
		{Name: event.Call, User: "1000", Domain: "pbx.example"},
		{Name: event.Registered, User: "1000", Domain: "pbx.example", Fields: map[string]string{"authenticated": "false"}},
		{Name: event.Challenge, User: "1000", Domain: "pbx.example"},
		{Name: event.Call, User: "2000", Domain: "pbx.example"},
	} {
		ev.IP = netip.MustParseAddr(thief)
		p.want(ev.Name, p.take(ev), "")
	}
	p.later(2 * time.Hour)
	p.want("the network is still new", p.login("1000", thief), "new_network")
	if p.Size() != 1 {
		t.Errorf("%d accounts, want the one that logged in", p.Size())
	}
}

// TestThiefPushesOutNothing has a thief log in from many networks, call everywhere, and invent domains.
func TestThiefPushesOutNothing(t *testing.T) {
	p := begin(t)
	p.limit = 20
	p.settle("1000")
	p.call("1000", office, "DE", "mobile")
	p.later(24 * time.Hour)
	p.call("1000", office, "DE", "mobile")
	for i := range 100 {
		p.later(time.Minute)
		p.want("another network", p.login("1000", fmt.Sprintf("192.0.%d.1", i)), "new_network")
		p.call("1000", "192.0.2.1", fmt.Sprintf("%c%c", 'A'+i/26, 'A'+i%26), "premium_rate")
		p.take(event.Event{Name: event.AuthSuccess, User: "1000", Domain: fmt.Sprintf("invented%d", i), IP: netip.MustParseAddr(thief)})
	}
	p.want("the owner", p.call("1000", office, "DE", "mobile"), "")
	p.later(61 * time.Minute)
	p.want("a network that was pushed out", p.login("1000", "192.0.1.1"), "new_network")
	a := p.accounts["1000@pbx.example"]
	if len(a.networks) > maxNetworks || len(a.destinations) > maxDestinations || p.Size() > p.limit {
		t.Errorf("%d networks, %d destinations, %d accounts", len(a.networks), len(a.destinations), p.Size())
	}
}

// TestRoaming follows a mobile phone, which is in new networks every day, and a salesman who sets out.
func TestRoaming(t *testing.T) {
	p := begin(t)
	p.settle("1000")
	var flagged []int
	for d := range 20 {
		for i := range 6 {
			if p.login("1000", fmt.Sprintf("10.%d.%d.1", d, i)) != "" {
				flagged = append(flagged, d)
			}
			p.later(time.Hour)
		}
		p.later(18 * time.Hour)
	}
	if got, want := fmt.Sprint(flagged), "[0 0 0 0 0 0 1 1 1 1 1 1 2 2 2 2 2 2 3 3 3 3 3 3]"; got != want {
		t.Errorf("flagged on days %s, want %s", got, want)
	}
	p.later(16 * 24 * time.Hour)
	p.login("1000", office)
	p.later(24 * time.Hour)
	p.want("at home again for two weeks", p.login("1000", thief), "new_network")
}

// TestManyNetworksADayAreNoRoaming has a thief try to look like a mobile phone in one night.
func TestManyNetworksADayAreNoRoaming(t *testing.T) {
	p := begin(t)
	p.settle("1000")
	for i := range 200 {
		p.want("a network of this night", p.login("1000", fmt.Sprintf("192.0.%d.1", i)), "new_network")
		p.later(time.Minute)
	}
}

func TestNewDestination(t *testing.T) {
	p := begin(t)
	p.want("the first call", p.call("1000", office, "DE", "mobile"), "new_destination")
	p.want("the second on one day", p.call("1000", office, "DE", "mobile"), "new_destination")
	p.want("another account", p.call("1001", office, "DE", "mobile"), "new_destination")
	p.want("when it is answered", p.take(event.Event{Name: event.CallAnswered, User: "1000", Domain: "pbx.example", IP: netip.MustParseAddr(office),
		DestinationCountry: "DE", DestinationType: "mobile", Fields: map[string]string{"variable_sip_authorized": "true"}}), "new_destination")
	p.later(24 * time.Hour)
	p.want("a day later", p.call("1000", office, "DE", "mobile"), "")
	p.want("another type", p.call("1000", office, "DE", "premium_rate"), "new_destination")
	p.want("another country", p.call("1000", office, "LR", "mobile"), "new_destination")
	p.want("an extension", p.call("1000", office, "", ""), "")
	p.later(90 * 24 * time.Hour)
	p.want("90 days later", p.call("1000", office, "DE", "mobile"), "")
	p.later(90*24*time.Hour + time.Second)
	p.want("not called for 90 days", p.call("1000", office, "DE", "mobile"), "new_destination")
}

func TestHistoryDays(t *testing.T) {
	p := begin(t)
	p.login("1000", office)
	p.later(7*24*time.Hour - time.Second)
	for _, want := range []uint16{6, 7} {
		ev := event.Event{Name: event.AuthSuccess, User: "1001", Domain: "pbx.example", Time: p.now}
		if p.Learn(&ev, false, p.now); ev.HistoryDays != want {
			t.Errorf("a history of %d days, want %d", ev.HistoryDays, want)
		}
		p.later(time.Second)
	}
}

// TestNamesThatCallersChoose has a thief log in under an invented realm, and register under another's
// name. Where the switch says which account it found, that counts.
func TestNamesThatCallersChoose(t *testing.T) {
	p := begin(t)
	call := func(realm, ip string) string {
		return p.take(event.Event{Name: event.Call, User: "1000", Domain: "PBX.example", IP: netip.MustParseAddr(ip),
			Fields: map[string]string{"variable_sip_authorized": "true", "variable_sip_auth_username": "1000", "variable_sip_auth_realm": realm}})
	}
	register := func(as, realm, ip string) string {
		return p.take(event.Event{Name: event.Registered, User: as, Domain: realm, IP: netip.MustParseAddr(ip),
			Fields: map[string]string{"authenticated": "true", "sip_auth_username": "1000", "sip_auth_realm": realm, "domain_name": "pbx.example"}})
	}
	p.settle("1000")
	p.want("an invented realm", call("invented", thief), "new_network")
	p.want("the name of another", register("2000", "invented2", hotel), "new_network")
	p.want("the owner, who registers under a realm of the phone", register("1000", "10.0.0.1", office), "")
	if p.Size() != 1 {
		t.Errorf("%d accounts", p.Size())
	}
	for range 5 {
		p.take(event.Event{Name: event.AuthFailure, User: "1000", Domain: "invented3", IP: netip.MustParseAddr("192.0.3.1")})
	}
	p.want("guessed under an invented realm", register("1000", "invented3", "192.0.3.1"), "new_network guessed")
	p.want("and used under another", call("invented4", "192.0.4.1"), "new_network guessed")
	for range 5 {
		p.take(event.Event{Name: event.AuthFailure, User: "1001", Domain: "invented3", IP: netip.MustParseAddr("192.0.3.1")})
	}
	p.want("guessed by a call", p.take(event.Event{Name: event.Call, User: "1001", Domain: "pbx.example", IP: netip.MustParseAddr(thief),
		Fields: map[string]string{"variable_sip_authorized": "true", "variable_sip_auth_username": "1001", "variable_sip_auth_realm": "invented3"}}), "guessed")
}

func TestGuessed(t *testing.T) {
	for name, c := range map[string]struct {
		tell func(p *past) string
		want string
	}{
		"from one address":                {func(p *past) string { p.fail("1000", thief, 5); return p.login("1000", thief) }, "new_network guessed"},
		"of an account without a history": {func(p *past) string { p.fail("1002", thief, 5); return p.login("1002", thief) }, "guessed"},
		"spread over networks": {func(p *past) string {
			for i := range 5 {
				p.fail("1000", fmt.Sprintf("192.0.%d.1", i), 1)
			}
			return p.login("1000", thief)
		}, "new_network guessed"},
		"used elsewhere, twenty hours later": {func(p *past) string {
			p.fail("1000", thief, 5)
			p.login("1000", thief)
			p.later(20 * time.Hour)
			return p.call("1000", hotel, "", "")
		}, "new_network guessed"},
		"a day later": {func(p *past) string {
			p.fail("1000", thief, 5)
			p.login("1000", thief)
			p.later(24*time.Hour + time.Second)
			return p.login("1000", thief)
		}, ""},
		"the owner, while a thief has guessed": {func(p *past) string {
			p.fail("1000", thief, 5)
			p.login("1000", thief)
			return p.login("1000", office)
		}, ""},
		"as two sources report it": {func(p *past) string {
			for range 5 {
				p.fail("1000", thief, 1)
				p.take(event.Event{Name: event.AuthFailure, Source: "sip.wire", User: "1000", Domain: "pbx.example", IP: netip.MustParseAddr(thief)})
			}
			p.login("1000", thief)
			p.later(time.Second)
			return p.take(event.Event{Name: event.AuthSuccess, Source: "sip.wire", User: "1000", Domain: "pbx.example", IP: netip.MustParseAddr(thief)})
		}, "new_network guessed"},
		"four failures, as two sources report them": {func(p *past) string {
			for range 4 {
				p.fail("1000", thief, 1)
				p.take(event.Event{Name: event.AuthFailure, Source: "sip.wire", User: "1000", Domain: "pbx.example", IP: netip.MustParseAddr(thief)})
			}
			return p.login("1000", thief)
		}, "new_network"},
		"slower than five an hour": {func(p *past) string {
			for range 20 {
				p.fail("1000", thief, 1)
				p.later(15 * time.Minute)
			}
			return p.login("1000", thief)
		}, "new_network"},
		"an old password at home, corrected":             {func(p *past) string { p.fail("1000", office, 60); return p.login("1000", office) }, ""},
		"an old password at home, and the owner travels": {func(p *past) string { p.fail("1000", office, 60); return p.login("1000", hotel) }, "new_network"},
		"a forger fails in the owner's name":             {func(p *past) string { p.fail("1000", hotel, 60); return p.login("1000", office) }, ""},
		"a forger fails, and the owner travels": {func(p *past) string {
			p.onlyProven = true
			p.fail("1000", thief, 60)
			return p.login("1000", hotel)
		}, "new_network"},
		"the owner, ten minutes after the first login elsewhere": {func(p *past) string {
			p.login("1000", hotel)
			p.later(10 * time.Minute)
			p.fail("1000", thief, 60)
			return p.login("1000", hotel)
		}, "new_network"},
		"proven failures": {func(p *past) string {
			p.onlyProven = true
			for range 5 {
				p.take(event.Event{Name: event.AuthFailure, User: "1000", Domain: "pbx.example", IP: netip.MustParseAddr(thief), Proven: true})
			}
			return p.login("1000", thief)
		}, "new_network guessed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := begin(t)
			p.settle("1000")
			p.want(name, c.tell(p), c.want)
		})
	}
}

// TestNetworks knows an account behind a translator by its IPv4 network.
func TestNetworks(t *testing.T) {
	for _, c := range []struct {
		first, then string
		want        string
	}{
		{"2001:db8:1:2::3", "2001:db8:1:f::9", ""},
		{"2001:db8:1:2::3", "2001:db8:2::3", "new_network"},
		{"64:ff9b::198.51.100.7", "64:ff9b::198.51.100.9", ""},
		{"64:ff9b::198.51.100.7", "64:ff9b::203.0.113.9", "new_network"},
		{"2001:db8:64::198.51.100.7", "2001:db8:64::203.0.113.9", "new_network"},
	} {
		p := begin(t)
		p.SetNAT64(ban.NAT64{netip.MustParsePrefix("2001:db8:64::/96")})
		p.login("1000", c.first)
		p.later(48 * time.Hour)
		p.want(c.first+" and "+c.then, p.login("1000", c.then), c.want)
	}
}

// TestKept saves and restores a table, and steps the clock.
func TestKept(t *testing.T) {
	p := begin(t)
	p.settle("1000")
	p.call("1000", office, "LR", "premium_rate")
	p.fail("1000", thief, 5)
	p.login("1000", thief)
	p.later(50 * time.Minute)
	const step = 100 * 24 * time.Hour
	for range 2 {
		saved, err := p.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		p.Table = NewTable()
		if err := p.UnmarshalBinary(saved); err != nil {
			t.Fatal(err)
		}
		p.later(step)
		p.Step(step)
	}
	p.want("the thief", p.login("1000", thief), "new_network guessed")
	p.want("the call", p.call("1000", office, "LR", "premium_rate"), "new_destination")
	p.later(10 * time.Minute)
	p.want("the thief, after an hour", p.login("1000", thief), "guessed")
	p.want("the call, after an hour", p.call("1000", office, "LR", "premium_rate"), "new_destination")
	p.later(24 * time.Hour)
	p.want("the call, after a day", p.call("1000", office, "LR", "premium_rate"), "")
	saved, _ := p.MarshalBinary()
	for _, damaged := range [][]byte{{0xff, 1, 2}, saved[:len(saved)-1], append(saved, 0), saved[:10]} {
		restored := NewTable()
		if err := restored.UnmarshalBinary(damaged); err == nil || restored.Size() > 0 || restored.since != 0 || restored.base != 0 {
			t.Errorf("of %d bytes, %d whole, %d accounts were restored, %v", len(damaged), len(saved), restored.Size(), err)
		}
	}
}

// FuzzKept restores what may be damaged.
func FuzzKept(f *testing.F) {
	t, _ := full(3, 2, 2)
	saved, _ := t.MarshalBinary()
	f.Add(saved)
	f.Add(saved[:len(saved)-1])
	f.Fuzz(func(t *testing.T, saved []byte) {
		restored := NewTable()
		if err := restored.UnmarshalBinary(saved); err != nil {
			return
		}
		again, _ := restored.MarshalBinary()
		if err := NewTable().UnmarshalBinary(again); err != nil {
			t.Error(err)
		}
	})
}
