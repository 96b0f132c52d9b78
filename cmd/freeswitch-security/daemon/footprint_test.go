package daemon

import (
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// smaps is of a program whose loader has written to the third mapping.
const smaps = `00400000-00401000 r--p 00000000 fe:01 77 /usr/local/bin/freeswitch-security
Size:                  4 kB
Private_Clean:         4 kB
Private_Dirty:         0 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
00401000-00500000 r-xp 00001000 fe:01 77 /usr/local/bin/freeswitch-security
Anonymous:             0 kB
00500000-00520000 r--p 00100000 fe:01 77 /usr/local/bin/freeswitch-security
Anonymous:            12 kB
00520000-00530000 rw-p 00120000 fe:01 77 /usr/local/bin/freeswitch-security
Anonymous:             0 kB
00530000-00540000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:01 78 /usr/lib/libc.so.6
Anonymous:             0 kB
7f0000002000-7f0000003000 r-xp 00000000 fe:01 77 /usr/local/bin/freeswitch-security (deleted)
Anonymous:             0 kB
`

func TestUnmodified(t *testing.T) {
	got := unmodified(strings.NewReader(smaps), "/usr/local/bin/freeswitch-security")
	if want := []mapping{{0x400000, 0x401000}, {0x401000, 0x500000}}; !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// TestAdapt allocates as beside a busy switch, and then little.
func TestAdapt(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(usualGarbage))
	var room heapRoom
	var last []byte
	for _, step := range []struct {
		allocated int
		more      bool
	}{{64 << 20, false}, {64 << 20, true}, {0, false}} { // the first is the start
		for range step.allocated >> 16 {
			last = make([]byte, 1<<16)
		}
		room.adapt(10 * time.Second)
		percent := debug.SetGCPercent(usualGarbage)
		if more := percent > usualGarbage; more != step.more {
			t.Errorf("%d MB allocated: %d %% of garbage, more %v, want %v", step.allocated>>20, percent, more, step.more)
		}
		debug.SetGCPercent(percent)
	}
	_ = last
}
