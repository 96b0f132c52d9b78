package engine

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// A misdated source reports failures of an address as they happen, stamped by a wrong clock.
type misdated struct {
	script
	backlog []time.Duration // before the start
	behind  time.Duration
	when    []time.Duration // after the start
	held    bool            // a queue lets go of all of them at the end
}

func (s *misdated) Describe() plugin.Description {
	d := s.script.Describe()
	d.Log = true
	return d
}

func (s *misdated) Follow(_ context.Context, stream plugin.Stream) error {
	stream.Ready()
	start := time.Now()
	emit := func(at time.Time, live bool) {
		ev := &event.Event{Time: at.Add(-s.behind), Live: live, Name: event.AuthFailure, Source: "log.x", User: "1000", IP: netip.MustParseAddr("203.0.113.7")}
		stream.Progress.Emitted(ev)
		stream.Emit(ev)
	}
	for _, before := range s.backlog {
		emit(start.Add(-before), false)
	}
	if s.held {
		time.Sleep(s.when[len(s.when)-1])
	}
	for _, after := range s.when {
		time.Sleep(time.Until(start.Add(after)))
		emit(start.Add(after), true)
	}
	return nil
}

// each lists n moments.
func each(interval time.Duration, n int) (when []time.Duration) {
	for i := range n {
		when = append(when, time.Duration(i)*interval)
	}
	return when
}

// TestWrongSourceClock: three failures in a minute are banned for 40 seconds, by whatever clock
// they are stamped.
func TestWrongSourceClock(t *testing.T) {
	for _, behind := range []time.Duration{0, 20 * time.Minute, 2 * time.Hour, -2 * time.Hour, 30 * time.Second} {
		for _, test := range []struct {
			when []time.Duration
			want string // kind, offence, and seconds after the start
		}{
			{each(time.Millisecond, 3), "ban 1 at 0s until 40s"},
			{each(29*time.Second, 3), "ban 1 at 58s until 1m38s"},
			// The offset is known at the fourth.
			{append(each(time.Second, 2), 70*time.Second, 71*time.Second, 90*time.Second), "ban 1 at 1m30s until 2m10s"},
			{append(each(time.Second, 3), each(45*time.Second, 4)...), "ban 1 at 2s until 42s"},
		} {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var got []string
				e := New(guessing(t, config.Source{Ref: "log.x", Source: &misdated{behind: behind, when: test.when}}), Options{OnChange: func(c *ban.Change) {
					if c.Kind == ban.KindBan {
						got = append(got, fmt.Sprintf("%s %d at %s until %s", c.Kind, c.Offence, c.At.Sub(start).Round(time.Second), c.Until.Sub(start).Round(time.Second)))
					}
				}})
				if err := e.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if strings.Join(got, "\n") != test.want {
					t.Errorf("%s behind, failures at %s: %q, want %q", behind, test.when, got, test.want)
				}
			})
		}
	}
}

// TestWrongClockIsReported: the status says by how much a clock is wrong, and what to do.
func TestWrongClockIsReported(t *testing.T) {
	for behind, want := range map[time.Duration]string{
		2 * time.Second:  "",
		20 * time.Minute: "its stamps are 20m behind this host's clock, and are corrected: set the clocks with NTP",
		-2 * time.Hour:   "its stamps are 2h ahead of this host's clock, and are corrected: set timezone in the source's block",
	} {
		synctest.Test(t, func(t *testing.T) {
			source := &misdated{behind: behind, when: append(each(time.Second, 4), time.Hour)}
			e := New(guessing(t, config.Source{Ref: "log.x", Source: source}), Options{})
			go func() { _ = e.Run(t.Context()) }()
			time.Sleep(time.Minute)
			s, err := e.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var told []string
			for _, p := range status.Problems(&s, nil) {
				if p.Subject == "source log.x" {
					told = append(told, p.Text)
				}
			}
			if got := strings.Join(told, "\n"); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
				t.Errorf("%s behind: %q", behind, got)
			}
			if last := s.Sources[0].LastEvent; (time.Since(last) - 58*time.Second).Abs() > time.Second {
				t.Errorf("%s behind: last event %s ago", behind, time.Since(last))
			}
			time.Sleep(time.Hour)
		})
	}
}

// bans runs a source, and lists its bans with their ends in seconds after the start.
func (s *misdated) bans(t *testing.T, store Store) (got []string) {
	t.Helper()
	start := time.Now()
	e := New(guessing(t, config.Source{Ref: "log.x", Source: s}), Options{OnChange: func(c *ban.Change) {
		if c.InForce() {
			got = append(got, fmt.Sprintf("%s %d until %s", c.Kind, c.Offence, c.Until.Sub(start).Round(time.Second)))
		}
	}})
	if err := e.Restore(store, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestBacklog: what was written while the guard was not running counts at its own time, shifted by
// the offset that was known, and together with what is written now.
func TestBacklog(t *testing.T) {
	for _, behind := range []time.Duration{0, 20 * time.Minute, -2 * time.Hour} {
		for _, test := range []struct {
			backlog, when []time.Duration
			want          string
		}{
			{[]time.Duration{30 * time.Second, 25 * time.Second, 20 * time.Second}, nil, "ban 1 until 20s"},
			{[]time.Duration{30 * time.Second, 20 * time.Second}, []time.Duration{10 * time.Second}, "ban 1 until 50s"},
			{[]time.Duration{70 * time.Second, 20 * time.Second}, []time.Duration{10 * time.Second}, ""},
		} {
			synctest.Test(t, func(t *testing.T) {
				store := newMemory()
				(&misdated{behind: behind, when: append(each(90*time.Second, 3), 180*time.Second, 275*time.Second)}).bans(t, store)
				time.Sleep(time.Hour)
				if got := strings.Join((&misdated{backlog: test.backlog, behind: behind, when: test.when}).bans(t, store), "\n"); got != test.want {
					t.Errorf("%s behind, backlog %s, then %s: %q, want %q", behind, test.backlog, test.when, got, test.want)
				}
			})
		}
	}
}

// TestTimezoneIsSet: the operator sets the timezone while the guard is not running. Failures that were
// far apart do not come together.
func TestTimezoneIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		(&misdated{behind: 2 * time.Hour, when: append(each(90*time.Second, 3), 180*time.Second, 275*time.Second)}).bans(t, store)
		time.Sleep(5 * time.Hour)
		backlog := []time.Duration{5 * time.Hour, 4 * time.Hour, 3 * time.Hour, 2 * time.Hour, time.Hour, 30 * time.Minute, 10 * time.Minute}
		if got := (&misdated{backlog: backlog, when: each(time.Hour, 6)}).bans(t, store); got != nil {
			t.Errorf("%q", got)
		}
	})
}

// TestHeldUp: a queue holds up failures that were far apart, and lets go of them at once.
func TestHeldUp(t *testing.T) {
	for _, behind := range []time.Duration{0, 2 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			store := newMemory()
			if got := (&misdated{behind: behind, when: each(time.Hour, 6), held: true}).bans(t, store); got != nil {
				t.Errorf("%s behind: %q", behind, got)
			}
		})
	}
}
