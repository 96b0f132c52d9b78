package clock

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// A Napper waits for a goroutine that waits hundreds of times a second. The zero value is ready.
type Napper struct{ yielded time.Time }

// yieldEvery is less than the 10 ms for which Go's monitor lets a goroutine keep its processor.
const yieldEvery = 9 * time.Millisecond

// Nap waits for d, or less if a signal comes. The thread waits in the kernel and keeps its processor of Go. A timer
// of Go would take two threads, a search for other work and Go's monitor for each wait. What is ready on that
// processor runs after at most 9 ms.
//
// Trap: without Gosched the monitor takes the processor away every 10 ms, and then looks every 20 µs. Gosched wakes
// another thread.
func (n *Napper) Nap(d time.Duration) {
	if now := time.Now(); now.Add(d).Sub(n.yielded) > yieldEvery {
		runtime.Gosched()
		n.yielded = now
	}
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil)
}
