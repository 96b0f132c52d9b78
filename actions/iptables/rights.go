package iptables

import (
	"cmp"
	"os"

	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// whyDenied says why the kernel denied an operation.
func whyDenied() string {
	return cmp.Or(missingRights(), "CAP_NET_ADMIN and CAP_NET_RAW are present; a container or a security module forbids the operation")
}

// missingRights names the capability that this process or the iptables that it
// starts lacks, and how to grant it; "" where it has all.
func missingRights() string {
	effective := func(c cap.Value) bool {
		has, err := cap.GetProc().GetFlag(cap.Effective, c)
		return err == nil && has
	}
	ambient := func(c cap.Value) bool {
		has, err := cap.GetAmbient(c)
		return err == nil && has
	}
	return describeRights(effective, ambient, os.Geteuid() == 0)
}

// describeRights is missingRights for given capabilities. A child process has the
// ambient ones, or under root the permitted ones. File capabilities of this program
// are not inherited.
func describeRights(effective, ambient func(cap.Value) bool, root bool) string {
	for _, c := range []struct {
		value cap.Value
		name  string
	}{{cap.NET_ADMIN, "CAP_NET_ADMIN"}, {cap.NET_RAW, "CAP_NET_RAW"}} {
		switch {
		case !effective(c.value):
			return c.name + " is missing: run as root, or with `AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW` in the systemd unit, " +
				"or `setcap cap_net_admin,cap_net_raw=+ep` on the binary"
		case !root && !ambient(c.value):
			return c.name + " is not ambient, so the iptables that this program starts does not have it: use " +
				"`AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW` in the systemd unit, and no setcap on the binary"
		}
	}
	return ""
}
