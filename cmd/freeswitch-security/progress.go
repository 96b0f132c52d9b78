package main

import (
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// patience is how long a replay may take before it shows how far it is.
const patience = time.Second

// progress shows on a terminal how much of the recordings has been read, once
// that takes longer than a person likes to wait. The returned function ends it.
func (a *app) progress(recordings []*recording) (done func()) {
	var total int64
	for _, r := range recordings {
		size := r.size()
		if size == 0 {
			return func() {} // a pipe: nobody knows how much is to come
		}
		total += size
	}
	columns := width(a.stderr)
	if columns == 0 {
		return func() {}
	}
	start := time.Now()
	stop := make(chan struct{})
	var showing sync.WaitGroup
	showing.Go(func() {
		select {
		case <-stop:
			return
		case <-time.After(patience):
		}
		bars := mpb.New(mpb.WithOutput(a.stderr), mpb.WithWidth(columns/2))
		bar := bars.AddBar(total, mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.CountersKibiByte("% .1f / % .1f")),
			mpb.AppendDecorators(decor.Any(func(s decor.Statistics) string { return " " + left(start, s) })))
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				bar.Abort(true)
				bars.Wait()
				return
			case <-tick.C:
				var taken int64
				for _, r := range recordings {
					taken += r.taken.Load()
				}
				bar.SetCurrent(min(taken, total-1))
			}
		}
	})
	return func() {
		close(stop)
		showing.Wait()
	}
}

// left is how long it will still take at the pace so far. The package's own
// decorators round the time for one byte to nanoseconds, which leaves nothing.
func left(start time.Time, s decor.Statistics) string {
	if s.Current == 0 {
		return ""
	}
	took := time.Since(start).Seconds()
	rest := took * float64(s.Total-s.Current) / float64(s.Current)
	return (time.Duration(rest) * time.Second).String() + " left"
}
