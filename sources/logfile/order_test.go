package logfile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// TestRepeatedHour writes a failure every ten minutes through the night in which the
// clocks go back, and checks the times of the events.
func TestRepeatedHour(t *testing.T) {
	for zone, start := range map[string]time.Time{
		"Europe/Berlin":       time.Date(2025, 10, 25, 23, 0, 0, 0, time.UTC),
		"America/New_York":    time.Date(2025, 11, 2, 4, 0, 0, 0, time.UTC),
		"Australia/Lord_Howe": time.Date(2026, 4, 4, 13, 0, 0, 0, time.UTC), // half an hour back
		"UTC":                 time.Date(2025, 10, 25, 23, 0, 0, 0, time.UTC),
	} {
		where, err := time.LoadLocation(zone)
		if err != nil {
			t.Skipf("no table of time zones: %v", err)
		}
		var log strings.Builder
		var want []time.Time
		for i := range 30 {
			at := start.Add(time.Duration(i) * 10 * time.Minute)
			want = append(want, at)
			fmt.Fprintf(&log, "%s 97.10%% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@pbx] from ip 203.0.113.7\n",
				at.In(where).Format("2006-01-02 15:04:05.000000"))
		}
		s, diags := newFrom(t, fmt.Sprintf("timezone = %q", zone))
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		var got []time.Time
		_, err = s.Replay(t.Context(), plugin.Recording{Name: zone, R: strings.NewReader(log.String())}, nil, func(ev *event.Event) error {
			got = append(got, ev.Time)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if i >= len(got) || !got[i].Equal(want[i]) {
				t.Errorf("%s: event %d of %d is not at %s", zone, i, len(got), want[i])
				break
			}
		}
	}
}

// TestDamageBehind damages the log behind an event in ways that no attacker can, and in
// ways that one can.
func TestDamageBehind(t *testing.T) {
	const failure = "2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@pbx] from ip 203.0.113.7\n"
	for name, c := range map[string]struct {
		after string
		want  int
	}{
		"a header that is not finished":  {"2026-05-04 10:11:59.0000", 1},
		"a UUID that is not finished":    {"f3a8b1c2-0d4e-4f", 1},
		"noise":                          {"\xff\xfe\x00noise\n" + failure, 2},
		"a line that is too long":        {strings.Repeat("x", 200_000) + "\n" + failure, 2},
		"a folded line":                  {" @pbx] from ip 192.0.2.1\n", 0},
		"a folded line of any length":    {" " + strings.Repeat("x", 200_000) + "\n", 0},
		"an empty line":                  {"\n", 0},
		"text":                           {"evil\n", 0},
		"a header's beginning, finished": {"2026-05-04 evil\n", 0},
	} {
		s, diags := newFrom(t, `timezone = "UTC"`)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		got := 0
		_, err := s.Replay(t.Context(), plugin.Recording{Name: name, R: strings.NewReader(failure + c.after)}, nil, func(*event.Event) error {
			got++
			return nil
		})
		if err != nil || got != c.want {
			t.Errorf("%s: %d events, %v; want %d", name, got, err, c.want)
		}
	}
}

func TestRepeats(t *testing.T) {
	const userACL = "IP 192.0.2.179 Rejected by user acl [trusted] and no proxy acl present"
	type step struct {
		at     time.Duration
		name   string
		ip     string
		detail string // the message, or the call-id
		repeat bool
	}
	for name, steps := range map[string][]step{
		"unknown user": {
			{0, event.UnknownUser, "192.0.2.1", "", false},
			{0, event.AuthFailure, "192.0.2.2", "", false},
			{100 * time.Millisecond, event.AuthFailure, "192.0.2.1", "", true},
			{100 * time.Millisecond, event.AuthFailure, "192.0.2.1", "", false},
		},
		"too late": {
			{0, event.UnknownUser, "192.0.2.1", "", false},
			{101 * time.Millisecond, event.AuthFailure, "192.0.2.1", "", false},
			{101 * time.Millisecond, event.AuthFailure, "192.0.2.1", "", false},
		},
		"several attempts at once": {
			{0, event.UnknownUser, "192.0.2.1", "", false},
			{0, event.UnknownUser, "192.0.2.1", "", false},
			{0, event.AuthFailure, "192.0.2.1", "", true},
			{0, event.AuthFailure, "192.0.2.1", "", true},
			{0, event.AuthFailure, "192.0.2.1", "", false},
		},
		"the announced one never came": {
			{0, event.UnknownUser, "192.0.2.1", "", false},
			{time.Minute, event.UnknownUser, "192.0.2.1", "", false},
			{time.Minute, event.AuthFailure, "192.0.2.1", "", true},
			{time.Minute, event.AuthFailure, "192.0.2.1", "", false},
		},
		"user acl": {
			{0, event.ACLReject, "192.0.2.1", userACL, false},
			{0, event.AuthFailure, "192.0.2.1", "", true},
		},
		"other acl": {
			{0, event.ACLReject, "192.0.2.1", `IP 203.0.113.6 Rejected by register acl "trusted"`, false},
			{0, event.AuthFailure, "192.0.2.1", "", false},
		},
		"invite": {
			{0, event.Call, "192.0.2.1", "a", false},
			{0, event.Call, "192.0.2.1", "b", false},
			{0, event.Call, "192.0.2.2", "a", false},
			{32 * time.Second, event.Call, "192.0.2.1", "a", true},
			{33 * time.Second, event.Call, "192.0.2.1", "a", false},
			{33 * time.Second, event.Call, "192.0.2.1", "b", false},
			{33 * time.Second, event.Call, "192.0.2.1", "b", true},
		},
		"invite without a call-id": {
			{0, event.Call, "192.0.2.1", "", false},
			{0, event.Call, "192.0.2.1", "", false},
		},
		"without an address": {
			{0, event.UnknownUser, "", "", false},
			{0, event.AuthFailure, "", "", false},
		},
	} {
		var r repeatMarker
		for i, s := range steps {
			e := event.Event{Time: time.Unix(0, 0).Add(s.at), Name: s.name, Message: s.detail, CallID: s.detail}
			e.IP, _, _ = event.ParseAddr(s.ip)
			r.mark(&e)
			if e.Repeat != s.repeat {
				t.Errorf("%s: step %d: repeat is %v", name, i, e.Repeat)
			}
		}
	}
}

// TestRepeatOfUnwanted checks that a repeat is marked also if the report that it repeats
// is not wanted.
func TestRepeatOfUnwanted(t *testing.T) {
	got := builtinSource().collect(strings.NewReader(unknownLine+unknownText+failureLine), time.Time{}, map[string]bool{event.AuthFailure: true}, defaultSizes())
	if len(got.events) != 1 || !got.events[0].Repeat {
		t.Errorf("%+v", got.events)
	}
}
