package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"

	"freeswitch-security/cmd/freeswitch-security/daemon"
)

// A host is what the doctor asks of the machine that he runs on.
type host struct {
	now       func() time.Time
	addresses func() []netip.Addr         // its own, unmapped, without zones
	program   func(name string) bool      // whether it is installed
	lacking   func() []string             // capabilities that the firewall needs and we do not have
	inTime    func() (synced, known bool) // whether the kernel's clock is kept right by anybody
}

func thisHost() host {
	return host{now: time.Now, addresses: hostAddresses, program: isInstalled, lacking: lackingRights, inTime: isInTime}
}

// hostAddresses returns none if they cannot be read.
func hostAddresses() []netip.Addr {
	own, _ := daemon.HostAddresses()
	return own
}

func isInstalled(name string) bool {
	if _, err := exec.LookPath(name); err == nil {
		return true
	}
	// The PATH of users often lacks these.
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if info, err := os.Stat(dir + name); err == nil && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

func lackingRights() []string {
	set := cap.GetProc()
	var lacking []string
	for _, c := range daemon.Capabilities {
		if has, err := set.GetFlag(cap.Effective, c); err == nil && !has {
			lacking = append(lacking, strings.ToUpper(c.String()))
		}
	}
	return lacking
}

func isInTime() (synced, known bool) {
	var kernel unix.Timex
	if _, err := unix.Adjtimex(&kernel); err != nil {
		return false, false
	}
	return kernel.Status&unix.STA_UNSYNC == 0, true
}

// ofHost judges this machine.
func (x *exam) ofHost() []Finding {
	var found []Finding
	for _, name := range []string{"iptables", "ip6tables"} {
		if !x.host.program(name) {
			found = append(found, Finding{critical, name + " is not installed", "without it nobody is blocked", "apt install iptables, or what your system calls it"})
		}
	}
	if !x.host.program("ipset") {
		found = append(found, Finding{info, "ipset is not installed",
			"the guard does without it; to look at its set of bans by hand you need it", "apt install ipset"})
	}
	if lacking := x.host.lacking(); len(lacking) > 0 {
		found = append(found, Finding{warning, "this user may not change the firewall: it lacks " + strings.Join(lacking, " and "),
			"if the guard runs as the same one, nobody is blocked",
			"run as root, or in the systemd unit: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW"})
	}
	if synced, known := x.host.inTime(); known && !synced {
		found = append(found, Finding{info, "nobody keeps this host's clock right", "bans begin and end by it, and logs of several hosts can only be compared if their clocks agree",
			"systemctl enable --now systemd-timesyncd (or chrony)"})
	}
	return found
}

// ofActions asks the actions of the rules how they stand.
func (x *exam) ofActions(ctx context.Context) []Finding {
	if x.cfg == nil {
		return nil
	}
	var found []Finding
	blocking := false
	for _, action := range x.cfg.Actions {
		_, level := action.Action.(plugin.Level)
		blocking = blocking || level && action.Blocks
		reporter, ok := action.Action.(plugin.Reporter)
		if !ok {
			continue
		}
		said := reporter.Report(ctx)
		if bad := status.Texts(said.Problems, status.Critical); len(bad) > 0 { // before the first start all of it is missing, for one reason
			what := shorten(bad[0])
			if more := len(bad) - 1; more > 0 {
				what += fmt.Sprintf(" (and %d more)", more)
			}
			found = append(found, Finding{critical, fmt.Sprintf("action %s: %s", action.Ref, what), "bans are not in force",
				"start the guard; if it runs, see freeswitch-security status"})
		}
		for _, what := range status.Texts(said.Problems, status.Warning) {
			found = append(found, Finding{warning, fmt.Sprintf("action %s: %s", action.Ref, shorten(what)), "bans may work less well than they could",
				"see the guard's log: journalctl -u freeswitch-security"})
		}
		if len(said.Problems) == 0 && level {
			found = append(found, Finding{Severity: healthy, What: "action " + action.Ref + " is in force"})
		}
	}
	if !blocking {
		found = append(found, Finding{warning, "the rules have no action that blocks", "attacks are seen and told, and go on", `action "iptables" "drop" {}`})
	}
	if !x.cfg.Security.AutoBlock {
		found = append(found, Finding{warning, "rules block nobody: auto_block_enabled is false", "attacks are seen and told, and go on", "security {\n  auto_block_enabled = true\n}"})
	}
	return found
}
