package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/daemon"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// A host is the machine on which the doctor runs; tests make their own.
type host struct {
	now       func() time.Time
	addresses func() []netip.Addr // see [daemon.HostAddresses]
	installed func(program string) bool
	lacking   func() []string             // capabilities that the firewall needs and this process lacks
	inSync    func() (synced, known bool) // whether NTP or the like sets the kernel's clock
}

func thisHost() host {
	return host{now: time.Now, addresses: hostAddresses, installed: isInstalled, lacking: lackingCapabilities, inSync: isInSync}
}

// hostAddresses returns none if they cannot be read.
func hostAddresses() []netip.Addr {
	own, _ := daemon.HostAddresses()
	return own
}

func isInstalled(program string) bool {
	if _, err := exec.LookPath(program); err == nil {
		return true
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} { // not in the PATH of every user
		if info, err := os.Stat(dir + program); err == nil && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

func lackingCapabilities() []string {
	set := cap.GetProc()
	var lacking []string
	for _, c := range daemon.Capabilities {
		if has, err := set.GetFlag(cap.Effective, c); err == nil && !has {
			lacking = append(lacking, strings.ToUpper(c.String()))
		}
	}
	return lacking
}

func isInSync() (synced, known bool) {
	var kernel unix.Timex
	_, err := unix.Adjtimex(&kernel)
	return kernel.Status&unix.STA_UNSYNC == 0, err == nil
}

func (x *exam) judgeHost() {
	for _, program := range []string{"iptables", "ip6tables"} {
		if !x.host.installed(program) {
			x.report(critical, program+" is not installed", "without it no ban is enforced", "apt install iptables, or the package of your system")
		}
	}
	if !x.host.installed("ipset") {
		x.report(info, "ipset is not installed", "the guard does not need it; you need it to look at its set of bans", "apt install ipset")
	}
	if lacking := x.host.lacking(); len(lacking) > 0 {
		x.report(warning, "this user cannot change the firewall: it lacks "+strings.Join(lacking, " and "),
			"if the guard runs as the same user, no ban is enforced",
			"run as root, or in the systemd unit: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW")
	}
	if synced, known := x.host.inSync(); known && !synced {
		x.report(info, "the clock of this host is not synchronised", "bans begin and end by it, and logs of several hosts are compared by their clocks",
			"systemctl enable --now systemd-timesyncd (or chrony)")
	}
}

// judgeActions asks the actions of the rules whether they are in force.
func (x *exam) judgeActions(ctx context.Context) {
	if x.cfg == nil {
		return
	}
	blocking := false
	for _, action := range x.cfg.Actions {
		var problems []status.Problem
		level := false
		switch a := action.Action.(type) {
		case plugin.Level:
			if !action.Handles(ban.TargetAddress) {
				continue // only the guard that runs knows what it enforces at the switch
			}
			level = true
			if x.dryRun {
				break // it has nothing in the kernel
			}
			kernel, err := a.Inspect(ctx)
			if err != nil {
				kernel.Unreadable(err)
			}
			problems = kernel.Problems
		case plugin.Reporter:
			problems = a.Report(ctx).Problems
		default:
			continue
		}
		blocking = blocking || level && action.Blocks
		if bad := status.Texts(problems, status.Critical); len(bad) > 0 { // before the first start there are many, of one cause
			what := shorten(bad[0])
			if more := len(bad) - 1; more > 0 {
				what += fmt.Sprintf(" (and %d more)", more)
			}
			x.report(critical, "action "+action.Ref+": "+what, "bans are not in force", "start the guard; if it runs, see freeswitch-security status")
		}
		for _, what := range status.Texts(problems, status.Warning) {
			x.report(warning, "action "+action.Ref+": "+shorten(what), "bans may not be fully enforced",
				"see the guard's log: journalctl -u freeswitch-security")
		}
		if len(problems) == 0 && level && !x.dryRun {
			x.ok("action %s is in force", action.Ref)
		}
	}
	if x.dryRun {
		x.report(warning, "the guard runs dry", "attacks are reported, and continue", "delete OPTIONS=--dry-run from /etc/freeswitch-security/env, then: systemctl restart freeswitch-security")
	}
	if !blocking {
		x.report(warning, "the rules have no action that enforces bans", "attacks are reported, and continue", `action "iptables" "drop" {}`)
	}
	if !x.cfg.Security.AutoBlock {
		x.report(warning, "the bans of rules are not enforced: auto_block_enabled is false", "attacks are reported, and continue", "security {\n  auto_block_enabled = true\n}")
	}
}
