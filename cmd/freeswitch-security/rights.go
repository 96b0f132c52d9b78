package main

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// urgency is the nice value of the daemon and of the programs that it starts: on
// a host that is busy with an attack, what ends it comes first. FreeSWITCH, which
// runs with real-time priority, is still before it.
const urgency = -10

// comeFirst gives the process its urgency, where it may: root can, and systemd
// does by Nice=. On Linux each thread has its own, and hands it on to those that
// it starts.
func comeFirst() {
	nice := urgency
	_, _, _ = syscall.AllThreadsSyscall(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, uintptr(nice))
}

// needed are the capabilities that the firewall asks for: iptables itself wants
// the first, its set match and everything of the legacy variant the second.
var needed = []cap.Value{cap.NET_ADMIN, cap.NET_RAW}

// keepRights hands the capabilities that the program was given on to the
// programs that it starts. Capabilities of a file (setcap) end with the process
// that was started from it; only ambient ones reach iptables. It does nothing
// where there are none to hand on, as for root, who needs none.
func keepRights() error {
	set := cap.GetProc()
	for _, c := range needed {
		permitted, err := set.GetFlag(cap.Permitted, c)
		if err != nil {
			return fmt.Errorf("read capability %s: %w", c, err)
		}
		if !permitted {
			continue
		}
		if err := set.SetFlag(cap.Inheritable, true, c); err != nil {
			return fmt.Errorf("make %s inheritable: %w", c, err)
		}
		if err := set.SetProc(); err != nil {
			return fmt.Errorf("make %s inheritable: %w", c, err)
		}
		if err := cap.SetAmbient(true, c); err != nil {
			return fmt.Errorf("make %s ambient: %w", c, err)
		}
	}
	return nil
}
