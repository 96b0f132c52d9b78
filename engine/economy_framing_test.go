package engine

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

// A framee is an address that an attacker names as the sender of its datagrams.
type framee struct {
	name    string
	addr    string
	prepare func(s *simulation, from netip.AddrPort)
	allowed map[string]string // by set-up: why it can be banned
}

const (
	needsStream = "Needs the event socket, which alone reports gateways"
	needsCalls  = "Needs the event socket or the wire: the log reports no registrations"
	needsWire   = "Needs the wire: no other source reports dialogues, or tells what is forged"
	asOffice    = "By 117 failures in an hour at other accounts, for ten minutes at first: without the wire an attacker with an account looks the same (`protected_failures`)"
	ladder      = "Nothing is known of such an address: it is banned for ten minutes at first. A forger gains nothing by that; trust the address if it matters"
)

var framees = []framee{
	{"trusted", "10.77.1.2", nil, nil},
	{"a gateway", "203.0.113.8", func(s *simulation, from netip.AddrPort) {
		s.report(onStream, event.Event{Name: event.Gateway, IP: from.Addr(), Fields: map[string]string{"gateway": "carrier"}})
	}, map[string]string{"log": needsStream, "wire": needsStream}},
	{"registered a minute before", "203.0.113.8", func(s *simulation, from netip.AddrPort) {
		s.registers(from, "1010", "own")
		s.now = s.now.Add(time.Minute)
	}, map[string]string{"log": needsCalls, "esl": asOffice}},
	{"registered two hours before", "203.0.113.8", func(s *simulation, from netip.AddrPort) {
		s.registers(from, "1010", "own")
		s.now = s.now.Add(2 * time.Hour)
	}, map[string]string{"log": needsCalls, "esl": asOffice}},
	// The longest forgery takes twelve hours, and ends within the day.
	{"a dialogue eleven hours before", "203.0.113.8", func(s *simulation, from netip.AddrPort) {
		s.talks(from)
		s.now = s.now.Add(11 * time.Hour)
	}, map[string]string{"log": needsWire, "esl": needsWire}},
	{"any other", "203.0.113.8", nil, map[string]string{
		"log": ladder, "esl": ladder, "wire": ladder, "esl and wire": ladder,
	}},
}

// certain are the events that a forged datagram does not cause: a password, a connection, or what the
// switch sent elsewhere is needed.
var certain = map[string]bool{
	event.VertoLoginFailure: true, event.ESLDenied: true, event.Registered: true, event.Unregistered: true, event.AuthSuccess: true,
	event.Dialogue: true, event.LogForgery: true,
}

// A forgery is what an attacker sends in the name of a victim.
type forgery struct {
	name string
	send func(s *simulation, from netip.AddrPort)
}

// forgeries are those that reach the thresholds of every shipped rule, as its tests do, guesses at
// several paces, and failures of the addresses beside the victim.
func forgeries(t *testing.T, cfg *config.Config) (all []forgery) {
	for _, test := range cfg.Tests {
		if len(test.Bans) == 0 {
			continue
		}
		spec := cfg.Rules[slices.IndexFunc(cfg.Rules, func(r *rule.Spec) bool { return r.Name == test.Rule })]
		events, err := play(cfg, test.Given)
		if err != nil {
			t.Fatal(err)
		}
		events = slices.DeleteFunc(events, func(ev *event.Event) bool { return ev.Proven || certain[ev.Name] })
		all = append(all, forgery{test.Rule, func(s *simulation, from netip.AddrPort) { s.tells(spec, events, from) }})
	}
	for _, c := range []struct {
		users int
		every time.Duration
	}{{1, 100 * time.Millisecond}, {20, 100 * time.Millisecond}, {1, 30 * time.Second}, {20, 30 * time.Second}} {
		all = append(all, forgery{fmt.Sprintf("guesses at %d accounts, every %s", c.users, c.every), func(s *simulation, from netip.AddrPort) {
			for n := range 300 {
				s.now = s.now.Add(c.every)
				s.fails(try{from: from, method: []string{"REGISTER", "INVITE"}[n%2], user: fmt.Sprint(1000 + n%c.users)})
			}
		}})
	}
	own := netip.MustParseAddr("198.51.100.200")
	all = append(all, forgery{"guesses with nonces of the forger's own address", func(s *simulation, from netip.AddrPort) {
		for n := range 300 {
			s.now = s.now.Add(100 * time.Millisecond)
			s.fails(try{from: from, nonce: own, method: "REGISTER", user: fmt.Sprint(1000 + n%20)})
		}
	}})
	return append(all, forgery{"failures of its neighbours", func(s *simulation, from netip.AddrPort) {
		for n := range 3 * 254 {
			s.now = s.now.Add(100 * time.Millisecond)
			a := from.Addr().As4()
			if a[3] = byte(1 + n%254); netip.AddrFrom4(a) != from.Addr() {
				s.fails(try{from: netip.AddrPortFrom(netip.AddrFrom4(a), 5060), method: "REGISTER", user: fmt.Sprint(1000 + n%50)})
			}
		}
	}})
}

// tells has the switch report events in the name of a victim, from each source that a rule reads and
// that reports them.
func (s *simulation) tells(spec *rule.Spec, events []*event.Event, from netip.AddrPort) {
	start := s.now
	for _, given := range events {
		s.now = start.Add(given.Time.Sub(s.cfg.Numbering.TestStart()))
		for _, source := range s.cfg.Sources {
			if slices.Contains(spec.On, source.Ref) && slices.Contains(source.Description.Events.Names(), given.Name) {
				ev := *given
				ev.IP, ev.Port, ev.NonceIP, ev.Fields = from.Addr(), from.Port(), netip.Addr{}, maps.Clone(given.Fields)
				s.report(source.Ref, ev)
			}
		}
	}
}

// framed returns the forgeries that have a victim banned; if that is allowed, the first.
func framed(t *testing.T, cfg *config.Config, sources []string, who framee, allowed bool) (by []string) {
	from := netip.AddrPortFrom(netip.MustParseAddr(who.addr), 5060)
	for _, f := range forgeries(t, cfg) {
		s := simulate(t, cfg, sources)
		if who.prepare != nil {
			who.prepare(s, from)
			s.settles()
		}
		f.send(s, from)
		s.settles()
		if _, is := s.ledger.Covering(ban.Address(from.Addr())); is && !slices.Contains(by, f.name) {
			if by = append(by, f.name); allowed {
				break
			}
		}
	}
	return by
}
