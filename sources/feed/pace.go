package feed

import (
	"context"
	"math/rand/v2"
	"time"
)

// A pace says how long a feed waits, and for what.
type pace struct {
	patience time.Duration  // for an answer, to its last byte
	retry    time.Duration  // after the first failure; then doubled, up to the interval
	page     time.Duration  // between two pages of APIBAN's
	whole    time.Duration  // from one look at APIBAN's whole list to the next
	random   func() float64 // from 0 to 1: many feeds must not ask at the same time
}

func defaultPace() pace {
	return pace{
		patience: time.Minute, retry: time.Minute,
		// APIBAN answers eleven requests in two minutes, and once it was five;
		// so its own words of "too many" are believed, too.
		page: 12 * time.Second, whole: 24 * time.Hour,
		random: rand.Float64,
	}
}

// spread moves a wait by up to a tenth, either way.
func (p *pace) spread(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*p.random()))
}

// backOff is how long to wait after so many failures in a row.
func (p *pace) backOff(failures int, interval time.Duration) time.Duration {
	wait := p.retry
	for range failures - 1 {
		if wait >= interval {
			break
		}
		wait *= 2
	}
	return p.spread(min(wait, interval))
}

// sleep waits and reports whether nothing ended the wait before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
