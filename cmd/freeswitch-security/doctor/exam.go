package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/status"
)

// An exam is the facts that the doctor gathers, and the findings.
type exam struct {
	host    host
	cfg     *config.Config // nil: there are no rules
	noRules error
	confDir string // FreeSWITCH's, on this host
	logPath string // of the log that is examined; "": not known yet

	ref      string // the source of kind esl; "": the rules have none
	at       esl.Switch
	captures bool // the source switches the capture on

	entered   bool          // the switch accepted the password
	unreached error         // why the switch did not answer everything
	version   string        // "FreeSWITCH Version 1.11.3-dev~64bit …"
	behind    time.Duration // of its clock against ours
	timed     bool          // behind is known
	zone      string        // of its log: "+0100"; "" if not known
	switchLog string        // path of its log; "" if not known
	noSofia   bool          // mod_sofia is not loaded
	running   []string      // sofia profiles; nil: not known

	password string // default_password, of the extensions; "" if not known
	hidden   bool   // its log level hides warnings

	core, socket, logging, sofia *section // parts of its configuration; nil: not known
	fromFiles                    bool     // they are of confDir

	probed bool         // the event socket was tried from outside of the loopback
	open   []netip.Addr // own addresses at which it then asked for a password

	tail logTail

	heard map[string]uint64 // packets by source; nil: the guard does not answer

	dryRun bool          // of the guard that runs
	fleet  *status.Fleet // of the running guard; nil: it is in none, or does not answer

	found []Finding
}

// here reports whether the switch has an address of this host.
func (x *exam) here() bool {
	address, _, err := net.SplitHostPort(x.at.Address)
	if err != nil || address == "localhost" {
		return err == nil
	}
	ip, err := netip.ParseAddr(address)
	return err == nil && (ip.IsLoopback() || slices.Contains(x.host.addresses(), ip.Unmap()))
}

// askSwitch asks the switch over the event socket. Its configuration has variables expanded, and
// may be newer than what a module has loaded.
func (x *exam) askSwitch(ctx context.Context) {
	console, err := x.at.Console(ctx)
	if err != nil {
		x.unreached = err
		return
	}
	defer console.Close()
	x.entered = true
	ask := func(command string, args ...string) string {
		if x.unreached != nil {
			return ""
		}
		answer, err := console.API(ctx, command, args...)
		var refusal *esl.Refusal
		if err != nil && !errors.As(err, &refusal) {
			x.unreached = err
		}
		return answer
	}
	x.version, _, _ = strings.Cut(ask("version"), "\n")
	x.askClock(ask)
	x.noSofia = ask("module_exists", "mod_sofia") == "false"
	if d, err := parseXML(ask("sofia", "xmlstatus")); err == nil && d.Status != nil {
		x.running = []string{}
		for _, profile := range d.Status.Profiles {
			x.running = append(x.running, strings.TrimSpace(profile.Name))
		}
	}
	for name, part := range x.parts() {
		found, err := parseXML(ask("xml_locate", "configuration", "configuration", "name", name))
		if err == nil && found.Config.Name == name {
			*part = &found.Config
		}
	}
	if dir := ask("global_getvar", "log_dir"); strings.HasPrefix(dir, "/") {
		x.switchLog = dir + "/freeswitch.log"
	}
	x.password = ask("global_getvar", "default_password")
	if x.unreached == nil {
		x.hidden, _ = x.at.HidesWarnings(ctx) // an error: it is not known
	}
}

// parts returns the parts of the configuration by name.
func (x *exam) parts() map[string]**section {
	return map[string]**section{"switch.conf": &x.core, "event_socket.conf": &x.socket, "logfile.conf": &x.logging, "sofia.conf": &x.sofia}
}

// judgeCore reports settings of the switch that hide attacks, or that attackers try first.
func (x *exam) judgeCore() {
	if x.password == "1234" {
		x.report(critical, "default_password is 1234, FreeSWITCH's own", "the extensions of its example directory have it, and scanners try it first: toll fraud",
			fmt.Sprintf("in %s:\n<X-PRE-PROCESS cmd=\"set\" data=\"default_password=…\"/> (openssl rand -hex 12)\nthen: fs_cli -x reloadxml, and the new password in the phones", x.confName("vars.xml")))
	}
	if x.hidden {
		x.report(critical, "the log level of FreeSWITCH hides warnings", "attacks are warnings: neither the log nor the event socket has most of them",
			fmt.Sprintf("fs_cli -x 'fsctl loglevel debug'\nand in %s: <param name=\"loglevel\" value=\"debug\"/>", x.confName("autoload_configs/switch.conf.xml")))
	}
	if x.core == nil {
		return
	}
	if every, err := strconv.Atoi(x.core.param("event-heartbeat-interval")); err == nil && every > maxHeartbeat {
		x.report(warning, fmt.Sprintf("FreeSWITCH sends a heartbeat only every %d seconds", every), "the guard reconnects whenever the event socket is silent for a minute, and what happens meanwhile is lost",
			fmt.Sprintf("in %s: <param name=\"event-heartbeat-interval\" value=\"20\"/>", x.confName("autoload_configs/switch.conf.xml")))
	}
}

// maxHeartbeat is the longest interval of heartbeats, in seconds, that the guard accepts.
const maxHeartbeat = 45

// askClock compares the clock of the switch with ours.
func (x *exam) askClock(ask func(string, ...string) string) {
	before := x.host.now()
	micros, err := strconv.ParseInt(ask("strmicroepoch"), 10, 64)
	after := x.host.now()
	if err == nil && micros > 0 {
		x.behind, x.timed = before.Add(after.Sub(before)/2).Sub(time.UnixMicro(micros)), true
	}
	if zone := ask("strftime", "%z"); len(zone) == 5 && strings.ContainsAny(zone[:1], "+-") {
		x.zone = zone
	}
}

func (x *exam) judgeVersion() {
	if x.version == "" {
		return
	}
	version := strings.TrimPrefix(x.version, "FreeSWITCH Version ")
	var numbers [3]int
	if n, _ := fmt.Sscanf(version, "%d.%d.%d", &numbers[0], &numbers[1], &numbers[2]); n == 3 && slices.Compare(numbers[:], []int{1, 10, 7}) < 0 {
		x.report(warning, "FreeSWITCH "+shorten(version)+" has known vulnerabilities",
			"before 1.10.7 every host can send MESSAGE and SUBSCRIBE without a password, and crash it with a flood (CVE-2021-37624, 41105, 41145, 41157)",
			"install a current FreeSWITCH")
		return
	}
	x.ok("FreeSWITCH %s answers at %s", shorten(version), x.at.Address)
}

// maxSkew is the difference between two clocks that has no effect.
const maxSkew = 2 * time.Second

func (x *exam) judgeClock() {
	switch {
	case !x.timed:
	case x.behind.Abs() > maxSkew:
		word := "behind"
		if x.behind < 0 {
			word = "ahead of"
		}
		x.report(warning, fmt.Sprintf("FreeSWITCH's clock is %s %s ours", x.behind.Abs().Round(100*time.Millisecond), word),
			"windows and bans use the stamps of the switch; a clock that is far behind delays bans",
			"fs_cli -x 'fsctl sync_clock'\nand synchronise both hosts: systemctl enable --now systemd-timesyncd (or chrony)")
	default:
		x.ok("FreeSWITCH's clock agrees with ours")
	}
	if ours := x.host.now().Format("-0700"); x.zone != "" && x.zone != ours && x.hasLog() {
		x.report(info, fmt.Sprintf("FreeSWITCH writes its log in the zone %s, this host has %s", x.zone, ours),
			"a log line does not name its zone: read in another one it is hours off",
			"in the log source: timezone = \"…\" (the name of FreeSWITCH's zone, such as \"Europe/Berlin\")")
	}
}

// shorten bounds a quoted text, in bytes.
func shorten(s string) string { return terminal.Cut(s, 120) }
