package engine

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"
)

var morning = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)

// A story is an engine that is passed events one by one.
type story struct {
	*Engine
	t       *testing.T
	now     time.Time
	expires string // what registrations say of their time
	got     []ban.Change
	cursor  *ban.Cursor
	changes []*ban.Change
}

// tell starts a story in the morning, with the rules of guessing unless others are
// given.
func tellStory(t *testing.T, rules ...*rule.Spec) *story {
	t.Helper()
	s := &story{t: t, now: morning}
	cfg := guessing(t, config.Source{Ref: "log.x", Source: &script{}})
	if len(rules) > 0 {
		cfg.Rules = rules
	}
	s.Engine = New(cfg, Options{OnChange: func(c *ban.Change) { s.got = append(s.got, *c) }})
	s.cursor = s.ledger.Cursor(false, ban.Told)
	return s
}

// banning is the first rule of guessing alone: three failures in a minute.
func banning(t *testing.T) *rule.Spec {
	spec := *guessing(t, config.Source{Ref: "log.x"}).Rules[0]
	spec.Brake = nil
	return &spec
}

// hears passes an event, one second after the one before; "" is no address.
func (s *story) hears(name, user, ip string) {
	s.t.Helper()
	s.now = s.now.Add(time.Second)
	ev := &event.Event{Time: s.now, Name: name, Source: "log.x", User: user, Domain: "pbx", Fields: map[string]string{"gateway": user, "expires": s.expires}}
	if ip != "" {
		ev.IP = netip.MustParseAddr(ip)
	}
	s.observe(ev, s.now)
	if err := s.settle(); err != nil {
		s.t.Fatal(err)
	}
	changes, _ := s.cursor.Take()
	s.changes = append(s.changes, changes...)
}

func (s *story) fails(times int, user, ip string) {
	s.t.Helper()
	for range times {
		s.hears(event.AuthFailure, user, ip)
	}
}

// said returns the changes so far in words.
func (s *story) said() string {
	var lines []string
	for _, v := range s.got {
		lines = append(lines, fmt.Sprintf("%s %s: %s", v.Kind, v.Target.String(), v.Text()))
	}
	return strings.Join(lines, "\n")
}

func (s *story) want(said ...string) {
	s.t.Helper()
	if got := s.said(); got != strings.Join(said, "\n") {
		s.t.Errorf("verdicts:\n%s\nwant:\n%s", got, strings.Join(said, "\n"))
	}
}
