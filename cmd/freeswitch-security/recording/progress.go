package recording

import (
	"fmt"
	"io"
	"sync"
	"time"

	"freeswitch-security/cmd/freeswitch-security/terminal"
)

// progress shows on a terminal, every second, how much of the set is read. done ends it. Nothing
// is shown if a size is unknown, as of a pipe.
func (s *Set) progress(w io.Writer) (done func()) {
	var total int64
	for _, in := range s.streams {
		for _, r := range in {
			size := r.size()
			if size == 0 {
				return func() {}
			}
			total += size
		}
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
				fmt.Fprintf(w, "%s%s", terminal.ClearLine, progressLine(s.taken(), total, time.Since(start)))
			}
		}
	})
	return func() {
		close(stop)
		showing.Wait()
	}
}

// taken is how many bytes of the files are read.
func (s *Set) taken() int64 {
	var n int64
	for _, in := range s.streams {
		for _, r := range in {
			n += r.taken.Load()
		}
	}
	return n
}

func progressLine(taken, total int64, took time.Duration) string {
	line := fmt.Sprintf("%.1f of %.1f MB", float64(taken)/1e6, float64(total)/1e6)
	if taken == 0 {
		return line
	}
	left := time.Duration(took.Seconds()*float64(total-taken)/float64(taken)) * time.Second
	return line + ", " + left.String() + " left"
}
