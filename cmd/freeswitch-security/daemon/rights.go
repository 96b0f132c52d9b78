package daemon

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// niceness is the nice value of the daemon and of the programs that it starts. During an attack it
// runs before everything except FreeSWITCH, which has real-time priority.
const niceness = -10

// raisePriority sets the nice value, which root can; systemd does it by Nice=. On Linux it is an
// attribute of a thread, which new threads inherit.
func raisePriority() {
	nice := niceness
	_, _, _ = syscall.AllThreadsSyscall(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, uintptr(nice))
}

// Capabilities are what the firewall needs: iptables the first, its set match and the legacy
// variant also the second.
var Capabilities = []cap.Value{cap.NET_ADMIN, cap.NET_RAW}

// inheritCapabilities makes the capabilities of the process ambient. Those of a file (setcap) are
// lost at exec; only ambient ones reach iptables. Capabilities that it does not have are skipped.
func inheritCapabilities() error {
	set := cap.GetProc()
	for _, c := range Capabilities {
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
