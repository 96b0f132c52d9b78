package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// giveBack gives back to the kernel the pages of the program itself that only its
// start needed, such as the parsers of rule files: half of what is resident else. What
// is needed again is mapped again, a page at a time, from the kernel's cache. It is of
// use and not necessary, so nothing is said where it does not work.
func giveBack() {
	program, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 6 || fields[5] != program || strings.Contains(fields[1], "w") {
			continue // what was written to would be lost
		}
		if from, to, ok := mapped(fields[0]); ok {
			for _, advice := range []uintptr{unix.MADV_RANDOM, unix.MADV_DONTNEED} {
				_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, advice)
			}
		}
	}
}

// mapped reads "00400000-0152f000".
func mapped(s string) (from, to uintptr, ok bool) {
	a, b, found := strings.Cut(s, "-")
	x, err1 := strconv.ParseUint(a, 16, 64)
	y, err2 := strconv.ParseUint(b, 16, 64)
	return uintptr(x), uintptr(y), found && err1 == nil && err2 == nil && x < y
}
