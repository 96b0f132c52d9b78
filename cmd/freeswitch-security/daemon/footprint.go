package daemon

import (
	"bufio"
	"io"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"freeswitch-security/cmd/freeswitch-security/hugepage"

	"golang.org/x/sys/unix"
)

// trimEvery is how often unused memory is looked for, adaptEvery how often the rate of allocation is.
const (
	trimEvery  = 5 * time.Second
	adaptEvery = time.Second
)

// A trimmer returns memory that a burst needed to the kernel. Go itself collects garbage only once
// the heap has grown by half, or after two minutes.
type trimmer struct{ kept uint64 }

// trim collects garbage if the heap has grown by 32 MB since the last time.
func (t *trimmer) trim() {
	if resident := heapResident(); resident > t.kept+32<<20 {
		debug.FreeOSMemory()
		t.kept = heapResident()
	} else {
		t.kept = min(t.kept, resident)
	}
}

// usualGarbage is how much garbage there may be, in percent of the live heap. The switch beside the
// guard needs the memory: it is less than by default.
const usualGarbage = 30

// A heapRoom lets the garbage of a small heap grow while there is much to do: to collect it every few milliseconds
// would take a third of the time. In a flood, such as thousands of bans at once, it gives the most. Beside a busy
// switch it gives less, for as long as much is allocated. In a flood the heap grows by huge pages: on a virtual machine,
// faults of small ones took half of the time of 10,000 bans.
type heapRoom struct {
	huge      hugepage.Room
	most      uint64 // bytes of garbage in a flood
	mu        sync.Mutex
	percent   uint64       // of garbage, as set last; 0: as at the start. Guarded by mu.
	until     atomic.Int64 // of the monotonic clock since start
	raised    atomic.Bool
	allocated uint64 // by all goroutines, at the last call of adapt
	steady    bool   // much is allocated
}

const (
	garbageRoom = 40 << 20               // bytes of garbage in a flood
	fleetRoom   = 16 << 20               // likewise, in a fleet
	hugeRoom    = 128 << 20              // of the heap, that can be huge pages: address space, of which idle programs use little
	roomFor     = time.Second            // the time from the last call of busy to the end
	roomEvery   = 100 * time.Millisecond // how often the live heap is looked at meanwhile
)

const (
	steadyRoom = 8 << 20 // bytes of garbage while much is allocated
	steadyRate = 2 << 20 // bytes allocated a second: 600 events
)

var start = time.Now()

// garbageIn returns how many bytes of garbage there may be in a flood, until the next start. In a fleet it is less:
// decisions of peers come at the pace of the server, so there is time to collect it. On a virtual machine, memory that
// was never used costs up to 7 ms a MB, which was half of the processor time of 10,000 bans of a peer.
func garbageIn(fleet bool) uint64 {
	if fleet {
		return fleetRoom
	}
	return garbageRoom
}

// reserve prepares the part of the heap whose pages are huge in a flood. It is called before
// the heap grows.
func reserve() hugepage.Room {
	room := hugepage.Grow[[hugeRoom / 2]byte]()
	room.Prefer(false)
	return room
}

// busy gives the most room for a while. It returns at once, and is safe for concurrent use.
func (r *heapRoom) busy() {
	r.until.Store(int64(time.Since(start) + roomFor))
	if r.raised.CompareAndSwap(false, true) {
		go r.raise()
	}
}

func (r *heapRoom) raise() {
	defer r.raised.Store(false)
	r.huge.Prefer(true)
	for now := int64(0); now < r.until.Load(); now = int64(time.Since(start)) {
		r.allowGarbage(r.most)
		time.Sleep(roomEvery)
	}
	r.allowGarbage(0)
	r.huge.Prefer(false)
}

// adapt gives room if much was allocated in the time since the last call: the first one only remembers how much was.
// Where busy gives more, it does nothing.
func (r *heapRoom) adapt(since time.Duration) {
	allocated, was := metric("/gc/heap/allocs:bytes"), r.steady
	r.steady = r.allocated > 0 && float64(allocated-r.allocated) > steadyRate*since.Seconds()
	r.allocated = allocated
	switch {
	case r.raised.Load():
	case r.steady:
		r.allowGarbage(steadyRoom)
	case was:
		r.allowGarbage(0)
	}
}

// allowGarbage sets how much garbage there may be: so many bytes, or the usual part of the live heap if that is more.
// Setting it stops the world, so it is not set to nearly the same.
func (r *heapRoom) allowGarbage(room uint64) {
	percent := max(usualGarbage, room*100/max(metric("/gc/heap/live:bytes"), 1<<20))
	r.mu.Lock()
	defer r.mu.Unlock()
	if was := r.percent; percent == was || room > 0 && was > 0 && percent > was*3/4 && percent < was*5/4 {
		return
	}
	r.percent = percent
	debug.SetGCPercent(int(percent))
}

// heapResident returns the bytes of the heap that the kernel has given to the process.
func heapResident() uint64 {
	return metric("/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes", "/memory/classes/heap/free:bytes")
}

// metric returns a sum of numbers of Go's runtime.
func metric(names ...string) (sum uint64) {
	samples := make([]metrics.Sample, len(names))
	for i, name := range names {
		samples[i].Name = name
	}
	metrics.Read(samples)
	for _, s := range samples {
		sum += s.Value.Uint64()
	}
	return sum
}

// releaseStartPages returns the pages of the program file to the kernel that only the start
// needed, such as the parsers of rule files: half of the resident memory. A page that is needed
// again is read from the page cache. Failures have no effect but memory.
func releaseStartPages() {
	program, err := os.Executable()
	if err != nil {
		return
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer smaps.Close()
	for _, m := range unmodified(smaps, program) {
		for _, advice := range []uintptr{unix.MADV_RANDOM, unix.MADV_DONTNEED} {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, advice)
		}
	}
}

// A mapping is a piece of the address space.
type mapping struct{ from, to uintptr }

// unmodified returns the mappings of a file, from /proc/self/smaps, in which every page is as in
// the file. Releasing others would lose data: the loader writes addresses into pages that it makes
// read-only afterwards.
func unmodified(smaps io.Reader, file string) []mapping {
	var all []mapping
	var last *mapping // nil: not a candidate
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) >= 5 && !strings.HasSuffix(fields[0], ":"):
			last = nil
			if m, ok := mapped(fields[0]); ok && len(fields) == 6 && fields[5] == file && !strings.Contains(fields[1], "w") {
				last = &m
			}
		case last != nil && len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0":
			all = append(all, *last)
		}
	}
	return all
}

// mapped parses "00400000-0152f000".
func mapped(s string) (mapping, bool) {
	a, b, found := strings.Cut(s, "-")
	from, err1 := strconv.ParseUint(a, 16, 64)
	to, err2 := strconv.ParseUint(b, 16, 64)
	return mapping{uintptr(from), uintptr(to)}, found && err1 == nil && err2 == nil && from < to
}
