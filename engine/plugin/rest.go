package plugin

import (
	"context"
	"time"
)

// Rest waits until ctx ends, woken receives, or wait is over; 0 waits without end, nil is never woken. It
// reports whether ctx goes on.
func Rest(ctx context.Context, wait time.Duration, woken <-chan struct{}) bool {
	var over <-chan time.Time
	if wait > 0 {
		over = time.After(wait)
	}
	select {
	case <-ctx.Done():
	case <-woken:
	case <-over:
	}
	return ctx.Err() == nil
}
