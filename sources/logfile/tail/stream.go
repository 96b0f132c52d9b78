package tail

import (
	"context"
	"io"
	"time"
)

// Stream hands the lines of r to the consumer until r or ctx ends, and returns why r has
// ended. While the consumer is busy, r waits. The consumer knows its own position: Save
// is called without one, when it is time to keep it.
func Stream(ctx context.Context, c Config, r io.Reader) error {
	f := New(c)
	defer f.timer.Stop()
	t := &file{pipe: newPipe(r, nil)}
	defer t.pipe.close()
	defer func() { f.Save(nil) }()
	for ctx.Err() == nil {
		grew, _, err := t.readBlock(f.buf)
		f.now = time.Now()
		switch {
		case grew:
			t.grown = f.now
			f.offer(ctx, t, false)
		case err != nil:
			f.offer(ctx, t, true)
			return err
		case !t.due.IsZero() && !f.now.Before(t.due):
			f.offer(ctx, t, false)
		}
		if f.saving.due(f.now, f.Pace) {
			f.saving = saving{at: f.now}
			f.Save(nil)
		}
		if !grew {
			f.await(ctx, t)
		}
	}
	return nil
}

// await waits until there is something to read, or to be done.
func (f *Follower) await(ctx context.Context, t *file) {
	f.setTimer(t, f.Pace.Tick)
	select {
	case <-t.pipe.fresh:
	case <-f.timer.C:
	case <-ctx.Done():
	}
}
