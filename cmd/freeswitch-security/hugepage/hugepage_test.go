package hugepage

import (
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
)

// faults returns how many pages this process has used for the first time.
func faults(t *testing.T) int64 {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return usage.Minflt
}

// TestGrow checks that what is allocated next lies in huge pages, though small ones are used before them.
func TestGrow(t *testing.T) {
	enabled, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if err != nil || strings.Contains(string(enabled), "[never]") {
		t.Skipf("no huge pages: %q, %v", enabled, err)
	}
	if !madvise(start, start+pageSize, madvCollapse) && !madvise(start+pageSize, start+2*pageSize, madvCollapse) {
		t.Skip("pages that are used cannot become huge: that needs Linux 6.1")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const size = 16 << 20
	room := Grow[[size]byte]()
	use := func(bytes int) {
		for range bytes / 1024 {
			piece := make([]byte, 1024)
			piece[0] = 1 // the first use
			kept = append(kept, piece)
		}
	}
	room.Prefer(false)
	use(3 << 20)
	room.Prefer(true)
	before := faults(t)
	use(size)
	small := int64(size / syscall.Getpagesize())
	if took := faults(t) - before; took > small/16 {
		t.Errorf("%d faults for %d small pages", took, small)
	}
}

// TestGrowWithoutRoom checks that a program with little address space goes on without huge pages.
func TestGrowWithoutRoom(t *testing.T) {
	const limited = "HUGEPAGE_TEST_LIMITED"
	if os.Getenv(limited) == "" {
		run := exec.Command(os.Args[0], "-test.run=^TestGrowWithoutRoom$")
		run.Env = append(os.Environ(), limited+"=yes")
		if out, err := run.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	var size uint64 // pages of the address space
	text, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, err = fmt.Sscan(string(text), &size)
	}
	if err != nil {
		t.Fatal(err)
	}
	const room = 256 << 20
	most := size*uint64(syscall.Getpagesize()) + room
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
		t.Fatal(err)
	}
	Grow[[room]byte]().Prefer(true)
}

var kept [][]byte
