package iptables

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// missingRights says which capability this process lacks for the firewall.
func missingRights() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "run as root, or with CAP_NET_ADMIN and CAP_NET_RAW"
	}
	return missingCapabilities(string(status), os.Geteuid() == 0)
}

// missingCapabilities reads a /proc/PID/status. A program that we start has what
// is ambient (or, under root, what is permitted): file capabilities of our own
// do not pass on.
func missingCapabilities(status string, root bool) string {
	effective, ambient := capabilities(status, "CapEff:"), capabilities(status, "CapAmb:")
	for _, c := range []struct {
		bit  uint
		name string
	}{{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {unix.CAP_NET_RAW, "CAP_NET_RAW"}} {
		switch {
		case effective&(1<<c.bit) == 0:
			return c.name + " is missing: run as root, or with `AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW` in the systemd unit, " +
				"or `setcap cap_net_admin,cap_net_raw=+ep` on the binary"
		case !root && ambient&(1<<c.bit) == 0:
			return c.name + " is not ambient, so the iptables that we start does not have it: use " +
				"`AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW` in the systemd unit (and no setcap on the binary)"
		}
	}
	return "CAP_NET_ADMIN and CAP_NET_RAW are there; something else (a container, a security module) forbids it"
}

func capabilities(status, field string) uint64 {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, field); ok {
			set, _ := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			return set
		}
	}
	return 0
}
