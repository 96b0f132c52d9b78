package admin

import (
	"context"
	"sync"
	"time"
)

// A recent value is fetched once for all that ask at the same time, and kept for a
// while. So the number of requests does not change how often it is fetched.
type recent[T any] struct {
	fetch func() (T, error)

	mu     sync.Mutex   // guards what follows
	latest *fetching[T] // under way perhaps
	last   *fetching[T] // that succeeded
	change uint64       // counts the calls of outdate
}

// A fetching is one call of fetch. Its value, err and took are set when done is closed.
type fetching[T any] struct {
	began  time.Time
	took   time.Duration
	change uint64
	done   chan struct{}
	value  T
	err    error
}

// outdate makes later calls of within return a value that is fetched after this.
func (r *recent[T]) outdate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.change++
}

// within returns a value that is at most age old, or fetches one. A failure is not
// kept.
func (r *recent[T]) within(ctx context.Context, age time.Duration) (T, error) {
	asked := time.Now()
	r.mu.Lock()
	needs := r.change
	r.mu.Unlock()
	for {
		f := r.current(asked.Add(-age), needs)
		select {
		case <-f.done:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
		if f.change >= needs && !f.began.Before(asked.Add(-age)) {
			return f.value, f.err
		}
	}
}

// shortly returns the last value without waiting if it is not outdated and at most three times age old, and has another
// one fetched once it is older than age. Else it waits as within does.
func (r *recent[T]) shortly(ctx context.Context, age time.Duration) (T, error) {
	r.mu.Lock()
	f, change := r.last, r.change
	r.mu.Unlock()
	if f == nil || f.change < change || time.Since(f.began) > 3*age {
		return r.within(ctx, age)
	}
	r.current(time.Now().Add(-age), change)
	return f.value, nil
}

// oldest bounds the age of what is fetched less often because that takes long: it may have waited for something.
const oldest = 30 * time.Second

// affordable returns an age of at least 20 times what the last fetching took, or oldest: asking for it costs at most a
// twentieth of a core, while one takes less than 1.5 s.
func (r *recent[T]) affordable(age time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last != nil {
		age = max(age, min(20*r.last.took, oldest))
	}
	return age
}

// current returns the latest fetching if it is recent enough or still under way, and
// begins another if not. There is one at a time.
func (r *recent[T]) current(since time.Time, needs uint64) *fetching[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.latest; f != nil {
		select {
		case <-f.done:
			if f.err == nil && f.change >= needs && !f.began.Before(since) {
				return f
			}
		default:
			return f
		}
	}
	f := &fetching[T]{began: time.Now(), change: r.change, done: make(chan struct{})}
	r.latest = f
	go func() {
		defer close(f.done)
		f.value, f.err = r.fetch()
		if f.took = time.Since(f.began); f.err == nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.last = f
		}
	}()
	return f
}
