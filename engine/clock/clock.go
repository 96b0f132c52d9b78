package clock

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	leastStep = time.Second            // a smaller step is not followed
	atOnce    = 100 * time.Millisecond // two clocks read within this time can be compared
)

// A Clock is the time of the engine. It advances with elapsed time alone, and follows a step of
// the host's clock when it is told to: once all that the engine remembers is shifted. It is safe
// for concurrent use.
type Clock struct {
	wall    func() time.Time
	elapsed func() time.Duration
	base    atomic.Int64 // nanoseconds since 1970 at elapsed 0
}

// New returns a clock that compares the time of the host with the time that has elapsed since
// some moment.
func New(wall func() time.Time, elapsed func() time.Duration) *Clock {
	c := &Clock{wall: wall, elapsed: elapsed}
	c.base.Store(wall().UnixNano() - int64(elapsed()))
	return c
}

// Monotonic returns a clock for which time stands still while the host is suspended.
func Monotonic() *Clock {
	start := time.Now()
	return New(time.Now, func() time.Duration { return time.Since(start) })
}

// SinceBoot returns a clock for which time goes on while the host is suspended.
func SinceBoot() *Clock {
	return New(time.Now, func() time.Duration {
		var t unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // it cannot fail since Linux 2.6.39
		return time.Duration(t.Nano())
	})
}

// Now returns the time.
func (c *Clock) Now() time.Time { return c.at(c.elapsed()) }

func (c *Clock) at(elapsed time.Duration) time.Time {
	return time.Unix(0, c.base.Load()+int64(elapsed))
}

// Stepped returns the time, and the step of the host's clock that was not followed; 0 if it is less than a
// second. What NTP corrects little by little is no step.
func (c *Clock) Stepped() (now time.Time, by time.Duration) {
	before := c.elapsed()
	now, wall := c.at(before), c.wall()
	by = time.Duration(wall.UnixNano() - now.UnixNano())
	if by.Abs() < leastStep || c.elapsed()-before > atOnce {
		return now, 0
	}
	return now, by
}

// Follow makes the clock follow a step.
func (c *Clock) Follow(by time.Duration) { c.base.Add(int64(by)) }
