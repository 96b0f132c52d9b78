package clock

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Nap waits for d, or less if a signal comes, for a goroutine that waits hundreds of times a second. The
// thread waits in the kernel and keeps its processor of Go. A timer of Go would take two threads, a search for
// other work and Go's monitor for each wait. What is ready on that processor runs before.
//
// Trap: without Gosched the monitor takes the processor away every 10 ms, and then looks every 20 µs.
func Nap(d time.Duration) {
	runtime.Gosched()
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil)
}
