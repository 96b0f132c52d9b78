package logfile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

// TestForgeryInLogin checks lines inside the user name of a verto login.
func TestForgeryInLogin(t *testing.T) {
	for _, test := range []struct {
		name  string
		write func(s *stage)
		want  string
	}{
		{"an open login", func(s *stage) {
			s.WriteString(s.header(s.now, "WARNING", "mod_verto.c") + "Login incorrect for user: 1000\n" + s.failure(s.now, victim) + "x domain: pbx\n")
		}, "forgery of " + victim},
		{"with the client and the beginning of another login in it", func(s *stage) {
			for _, ip := range []string{caller, bystander} {
				s.WriteString(s.header(s.now, "DEBUG", "mod_verto.c") + ip + ":40000 Starting client thread.\n")
				s.WriteString(s.header(s.now, "WARNING", "mod_verto.c") + "Login incorrect for user: 1000\n")
			}
			s.WriteString(s.failure(s.now, victim) + "x domain: pbx\n")
		}, "forgery of " + victim},
		{"with the head of another client's packet in it", func(s *stage) {
			s.WriteString(s.header(s.now, "WARNING", "mod_verto.c") + "Login incorrect for user: 1000\nrecv 3500 bytes from udp/[" + bystander + "]:5060 at 01:02:03.000000:\n")
			s.WriteString(s.failure(s.now, victim) + "x domain: pbx\n")
		}, "forgery of " + victim},
		{"that seems to end, and another to begin, with a later stamp", func(s *stage) {
			login := s.header(s.now, "WARNING", "mod_verto.c") + "Login incorrect for user: "
			s.WriteString(login + "1 domain: y\n" + s.failure(s.now.Add(time.Second), victim) + login + "1 domain: pbx\n")
			for range 60 {
				s.WriteString(s.header(s.now, "DEBUG", "mod_x.c") + "Some line that means nothing, and goes on for a while so that it is long\n")
			}
		}, "forgery of " + victim},
		{"a login that seems to end, with another stamp", func(s *stage) {
			s.WriteString(s.header(s.now, "WARNING", "mod_verto.c") + "Login incorrect for user: 1 domain: y\n" + s.failure(s.now.Add(-time.Second), victim))
			s.WriteString(s.header(s.now.Add(-time.Second), "DEBUG", "x.c") + "z domain: pbx\n")
		}, "forgery of " + victim},
		{"true, behind a whole login", func(s *stage) {
			s.WriteString(s.header(s.now, "WARNING", "mod_verto.c") + "Login incorrect for user: 1000 domain: pbx\n" + s.failure(s.now, victim))
		}, "auth_failure " + victim},
		{"true, behind a login that an attacker invented", func(s *stage) {
			s.opens(session, caller, "x\n"+strings.TrimSpace(s.header(s.now, "WARNING", "mod_verto.c")+"Login incorrect for user: 1000"))
			s.WriteString(s.failure(s.now, victim))
			s.goesOn(session, 20)
		}, "auth_failure " + victim},
	} {
		s := newStage()
		test.write(s)
		got := strings.TrimPrefix(s.kinds(builtinSource()), "verto_login_failure invalid IP, ")
		got = strings.TrimSuffix(got, ", verto_login_failure invalid IP")
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// TestForgeryInTrace checks lines inside a packet of a SIP trace. The head of the packet
// tells its length.
func TestForgeryInTrace(t *testing.T) {
	const head = "recv %d bytes from udp/[%s]:44287 at %s:\n------------------------------------------------------------------------\n"
	packet := func(s *stage, at time.Time, body string) string {
		text := "MESSAGE sip:1001@pbx SIP/2.0\nContent-Length: 300\n\n" + body
		return fmt.Sprintf(head, len(text)+strings.Count(text, "\n"), caller, at.Format("15:04:05.000000")) + text
	}
	for _, test := range []struct {
		name  string
		write func(s *stage)
		want  string
	}{
		{"a forged line", func(s *stage) {
			s.WriteString(packet(s, s.now, s.failure(s.now.Add(time.Second), victim)))
		}, "forgery of " + victim},
		{"of the packet's time", func(s *stage) {
			s.WriteString(packet(s, s.now, s.failure(s.now, victim)))
		}, "forgery of " + victim},
		{"behind many short lines, and a head that the sender wrote", func(s *stage) {
			inner := fmt.Sprintf(head, 5000, bystander, "11:22:33.000000")
			s.WriteString(fmt.Sprintf(head, 900, caller, "11:22:33.000000") + strings.Repeat("a\n", 300) + inner + s.failure(s.now.Add(time.Second), victim))
		}, "forgery of " + victim},
		{"behind a head that the sender wrote", func(s *stage) {
			inner := fmt.Sprintf(head, 5000, bystander, "11:22:33.000000")
			s.WriteString(packet(s, s.now, inner+s.failure(s.now.Add(time.Second), victim)))
		}, "forgery of " + victim},
		{"true, behind the packet", func(s *stage) {
			s.WriteString(packet(s, s.now, "") + "\n\n" + s.failure(s.now.Add(time.Second), victim))
		}, "auth_failure " + victim},
	} {
		s := newStage()
		test.write(s)
		if got := s.kinds(builtinSource()); got != test.want {
			t.Errorf("%s: %s, want %s in\n%s", test.name, got, test.want, s.String())
		}
	}
}

// TestSender checks that an event of a log that must be corroborated names the sender of
// the request that was logged just before, if that is certain.
func TestSender(t *testing.T) {
	source := builtinSource()
	source.detect, source.corroborate.Value = false, "esl.pbx"
	s := newStage()
	s.goesOn(session, 20)
	s.opens(session, caller, "x")
	s.WriteString(s.failure(s.now.Add(time.Hour), victim)) // for the other source to judge
	s.goesOn(session, 20)
	for range 20 {
		s.WriteString(s.header(s.now, "DEBUG", "mod_x.c") + "Some line that means nothing, and goes on for a while so that it is long\n")
	}
	s.WriteString(s.failure(s.now, bystander))
	var got []string
	for _, e := range source.collect(strings.NewReader(s.String()), time.Time{}, nil, defaultSizes()).events {
		if e.Name == event.AuthFailure {
			got = append(got, fmt.Sprint(e.IP, " after ", e.Sender))
		}
	}
	if want := victim + " after " + caller + ", " + bystander + " after invalid IP"; strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
}
