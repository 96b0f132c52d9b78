package recording

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"freeswitch-security/cmd/freeswitch-security/terminal"
)

// progress shows on a terminal, every second, how much of the set is read. done ends it. Nothing
// is shown if a size is unknown, as of a pipe.
func (s *Set) progress(w io.Writer) (done func()) {
	streams := slices.Concat(s.streams...)
	var total int64
	for _, r := range streams {
		size, _ := r.stat()
		if size == 0 {
			return func() {}
		}
		total += size
	}
	if terminal.Width(w) == 0 {
		return func() {}
	}
	start := time.Now()
	stop := make(chan struct{})
	var showing sync.WaitGroup
	showing.Go(func() {
		shown := false
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				if shown {
					fmt.Fprint(w, terminal.ClearLine)
				}
				return
			case <-tick.C:
				shown = true
				var taken int64
				for _, r := range streams {
					taken += r.taken.Load()
				}
				left := time.Duration(time.Since(start).Seconds()*float64(total-taken)/float64(max(taken, 1))) * time.Second
				fmt.Fprintf(w, "%s%.1f of %.1f MB, %s left", terminal.ClearLine, float64(taken)/1e6, float64(total)/1e6, left)
			}
		}
	})
	return func() {
		close(stop)
		showing.Wait()
	}
}
