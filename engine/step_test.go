package engine

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/clock"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/plugin"
)

// A host has a clock that can be stepped.
type host struct{ stepped atomic.Int64 }

func (h *host) off() time.Duration { return time.Duration(h.stepped.Load()) }

func (h *host) step(by time.Duration) { h.stepped.Add(int64(by)) }

func hostOff(by time.Duration) *host {
	h := &host{}
	h.step(by)
	return h
}

func (h *host) clock() *clock.Clock {
	start := time.Now()
	return clock.New(func() time.Time { return time.Now().Add(h.off()) }, func() time.Duration { return time.Since(start) })
}

// A stepping source reports what happens while the clock of the host is stepped. Its own clock is
// behind, and follows the host's or not.
type stepping struct {
	script
	host    *host
	steps   map[int]time.Duration // before the event of that index
	behind  time.Duration
	follows bool
}

func (s *stepping) Follow(_ context.Context, stream plugin.Stream) error {
	stream.Ready()
	for i, ev := range s.events {
		time.Sleep(time.Until(ev.Time))
		synctest.Wait() // what ends at this moment
		s.host.step(s.steps[i])
		ev.Live, ev.Time = true, ev.Time.Add(-s.behind)
		if s.follows {
			ev.Time = ev.Time.Add(s.host.off())
		}
		stream.Emit(&ev)
		synctest.Wait()
	}
	return nil
}

// tellUnstepped is history.tell by a clock that was never stepped. A refusal names times.
func (h *history) tellUnstepped(c *ban.Change, off time.Duration) {
	at := *c
	if at.At = at.At.Add(-off); !at.Until.IsZero() {
		at.Until = at.Until.Add(-off)
	}
	if at.Kind == ban.KindRefuse {
		at.Why = ""
	}
	at.Evidence = nil
	for _, e := range c.Evidence {
		e.Time = e.Time.Add(-off)
		at.Evidence = append(at.Evidence, e)
	}
	h.tell(&at)
}

func runStepping(t *testing.T, s *stepping) (h history) {
	t.Helper()
	s.host = &host{}
	e := New(guessing(t, config.Source{Ref: "log.x", Source: s}), Options{Clock: s.host.clock(), OnChange: func(c *ban.Change) { h.tellUnstepped(c, s.host.off()) }})
	if err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

// TestSteps compares random stories with the same stories under a clock that is stepped at random.
func TestSteps(t *testing.T) {
	bans := 0
	for seed := range uint64(80) {
		rng := rand.New(rand.NewPCG(seed, 1))
		steps := map[int]time.Duration{}
		for range 1 + rng.IntN(6) {
			by := time.Duration(10+rng.IntN(7200)) * time.Second
			if rng.IntN(4) == 0 {
				by = time.Duration(1+rng.IntN(50)) * 365 * 24 * time.Hour
			}
			if rng.IntN(2) == 0 {
				by = -by
			}
			steps[rng.IntN(60)] = by
		}
		story := func(t *testing.T, s *stepping) history {
			s.events = attack(rand.New(rand.NewPCG(seed, 1)), time.Now().Add(time.Second), "log.x")
			return runStepping(t, s)
		}
		var want history
		synctest.Test(t, func(t *testing.T) { want = story(t, &stepping{}) })
		bans += len(want)
		for _, follows := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				want.diff(t, fmt.Sprintf("seed %d, steps %v, follows %v", seed, steps, follows), story(t, &stepping{steps: steps, follows: follows}))
			})
		}
	}
	if bans < 800 {
		t.Errorf("%d changes: the stories are too dull", bans)
	}
}

// memory is a store that outlives engines.
type memory struct {
	records   map[ban.Target]ban.Record
	positions map[string][]byte
}

func newMemory() *memory { return &memory{map[ban.Target]ban.Record{}, map[string][]byte{}} }

func (m *memory) Save(records []ban.Record) error {
	for _, r := range records {
		if r.Ban != nil {
			b := *r.Ban
			r.Ban = &b
		}
		m.records[r.Target] = r
	}
	return nil
}

func (m *memory) Load(each func(ban.Record)) error {
	for _, r := range m.records {
		if !r.Empty() {
			each(r)
		}
	}
	return nil
}

func (m *memory) Evidence(b *ban.Ban) []ban.Evidence {
	if r := m.records[b.Target]; r.Ban != nil {
		return r.Ban.Evidence
	}
	return nil
}

func (m *memory) SavePositions(positions map[string][]byte) error {
	maps.Copy(m.positions, positions)
	return nil
}

func (m *memory) LoadPositions() (map[string][]byte, error) { return maps.Clone(m.positions), nil }

// TestBanThroughSteps: a ban of ten minutes is ten minutes long, through steps of the clock and
// restarts. The time without the program counts if the clock is right; if the clock is earlier than
// before, it does not.
func TestBanThroughSteps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	type run struct {
		off   time.Duration // of the clock when it starts
		lasts time.Duration
		step  time.Duration // in the middle
		pause time.Duration // after it
	}
	for name, test := range map[string]struct {
		runs []run
		left time.Duration // after the runs
	}{
		"a step back":                {[]run{{0, 4 * time.Minute, -2 * time.Hour, 0}}, 6 * time.Minute},
		"a step forward":             {[]run{{0, 4 * time.Minute, 2 * time.Hour, 0}}, 6 * time.Minute},
		"boot before NTP":            {[]run{{-30 * year, 4 * time.Minute, 30 * year, 0}}, 6 * time.Minute},
		"a restart":                  {[]run{{0, 2 * time.Minute, 0, 3 * time.Minute}, {0, time.Minute, 0, 0}}, 4 * time.Minute},
		"a restart after a step":     {[]run{{0, 2 * time.Minute, -time.Hour, 3 * time.Minute}, {-time.Hour, time.Minute, 0, 0}}, 4 * time.Minute},
		"a restart under 1970":       {[]run{{0, 2 * time.Minute, 0, time.Minute}, {-30 * year, 2 * time.Minute, 0, 0}}, 6 * time.Minute},
		"and NTP after it":           {[]run{{0, 2 * time.Minute, 0, time.Minute}, {-30 * year, 2 * time.Minute, 30 * year, time.Minute}, {0, time.Minute, 0, 0}}, 4 * time.Minute},
		"and NTP while it is down":   {[]run{{0, 2 * time.Minute, 0, 0}, {-30 * year, 2 * time.Minute, 0, 0}}, 6 * time.Minute},
		"and while it is down again": {[]run{{-30 * year, 2 * time.Minute, 0, 0}, {0, 2 * time.Minute, 0, 0}}, 6 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(30 * year) // since 2000
			store := newMemory()
			target := ban.Address(netip.MustParseAddr("203.0.113.7"))
			for i, r := range test.runs {
				h := hostOff(r.off)
				e := New(guessing(t, config.Source{Ref: "log.x", Source: quiet{&script{}}}), Options{Clock: h.clock()})
				if err := e.Restore(store, time.Now().Add(h.off())); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- e.Run(ctx) }()
				if i == 0 {
					_, _ = e.Ban(ctx, []ban.Order{{Target: target, Author: "api", At: time.Now().Add(h.off()), Terms: []ban.Term{mustTerm(t, "10m")}}})
				}
				time.Sleep(r.lasts / 2)
				h.step(r.step)
				time.Sleep(r.lasts / 2)
				b, banned := e.Ledger().Covering(target)
				now := time.Now().Add(h.off())
				if last := i == len(test.runs)-1; !banned || last && b.Until.Sub(now) != test.left || b.Until.Sub(b.Start) != 10*time.Minute {
					t.Errorf("%s: run %d: banned %v, from %s until %s, at %s", name, i, banned, b.Start, b.Until, now)
				}
				if i == len(test.runs)-1 {
					time.Sleep(test.left - time.Second)
					_, before := e.Ledger().Covering(target)
					time.Sleep(2 * time.Second)
					if _, after := e.Ledger().Covering(target); !before || after {
						t.Errorf("%s: banned %v a second before the end, %v after it", name, before, after)
					}
				}
				cancel()
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
				time.Sleep(r.pause)
			}
		})
	}
}

// A quiet source has nothing to report.
type quiet struct{ *script }

func (quiet) Follow(ctx context.Context, stream plugin.Stream) error {
	stream.Ready()
	<-ctx.Done()
	return nil
}
