package clock

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	wall, elapsed, slow := noon, time.Hour, time.Duration(0)
	c := New(func() time.Time { elapsed += slow; return wall }, func() time.Duration { return elapsed })
	pass := func(d time.Duration) { wall, elapsed = wall.Add(d), elapsed+d }
	pass(time.Minute)
	if by := c.Stepped(); by != 0 || !c.Now().Equal(wall) {
		t.Errorf("stepped by %s, now %s", by, c.Now())
	}
	for range 9 { // of little steps, the first ones wait
		wall = wall.Add(100 * time.Millisecond)
		if by := c.Stepped(); by != 0 {
			t.Errorf("stepped by %s", by)
		}
	}
	wall = wall.Add(100 * time.Millisecond)
	for _, step := range []time.Duration{0, -2 * time.Hour, 30 * 365 * 24 * time.Hour} {
		before := c.Now()
		wall = wall.Add(step)
		by := c.Stepped()
		if want := wall.Sub(before); by != want || !c.Now().Equal(before) {
			t.Errorf("stepped by %s, want %s; moved by itself %s", by, want, c.Now().Sub(before))
		}
		if c.Follow(by); c.Stepped() != 0 || !c.Now().Equal(wall) {
			t.Errorf("followed to %s, want %s", c.Now(), wall)
		}
	}
	slow = time.Second // the program is interrupted between two readings
	if by := c.Stepped(); by != 0 {
		t.Errorf("stepped by %s", by)
	}
}

func TestHostClocks(t *testing.T) {
	for name, c := range map[string]*Clock{"since boot": SinceBoot(), "monotonic": Monotonic()} {
		if off := time.Since(c.Now()).Abs(); c.Stepped() != 0 || off > leastStep {
			t.Errorf("%s: %s off", name, off)
		}
	}
}
