package logfile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// TestHourThatComesTwice writes a failure every ten minutes through the night in
// which the clocks go back, and wants the times back in which it was done.
func TestHourThatComesTwice(t *testing.T) {
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

// TestWhatFollowsIsNoFurtherLine damages the log behind an event, in ways that no
// caller can.
func TestWhatFollowsIsNoFurtherLine(t *testing.T) {
	const failure = "2026-05-04 10:11:12.131415 97.10% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@pbx] from ip 203.0.113.7\n"
	for name, c := range map[string]struct {
		after string
		want  int
	}{
		"a header that is not finished":  {"2026-05-04 10:11:59.0000", 1},
		"a UUID that is not finished":    {"f3a8b1c2-0d4e-4f", 1},
		"noise":                          {"\xff\xfe\x00noise\n" + failure, 2},
		"a line too long for anybody":    {strings.Repeat("x", 200_000) + "\n" + failure, 2},
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
