package engine

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/clock"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
)

// A simulated switch reports to an engine, and its clock is simulated too.
type simulation struct {
	*Engine
	t       *testing.T
	sources []string
	began   time.Time
	now     time.Time     // of an observer whose clock is never stepped
	off     time.Duration // of the host's clock
	store   *memory
	forged  uint32 // senders so far
}

func simulate(t *testing.T, cfg *config.Config, sources []string) *simulation {
	s := &simulation{t: t, sources: sources, began: morning, now: morning, store: newMemory()}
	s.boot(cfg)
	return s
}

// boot starts an engine with the state that was saved.
func (s *simulation) boot(cfg *config.Config) {
	s.Engine = New(cfg, Options{Clock: clock.New(s.wall, func() time.Duration { return s.now.Sub(s.began) })})
	if err := s.Restore(s.store, s.wall()); err != nil {
		s.t.Fatal(err)
	}
}

// reboot ends the engine in good order, and starts another.
func (s *simulation) reboot() {
	s.keep()
	if err := s.settle(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.store.SavePositions(s.live.sources.moved); err != nil {
		s.t.Fatal(err)
	}
	s.boot(s.cfg)
}

func (s *simulation) wall() time.Time { return s.now.Add(s.off) }

// stepClock steps the clock of the host.
func (s *simulation) stepClock(by time.Duration) {
	s.off += by
	s.tick()
}

// report passes an event on as a source that hears it.
func (s *simulation) report(source string, ev event.Event) {
	if !slices.Contains(s.sources, source) {
		return
	}
	ev.Source, ev.Time, ev.Live = source, s.wall(), true
	if ev.Domain == "" {
		ev.Domain = "pbx.example.org"
	}
	s.observe(&ev, s.wall())
}

// settles makes the decisions so far take effect.
func (s *simulation) settles() {
	if err := s.settle(); err != nil {
		s.t.Fatal(err)
	}
}

// dropped reports whether the kernel drops what an address sends, and until when.
func (s *simulation) dropped(from netip.AddrPort, protocol ban.Protocol) (until time.Time, is bool) {
	s.advance(s.wall())
	for _, target := range []ban.Target{ban.Address(from.Addr()), ban.Endpoint(from, protocol)} {
		if b, banned := s.ledger.Covering(target); banned {
			return b.Until.Add(-s.off), true
		}
	}
	return time.Time{}, false
}

// A try is one request with credentials that the switch answers.
type try struct {
	from    netip.AddrPort
	nonce   netip.Addr // to which the nonce was sent; invalid: not known
	method  string     // "verto": a browser's login
	tcp     bool
	user    string
	domain  string
	unknown bool // there is no such account
}

// fails has the switch refuse a password.
func (s *simulation) fails(c try) {
	ev := event.Event{IP: c.from.Addr(), Port: c.from.Port(), User: c.user, Domain: c.domain, Method: c.method}
	if c.method == "verto" {
		ev.Name, ev.Method, ev.Proven = event.VertoLoginFailure, "", true
		s.report(onStream, ev)
		return
	}
	ev.Name = event.AuthFailure
	if c.method == "REGISTER" || c.method == "INVITE" { // it reports no others
		for _, source := range []string{onStream, inLog} {
			heard := ev
			if source == inLog && c.method == "INVITE" {
				heard.User, heard.Domain = "", ""
			}
			s.report(source, heard)
			if c.unknown {
				heard.Name, heard.Repeat, heard.User = event.UnknownUser, true, c.user
				s.report(source, heard)
			}
		}
	}
	ev.Transport, ev.Answer = "udp", 403
	if c.tcp {
		ev.Transport = "tcp"
	}
	ev.NonceIP = c.nonce
	switch {
	case c.tcp || c.nonce == ev.IP:
		ev.Proven = true
	case c.nonce.IsValid():
		ev.Fields = map[string]string{"sender": ev.IP.String()}
		ev.IP, ev.Port, ev.Proven = c.nonce, 0, true
	}
	s.report(onWire, ev)
}

// registers has the switch accept a registration.
func (s *simulation) registers(from netip.AddrPort, user, callID string) {
	ev := event.Event{IP: from.Addr(), Port: from.Port(), User: user, Method: "REGISTER", CallID: callID, Transport: "udp", Proven: true, NonceIP: from.Addr()}
	for _, name := range []string{event.AuthSuccess, event.Registered} {
		ev.Name = name
		if name == event.Registered {
			ev.Fields = map[string]string{"authenticated": "true", "expires": "86400", "contact": "sip:" + user + "@" + from.String()}
		}
		s.report(onStream, ev)
		s.report(onWire, ev)
	}
	s.talks(from)
}

// talks has an address complete a dialogue.
func (s *simulation) talks(from netip.AddrPort) {
	s.report(onWire, event.Event{Name: event.Dialogue, IP: from.Addr(), Port: from.Port(), Proven: true})
}

// sender returns another address that is forged.
func (s *simulation) sender() netip.AddrPort {
	s.forged++
	n := s.forged
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{20 + byte(n>>24), byte(n >> 16), byte(n >> 8), byte(n)}), 5060)
}
