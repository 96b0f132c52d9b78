package registrations

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

var start = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)

// after is the time so many seconds after the start.
func after(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// phone is an event of one phone of an account at the start; ip "" means no address.
func phone(name, user, callID, ip string) *event.Event {
	ev := &event.Event{Time: start, Name: name, Source: "esl.pbx", User: user, Domain: "pbx", CallID: callID,
		Fields: map[string]string{"expires": "60", Multiple: "true"}}
	if ip != "" {
		ev.IP = netip.MustParseAddr(ip)
	}
	return ev
}

// at lists the accounts registered in a network.
func (r *Table) at(network string, now time.Time) string {
	return strings.Join(r.Accounts(netip.MustParsePrefix(network), now, 10), " ")
}

func TestRegistrationLivesUntilItsExpiry(t *testing.T) {
	for expires, lasts := range map[string]time.Duration{
		"60":                  2 * time.Minute,
		"0":                   time.Minute,
		"-20":                 time.Minute,
		"":                    61 * time.Minute,
		"never":               61 * time.Minute,
		"9223372036854775807": 7*24*time.Hour + time.Minute,
	} {
		r := NewTable()
		ev := phone(event.Registered, "1000", "a", "203.0.113.7")
		ev.Fields["expires"] = expires
		r.Learn(ev, start)
		for _, step := range []struct {
			now   time.Time
			holds bool
		}{{start.Add(lasts - 1), true}, {start.Add(lasts), false}} {
			if got := r.Holds(netip.MustParsePrefix("203.0.113.0/24"), step.now); got != step.holds {
				t.Errorf("expires %q: after %s it is %t", expires, step.now.Sub(start), got)
			}
		}
		if len(r.byEnd) != 0 {
			t.Errorf("expires %q: an ended registration is still held", expires)
		}
	}
}

func TestRegistrationRenewed(t *testing.T) {
	r := NewTable()
	r.Learn(phone(event.Registered, "1000", "a", "203.0.113.7"), start)
	again := phone(event.Registered, "1000", "a", "203.0.113.7")
	again.Time = after(100)
	r.Learn(again, after(100))

	// A list that the switch made before must not shorten the registration.
	list := phone(event.Registered, "1000", "a", "203.0.113.7")
	list.Repeat, list.Fields = true, map[string]string{"expires": "1"} // it says nothing about several phones
	r.Learn(list, after(101))
	if got := r.at("203.0.113.7/32", after(219)); got != "1000@pbx" {
		t.Errorf("registered: %q", got)
	}
	if got := r.at("203.0.113.7/32", after(220)); got != "" {
		t.Errorf("registered after the end: %q", got)
	}
}

// TestSpellings registers one account in several spellings, which must not count as
// several accounts.
func TestSpellings(t *testing.T) {
	r := NewTable()
	for i, user := range []string{"bob", "Bob", "BOB"} {
		ev := phone(event.Registered, user, fmt.Sprint(i), "203.0.113.7")
		if i == 1 {
			ev.Domain = "PBX"
		}
		r.Learn(ev, start)
	}
	if got := r.at("203.0.113.7/32", start); got != "bob@pbx" {
		t.Errorf("registered: %q", got)
	}
	r.Learn(phone(event.Unregistered, "bOb", "", "203.0.113.7"), start)
	if len(r.byEnd) != 0 {
		t.Errorf("%d are left", len(r.byEnd))
	}
}

func TestSeveralPhonesBehindOneAddress(t *testing.T) {
	r := NewTable()
	for _, user := range []string{"1000", "1001", "1002"} {
		r.Learn(phone(event.Registered, user, "call of "+user, "203.0.113.7"), start)
	}
	r.Learn(phone(event.Registered, "1000", "second phone", "203.0.113.7"), start)
	r.Learn(phone(event.Registered, "1003", "elsewhere", "203.0.113.8"), start)
	for _, step := range []struct{ user, callID, left string }{
		{"1001", "call of 1001", "1000@pbx 1002@pbx"},
		{"1000", "call of 1000", "1002@pbx 1000@pbx"},
		{"1000", "never heard of", "1002@pbx 1000@pbx"},
		{"1002", "call of 1002", "1000@pbx"},
		{"1000", "second phone", ""},
	} {
		r.Learn(phone(event.Unregistered, step.user, step.callID, "203.0.113.7"), start)
		if got := r.at("203.0.113.7/32", start); got != step.left {
			t.Errorf("without %q of %s: %q, want %q", step.callID, step.user, got, step.left)
		}
	}
	if got := r.at("203.0.113.0/24", start); got != "1003@pbx" {
		t.Errorf("next to it: %q", got)
	}
}

// TestWhichPhone registers a phone and reports in other terms that it unregistered.
func TestWhichPhone(t *testing.T) {
	for name, test := range map[string]struct {
		gone func(*event.Event)
		left bool
	}{
		"by its Call-ID, from elsewhere":     {func(ev *event.Event) { ev.IP = netip.MustParseAddr("198.51.100.1") }, false},
		"by its contact":                     {func(ev *event.Event) { ev.CallID = "b" }, false},
		"by its contact, without an address": {func(ev *event.Event) { ev.CallID, ev.IP = "b", netip.Addr{} }, false},
		"by its contact, from elsewhere":     {func(ev *event.Event) { ev.CallID, ev.IP = "b", netip.MustParseAddr("198.51.100.1") }, true},
		"by the account alone":               {func(ev *event.Event) { ev.CallID, ev.Fields, ev.IP = "", nil, netip.Addr{} }, false},
		"by the account and address":         {func(ev *event.Event) { ev.CallID, ev.Fields = "", nil }, false},
		"by the account, from elsewhere":     {func(ev *event.Event) { ev.CallID, ev.Fields, ev.IP = "", nil, netip.MustParseAddr("198.51.100.1") }, true},
		"of another account":                 {func(ev *event.Event) { ev.User = "1001" }, true},
		"of another domain":                  {func(ev *event.Event) { ev.Domain = "other" }, true},
		"reported by another source":         {func(ev *event.Event) { ev.Source = "esl.other" }, true},
	} {
		r := NewTable()
		ev := phone(event.Registered, "1000", "a", "203.0.113.7")
		ev.Fields["contact"] = "sip:1000@192.168.1.10"
		r.Learn(ev, start)
		gone := *ev
		gone.Name, gone.Fields = event.Unregistered, maps.Clone(ev.Fields)
		test.gone(&gone)
		r.Learn(&gone, start)
		if left := len(r.byEnd) == 1; left != test.left {
			t.Errorf("%s: still registered is %t", name, left)
		}
	}
}

// TestPhoneRestarts has a phone lose its Call-ID, while another phone of the account has
// the same address in another private network.
func TestPhoneRestarts(t *testing.T) {
	r := NewTable()
	for _, one := range []struct{ callID, ip string }{
		{"a", "203.0.113.7"}, {"b", "203.0.113.7"}, {"other house", "198.51.100.1"},
	} {
		ev := phone(event.Registered, "1000", one.callID, one.ip)
		ev.Fields["contact"] = "sip:1000@192.168.1.10"
		r.Learn(ev, start)
	}
	if len(r.byEnd) != 2 {
		t.Errorf("%d registrations, want 2", len(r.byEnd))
	}
	if r.at("203.0.113.7/32", start) == "" || r.at("198.51.100.1/32", start) == "" {
		t.Error("one of the two phones is missing")
	}
}

// TestAccountMoves registers an account at a second place, with the other phones of its first.
func TestAccountMoves(t *testing.T) {
	const one, two, both = "198.51.100.1/32", "203.0.113.7/32", "198.51.100.1/32 203.0.113.7/32"
	for name, test := range map[string]struct {
		change func(*event.Event) // of the second registration
		after  time.Duration      // the first
		at     string             // where the account is registered in the end
	}{
		"one registration for each account": {func(*event.Event) {}, time.Second, two},
		"the profile allows several":        {func(ev *event.Event) { ev.Fields[Multiple] = "true" }, time.Second, both},
		"on another profile":                {func(ev *event.Event) { ev.Profile = "wss" }, time.Second, both},
		"on an unknown profile":             {func(ev *event.Event) { ev.Profile = "" }, time.Second, two},
		"another account":                   {func(ev *event.Event) { ev.User = "1001" }, time.Second, both},
		"as another source reports it":      {func(ev *event.Event) { ev.Source = "sip.wire" }, time.Second, both},
		"with one spelling more":            {func(ev *event.Event) { ev.User, ev.Domain = "ALICE", "PBX" }, time.Second, two},
		"without a password":                {func(ev *event.Event) { ev.Fields["authenticated"] = "false" }, time.Second, one},
		"on a list that is older":           {func(ev *event.Event) { ev.Repeat = true }, time.Second, one},
		"on a list that is newer":           {func(ev *event.Event) { ev.Repeat = true }, listAge, two},
		"on a list of a profile with several": {func(ev *event.Event) {
			ev.Repeat = true
			ev.Fields[Multiple] = "true"
		}, time.Second, both},
	} {
		r := NewTable()
		register := func(user, callID, ip string, change func(*event.Event), now time.Time) {
			ev := phone(event.Registered, user, callID, ip)
			ev.Time, ev.Profile, ev.Fields = now, "internal", map[string]string{"expires": "3600"}
			change(ev)
			r.Learn(ev, now)
		}
		register("alice", "a", "198.51.100.1", func(*event.Event) {}, start)
		register("bob", "b", "198.51.100.1", func(*event.Event) {}, start)
		now := start.Add(test.after)
		r.Step(time.Hour)
		now = now.Add(time.Hour)
		register("alice", "c", "203.0.113.7", test.change, now)
		var at []string
		for _, network := range []string{one, two} {
			if names := r.at(network, now); strings.Contains(names, "alice") || strings.Contains(names, "1001") {
				at = append(at, network)
			}
		}
		if got := strings.Join(at, " "); got != test.at || !strings.Contains(r.at(one, now), "bob") {
			t.Errorf("%s: registered at %s, want %s; beside it %s", name, got, test.at, r.at(one, now))
		}
		r.check(t)
	}
}

// TestOfficeStaysSettled restarts the only phone of an office: it has a new Call-ID and contact.
func TestOfficeStaysSettled(t *testing.T) {
	r := NewTable()
	for i := range 3 {
		ev := phone(event.Registered, "1000", fmt.Sprint(i), "203.0.113.7")
		ev.Time, ev.Fields = after(1800*i), map[string]string{"expires": "3600"}
		r.Learn(ev, ev.Time)
	}
	if office := netip.MustParsePrefix("203.0.113.7/32"); !r.Settled(office, start, after(3600)) || len(r.byEnd) != 1 {
		t.Errorf("settled is %t, of %d registrations", r.Settled(office, start, after(3600)), len(r.byEnd))
	}
}

// TestPortsAndAccountsOfAPlace asks for the ports and accounts of registered phones.
func TestPortsAndAccountsOfAPlace(t *testing.T) {
	r := NewTable()
	place := netip.MustParsePrefix("203.0.113.7/32")
	register := func(user, callID string, port uint16) {
		ev := phone(event.Registered, user, callID, "203.0.113.7")
		ev.Port = port
		r.Learn(ev, start)
	}
	register("bob", "a", 5060)
	register("bob", "a", 5070) // its NAT has a new port
	has := func(port uint16, want bool) {
		t.Helper()
		if got := r.HasPort(place, port, start); got != want {
			t.Errorf("port %d: %t", port, got)
		}
	}
	has(5070, true)
	has(5060, false)
	register("eve", "b", 0)
	has(5060, true) // it may be hers
	for name, test := range map[string]struct {
		ev   event.Event
		want bool
	}{
		"itself":                     {event.Event{Source: "esl.pbx", User: "BOB", Domain: "PBX"}, true},
		"its name in another domain": {event.Event{Source: "esl.pbx", User: "bob", Domain: "other"}, false},
		"as another source names it": {event.Event{Source: "sip.wire", User: "bob", Domain: "203.0.113.1"}, true},
		"another":                    {event.Event{Source: "esl.pbx", User: "ann", Domain: "pbx"}, false},
	} {
		if got := r.HasAccount(place, &test.ev, start); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	wire := phone(event.Registered, "bob", "a", "203.0.113.7")
	wire.Source = "sip.wire"
	r.Learn(wire, start)
	for domain, want := range map[string]bool{"pbx": true, "other": false} {
		for _, source := range []string{"esl.pbx", "sip.wire"} {
			if got := r.HasAccount(place, &event.Event{Source: source, User: "bob", Domain: domain}, start); got != want {
				t.Errorf("bob of %s according to %s, which both know: %t", domain, source, got)
			}
		}
	}
	shares := func(port uint16, want bool) {
		t.Helper()
		if got := r.Shares(place, port, start); got != want {
			t.Errorf("several accounts at port %d: %t", port, got)
		}
	}
	shares(5070, false)
	shares(0, false)
	register("ann", "c", 0)
	shares(0, false)
	register("ann", "c", 5070)
	shares(5070, true)
	if r.HasPort(netip.MustParsePrefix("203.0.113.8/32"), 5070, start) {
		t.Error("a port of another address")
	}
}

func TestPhoneMoves(t *testing.T) {
	r := NewTable()
	r.Learn(phone(event.Registered, "1000", "a", "203.0.113.7"), start)
	r.Learn(phone(event.Registered, "1000", "a", "2001:db8::7"), start)
	if old, now := r.at("203.0.113.7/32", start), r.at("2001:db8::/64", start); old != "" || now != "1000@pbx" {
		t.Errorf("at the old address %q, at the new one %q", old, now)
	}
}

// TestSettled has an address with registrations for an hour, where phones come and go,
// and an address that the switch lists.
func TestSettled(t *testing.T) {
	r := NewTable()
	hears := func(at int, name, user, ip string, listed bool) {
		ev := phone(name, user, user, ip)
		ev.Time, ev.Repeat = after(at), listed
		ev.Fields["expires"] = "1800"
		r.Learn(ev, after(at))
	}
	want := func(at int, network string, settled bool) {
		t.Helper()
		if got := r.Settled(netip.MustParsePrefix(network), after(at-3600), after(at)); got != settled {
			t.Errorf("%s, %d s after the start: %t", network, at, got)
		}
	}
	const here, there, listed = "203.0.113.7/32", "203.0.113.8/32", "203.0.113.9/32"
	hears(0, event.Registered, "1000", "203.0.113.9", true)
	hears(0, event.Registered, "1001", "203.0.113.7", false)
	want(0, listed, true)
	hears(1500, event.Registered, "1002", "203.0.113.7", false)
	hears(1600, event.Unregistered, "1001", "203.0.113.7", false)
	hears(3000, event.Registered, "1002", "203.0.113.7", false)
	want(3599, here, false)
	want(3600, here, true)
	want(3600, "203.0.113.0/24", true)
	want(3600, listed, false) // over

	hears(3700, event.Registered, "1002", "203.0.113.8", false) // moves
	want(3700, here, false)
	want(3700, there, false)

	// The switch's clock may be behind.
	late := phone(event.Registered, "1003", "1003", "203.0.113.10")
	late.Fields["expires"] = "36000"
	r.Learn(late, after(9000))
	want(9000, "203.0.113.10/32", false)
	want(12600, "203.0.113.10/32", true)
}

func TestWhatDoesNotProtect(t *testing.T) {
	blind := phone(event.Registered, "1000", "a", "203.0.113.7")
	blind.Fields["authenticated"] = "false"
	nameless := phone(event.Registered, "", "a", "203.0.113.7")
	old := phone(event.Registered, "1000", "a", "203.0.113.7")
	old.Time = start.Add(-time.Hour)
	for _, ev := range []*event.Event{blind, nameless, old,
		phone(event.Registered, "1000", "a", ""), phone(event.AuthSuccess, "1000", "a", "203.0.113.7"),
	} {
		r := NewTable()
		r.Learn(ev, start)
		if len(r.byEnd) != 0 {
			t.Errorf("registered by %+v", ev)
		}
	}
	r := NewTable()
	r.Learn(phone(event.Registered, "1000", "a", "203.0.113.7"), start)
	r.Learn(blind, start)
	if len(r.byEnd) != 1 {
		t.Error("an unauthenticated registration replaces an authenticated one")
	}
}

// TestListOfAnOpenProfile has a switch list registrations without saying which are
// authenticated, and then accept one that is not.
func TestListOfAnOpenProfile(t *testing.T) {
	r := NewTable()
	listed := func(user, callID, ip, profile string) *event.Event {
		ev := phone(event.Registered, user, callID, ip)
		ev.Repeat, ev.Profile = true, profile
		return ev
	}
	shown := phone(event.Registered, "1000", "a", "203.0.113.1")
	shown.Profile, shown.Fields["authenticated"] = "lab", "true"
	blind := phone(event.Registered, "1002", "c", "203.0.113.3")
	blind.Profile, blind.Fields["authenticated"] = "lab", "false"
	const all = "203.0.113.0/24"
	for i, step := range []struct {
		ev   *event.Event
		left string
	}{
		{listed("1000", "a", "203.0.113.1", "lab"), "1000@pbx"},
		{listed("1001", "b", "203.0.113.2", "lab"), "1000@pbx 1001@pbx"},
		{listed("1002", "c", "203.0.113.3", "lab"), "1000@pbx 1001@pbx 1002@pbx"},
		{listed("1003", "d", "203.0.113.4", "office"), "1000@pbx 1001@pbx 1002@pbx 1003@pbx"},
		{shown, "1000@pbx 1001@pbx 1002@pbx 1003@pbx"},
		{blind, "1000@pbx 1003@pbx"},
		{listed("1002", "c", "203.0.113.3", "lab"), "1000@pbx 1003@pbx"},
		{listed("1000", "a", "203.0.113.3", "lab"), "1000@pbx 1003@pbx"},
		{listed("1004", "e", "203.0.113.5", "office"), "1000@pbx 1003@pbx 1004@pbx"},
	} {
		r.Learn(step.ev, start)
		if got := r.at(all, start); got != step.left {
			t.Errorf("step %d: %q, want %q", i, got, step.left)
		}
	}
	if got := r.at("203.0.113.3/32", start); got != "" {
		t.Errorf("an unauthenticated registration protects as %q", got)
	}
	confirmed := listed("1000", "a", "203.0.113.1", "lab")
	confirmed.Time = after(100)
	r.Learn(confirmed, after(100))
	if got := r.at(all, after(200)); got != "1000@pbx" {
		t.Errorf("after a confirming list: %q", got)
	}
}

func TestRegistrationsAreBounded(t *testing.T) {
	r := NewTable()
	r.limit = 3
	for i := range 5 {
		ev := phone(event.Registered, fmt.Sprint(1000+i), "a", "203.0.113.7")
		ev.Time = after(i)
		r.Learn(ev, after(i))
	}
	if got := r.at("203.0.113.7/32", after(5)); got != "1002@pbx 1003@pbx 1004@pbx" || r.evicted != 2 {
		t.Errorf("left are %q, evicted %d", got, r.evicted)
	}

	r = NewTable()
	r.Learn(phone(event.Registered, "1000", "a", "203.0.113.7"), start)
	for i := range maxPerAccount + 20 {
		ev := phone(event.Registered, "1001", fmt.Sprint(i), "198.51.100.1")
		ev.Time = after(1)
		r.Learn(ev, after(1))
	}
	if len(r.byEnd) != 1+maxPerAccount || r.evicted != 20 || r.at("203.0.113.7/32", after(1)) == "" {
		t.Errorf("%d registrations, evicted %d", len(r.byEnd), r.evicted)
	}
}

func TestRegistrationsOfARemovedSource(t *testing.T) {
	r := NewTable()
	r.Learn(phone(event.Registered, "1000", "a", "203.0.113.7"), start)
	other := phone(event.Registered, "1001", "a", "203.0.113.7")
	other.Source = "esl.other"
	r.Learn(other, start)
	r.Retain(func(source string) bool { return source == "esl.pbx" })
	if got := r.at("203.0.113.7/32", start); got != "1000@pbx" {
		t.Errorf("left are %q", got)
	}
}

// TestPhonesOfTwoSources has an office that the event stream and the wire report, with other
// domains. Each of them alone protects it, and an account counts once.
func TestPhonesOfTwoSources(t *testing.T) {
	r := NewTable()
	wire := func(name, user, callID string) *event.Event {
		ev := phone(name, user, callID, "203.0.113.7")
		ev.Source, ev.Domain = "sip.wire", "sip.example.com"
		return ev
	}
	want := func(when, accounts string) {
		t.Helper()
		if got := r.at("203.0.113.7/32", start); got != accounts {
			t.Errorf("%s: %q, want %q", when, got, accounts)
		}
	}
	r.Learn(wire(event.Registered, "1000", "a"), start)
	want("on the wire alone", "1000@sip.example.com")
	r.Learn(phone(event.Registered, "1000", "a", "203.0.113.7"), start)
	r.Learn(phone(event.Registered, "1001", "b", "203.0.113.7"), start)
	want("listed by the stream", "1000@pbx 1001@pbx")
	r.Learn(wire(event.Registered, "1001", "b"), start)
	r.Learn(wire(event.Registered, "1002", "c"), start)
	want("one more on the wire", "1000@sip.example.com 1001@sip.example.com 1002@sip.example.com")
	for _, user := range []string{"1000", "1001"} {
		r.Learn(phone(event.Unregistered, user, "", "203.0.113.7"), start)
	}
	want("unregistered by one source", "1000@sip.example.com 1001@sip.example.com 1002@sip.example.com")
	for user, callID := range map[string]string{"1000": "a", "1001": "b", "1002": "c"} {
		r.Learn(wire(event.Unregistered, user, callID), start)
	}
	want("by both", "")
}

func TestAccount(t *testing.T) {
	for _, test := range []struct{ user, domain, want string }{
		{"1000", "pbx", "1000@pbx"},
		{"1000", "", "1000"},
		{"a\x1b[31m\nb", "p\u202ebx", `a\x1b[31m\nb@p\u202ebx`},
		{strings.Repeat("u", 1000), "", strings.Repeat("u", event.MaxField)},
	} {
		if got := Account(test.user, test.domain); got != test.want {
			t.Errorf("Account(%q, %q) = %q, want %q", test.user, test.domain, got, test.want)
		}
	}
}

// A model holds registrations in the simplest way.
type model map[[2]string]modelled // by user and Call-ID

type modelled struct {
	ip    netip.Addr
	until time.Time
}

func (m model) learn(ev *event.Event) {
	key := [2]string{ev.User, ev.CallID}
	if ev.Name == event.Unregistered {
		delete(m, key)
		return
	}
	if ev.Fields["authenticated"] == "false" {
		return
	}
	seconds, _ := strconv.Atoi(ev.Fields["expires"])
	one := m[key]
	if ev.Fields[Multiple] != "true" {
		maps.DeleteFunc(m, func(other [2]string, _ modelled) bool { return other[0] == ev.User })
	}
	one.ip, one.until = ev.IP, ev.Time.Add(time.Duration(seconds)*time.Second+time.Minute)
	m[key] = one
}

func (m model) holds(network netip.Prefix, now time.Time) bool {
	for _, one := range m {
		if network.Contains(one.ip) && one.until.After(now) {
			return true
		}
	}
	return false
}

// TestRegistrationsAgreeWithModel compares table and model after every random step.
func TestRegistrationsAgreeWithModel(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 7))
		r, m := NewTable(), model{}
		several := fmt.Sprint(seed%2 == 0)
		now := start
		for step := range 200 {
			now = now.Add(time.Duration(rng.IntN(60)) * time.Second)
			ev := phone(event.Registered, fmt.Sprint(1000+rng.IntN(4)), fmt.Sprint(rng.IntN(3)), fmt.Sprintf("203.0.113.%d", rng.IntN(5)))
			ev.Time = now
			switch rng.IntN(6) {
			case 0:
				ev.Name = event.Unregistered
			case 1:
				ev.Fields["authenticated"] = "false"
			}
			ev.Fields[Multiple] = several
			if ev.Name == event.Registered {
				ev.Fields["expires"] = fmt.Sprint(rng.IntN(300))
			}
			r.Learn(ev, now)
			m.learn(ev)
			for _, bits := range []int{32, 30, 24} {
				network := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(rng.IntN(5))}), bits).Masked()
				if got, want := r.Holds(network, now), m.holds(network, now); got != want {
					t.Fatalf("seed %d, step %d: Holds(%s) is %t, want %t", seed, step, network, got, want)
				}
			}
			r.check(t)
		}
	}
}

// check compares the parts of the table with each other.
func (r *Table) check(t *testing.T) {
	t.Helper()
	var byAccount, byPlace int
	for _, all := range r.accounts {
		byAccount += len(all)
	}
	for network, p := range r.places.All() {
		for e := p.Front(); e != nil; e = e.Next() {
			one := e.Value.(*registration)
			byPlace++
			if single(one.addr) != network || r.byEnd[one.index] != one || !slices.Contains(r.accounts[one.account], one) {
				t.Fatalf("%+v is not indexed", one)
			}
		}
	}
	if byAccount != len(r.byEnd) || byPlace != len(r.byEnd) {
		t.Fatalf("%d by account, %d by address, %d by time", byAccount, byPlace, len(r.byEnd))
	}
}

// FuzzLearn learns from any event a source may report.
func FuzzLearn(f *testing.F) {
	f.Add("registered", "1000", "pbx", "a", "sip:1000@192.168.1.10", "60", "true")
	f.Add("unregistered", "1000", "", "", "", "", "")
	f.Add("gateway", "", "", "", "", "-9223372036854775808", "false")
	f.Fuzz(func(t *testing.T, name, user, domain, callID, contact, expires, authenticated string) {
		r, g := NewTable(), NewGateways()
		for i := range 3 {
			ev := &event.Event{Time: after(i), Name: name, Source: "esl.pbx", User: user, Domain: domain, CallID: callID,
				IP:     netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}),
				Fields: map[string]string{"contact": contact, "expires": expires, "authenticated": authenticated, "gateway": user}}
			r.Learn(ev, after(i))
			g.Learn(ev)
			ev.Name = event.Registered
			r.Learn(ev, after(i))
			r.check(t)
		}
		if r.Holds(netip.MustParsePrefix("0.0.0.0/0"), start.Add(longestExpiry+2*grace)) {
			t.Error("registered for longer than the longest expiry")
		}
		g.Trusted()
	})
}

// TestBannedAccount: the registrations of a banned account are in no answer, on any source, until its
// ban ends. Then those that still live are.
func TestBannedAccount(t *testing.T) {
	r := NewTable()
	office := netip.MustParsePrefix("203.0.113.7/32")
	answers := func() string {
		return fmt.Sprint(r.Holds(office, start), r.HasPort(office, 5060, start), r.Settled(office, start, start), r.Addresses(office, start), r.Accounts(office, start, 9))
	}
	none := answers()
	r.SetBanned("1000", "pbx", true)
	for _, ev := range []*event.Event{phone(event.Registered, "1000", "a", "203.0.113.7"), phone(event.Registered, "1000", "b", "203.0.113.7")} {
		ev.Domain, ev.Port, ev.Repeat = "PBX", 5060, true
		r.Learn(ev, start)
	}
	if got := answers(); got != none || r.HasAccount(office, phone(event.AuthFailure, "1000", "", ""), start) {
		t.Errorf("of a banned account: %s, want %s", got, none)
	}
	r.Learn(phone(event.Registered, "1001", "c", "203.0.113.7"), start)
	if got := r.at("203.0.113.7/32", start); got != "1001@pbx" {
		t.Errorf("beside it: %s", got)
	}
	r.SetBanned("1000", "pbx", false)
	if got, want := answers(), "true true true [203.0.113.7] [1000@pbx 1001@pbx]"; got != want {
		t.Errorf("after the ban: %s, want %s", got, want)
	}
}
