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
	if now, by := c.Stepped(); by != 0 || !now.Equal(wall) || !c.Now().Equal(wall) {
		t.Errorf("stepped by %s, now %s and %s", by, now, c.Now())
	}
	for range 9 { // of little steps, the first ones wait
		wall = wall.Add(100 * time.Millisecond)
		if _, by := c.Stepped(); by != 0 {
			t.Errorf("stepped by %s", by)
		}
	}
	wall = wall.Add(100 * time.Millisecond)
	for _, step := range []time.Duration{0, -2 * time.Hour, 30 * 365 * 24 * time.Hour} {
		before := c.Now()
		wall = wall.Add(step)
		now, by := c.Stepped()
		if want := wall.Sub(before); by != want || !now.Equal(before) || !c.Now().Equal(before) {
			t.Errorf("stepped by %s, want %s; moved by itself %s", by, want, c.Now().Sub(before))
		}
		c.Follow(by)
		if now, more := c.Stepped(); more != 0 || !now.Equal(wall) {
			t.Errorf("followed to %s, want %s", now, wall)
		}
	}
	slow = time.Second // the program is interrupted between two readings
	if _, by := c.Stepped(); by != 0 {
		t.Errorf("stepped by %s", by)
	}
}

func TestHostClocks(t *testing.T) {
	for name, c := range map[string]*Clock{"since boot": SinceBoot(), "monotonic": Monotonic()} {
		if now, by := c.Stepped(); by != 0 || time.Since(now).Abs() > leastStep {
			t.Errorf("%s: %s, stepped by %s", name, now, by)
		}
	}
}
