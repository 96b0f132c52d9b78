package clock

import (
	"math/rand/v2"
	"testing"
	"time"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// every passes n stamps to an offset, one per interval; late says by how much each is late.
func every(o *Offset, from time.Time, interval time.Duration, n int, late func(i int) time.Duration) time.Time {
	for i := range n {
		o.Observe(from.Add(-late(i)), from)
		from = from.Add(interval)
	}
	return from
}

func always(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

func TestOffset(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, test := range map[string]struct {
		interval time.Duration
		n        int
		late     func(i int) time.Duration
		want     time.Duration
	}{
		"right":                   {time.Second, 100, always(30 * time.Millisecond), 0},
		"within the tolerance":    {time.Second, 100, always(Tolerance), 0},
		"late now and then":       {time.Second, 1000, func(int) time.Duration { return time.Duration(rng.ExpFloat64() * float64(time.Second)) }, 0},
		"another zone":            {time.Second, 4, always(2 * time.Hour), 2 * time.Hour},
		"ahead":                   {time.Second, 4, always(-4 * time.Hour), -4 * time.Hour},
		"too few":                 {time.Minute, 3, always(2 * time.Hour), 0},
		"within a moment":         {time.Millisecond, 1000, always(2 * time.Hour), 0},
		"hourly":                  {time.Hour, 10, always(20 * time.Minute), 20 * time.Minute},
		"the least of the delays": {time.Second, 10, func(i int) time.Duration { return time.Hour + time.Duration(i%5)*400*time.Millisecond }, time.Hour},
		// A line a second was held up for five hours and arrives within five seconds.
		"a queue that lets go": {5 * time.Second / 18000, 18000, func(i int) time.Duration { return 5*time.Hour - time.Duration(i)*time.Second }, 0},
		// A failure an hour was held up for five hours.
		"a phone in a queue that lets go": {time.Millisecond, 6, func(i int) time.Duration { return time.Duration(5-i) * time.Hour }, 0},
		// A caller writes every other line, and chooses its stamp.
		"forged stamps": {time.Second, 1000, func(i int) time.Duration { return time.Duration(i%2) * -10 * time.Hour }, 0},
	} {
		var o Offset
		if every(&o, noon, test.interval, test.n, test.late); o.By != test.want {
			t.Errorf("%s: %s, want %s", name, o.By, test.want)
		}
	}
}

// TestDrift: a clock that loses 0.1 s a minute is followed, and so is one that is set right.
func TestDrift(t *testing.T) {
	var o Offset
	at := noon
	for minute := range 24 * 60 {
		behind := time.Duration(minute) * 100 * time.Millisecond
		at = every(&o, at, 10*time.Second, 6, always(behind))
		if off := (o.By - behind).Abs(); off > Tolerance+time.Second || behind > 2*Tolerance && off > 2*time.Second {
			t.Fatalf("%s behind, taken for %s", behind, o.By)
		}
	}
	if every(&o, at, time.Second, 10, always(0)); o.By != 0 {
		t.Errorf("set right, taken for %s behind", o.By)
	}
}

// TestQueueAfterOffset: the clock is known, a queue stalls and lets go, and nothing changes.
func TestQueueAfterOffset(t *testing.T) {
	var o Offset
	at := every(&o, noon, time.Second, 10, always(time.Hour))
	at = every(&o, at.Add(time.Minute), time.Millisecond, 60, func(i int) time.Duration { return time.Hour + time.Duration(60-i)*time.Second })
	if o.By != time.Hour {
		t.Error(o.By)
	}
	if every(&o, at, time.Second, 10, always(time.Hour)); o.By != time.Hour {
		t.Error(o.By)
	}
}

// TestStep: the host's clock is stepped; the clock of a source follows, or goes on.
func TestStep(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour, 56 * 365 * 24 * time.Hour} {
		for _, before := range []time.Duration{0, 2 * time.Hour} {
			for _, follows := range []bool{true, false} {
				var o Offset
				at := every(&o, noon, time.Second, 10, always(before)).Add(by)
				want := before
				if !follows {
					want += by
				}
				o.Step(by)
				if moved := o.Observe(at.Add(-want), at); o.By != want || moved != want-before {
					t.Errorf("%s before, stepped by %s, follows %v: %s, moved %s", before, by, follows, o.By, moved)
				}
			}
		}
	}
}
