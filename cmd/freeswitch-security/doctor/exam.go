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
)

// An exam is what the doctor has found out, before he judges it.
type exam struct {
	host    host
	cfg     *config.Config // nil: there are no rules
	noRules error
	confDir string // FreeSWITCH's, on this host
	logPath string // of the log that is looked at; "": not known yet

	ref string // the source of kind esl; "": the rules have none
	at  esl.Switch

	entered   bool   // it accepted the password
	unreached error  // why the switch could not be asked, or not to the end
	version   string // "FreeSWITCH Version 1.11.3-dev~64bit …"
	behind    time.Duration
	timed     bool     // behind, how far its clock is behind ours, is known
	zone      string   // of its log: "+0100"; "" if not known
	switchLog string   // where it writes that; "" if not known
	noSofia   bool     // mod_sofia is not loaded
	running   []string // sofia profiles; nil: not known

	socket, logging, sofia *element // parts of its configuration; nil: not known
	fromFiles              bool     // the configuration is that of confDir

	probed bool         // the event socket was knocked at from outside of the loopback
	open   []netip.Addr // own addresses at which it then asked for a password

	tail logTail
}

// here reports whether the switch runs on this host, as far as its address tells.
func (x *exam) here() bool {
	address, _, err := net.SplitHostPort(x.at.Address)
	if err != nil || address == "localhost" {
		return err == nil
	}
	ip, err := netip.ParseAddr(address)
	return err == nil && (ip.IsLoopback() || slices.Contains(x.host.addresses(), ip.Unmap()))
}

// askSwitch asks over the event socket what can be asked there. The configuration
// comes as FreeSWITCH has it, all its files in one and variables put in; what was
// changed in it since a module was loaded is in it, too.
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
	if status, err := parseXML(ask("sofia", "xmlstatus")); err == nil && status.XMLName.Local == "profiles" {
		x.running = []string{}
		for _, profile := range status.all("profile") {
			if name := profile.text("name"); name != "" && !slices.Contains(x.running, name) {
				x.running = append(x.running, name)
			}
		}
	}
	for name, part := range x.parts() {
		found, err := parseXML(ask("xml_locate", "configuration", "configuration", "name", name))
		if err == nil && found.XMLName.Local == "configuration" && found.attr("name") == name {
			*part = found
		}
	}
	if dir := ask("global_getvar", "log_dir"); strings.HasPrefix(dir, "/") {
		x.switchLog = dir + "/freeswitch.log"
	}
}

// parts are the pieces of configuration that are looked at, by their names.
func (x *exam) parts() map[string]**element {
	return map[string]**element{"event_socket.conf": &x.socket, "logfile.conf": &x.logging, "sofia.conf": &x.sofia}
}

// askClock compares the clock that the switch stamps with to ours.
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

// ofVersion names the switch, and says if it is too old to be exposed.
func (x *exam) ofVersion() []Finding {
	if x.version == "" {
		return nil
	}
	version := strings.TrimPrefix(x.version, "FreeSWITCH Version ")
	var numbers [3]int
	if n, _ := fmt.Sscanf(version, "%d.%d.%d", &numbers[0], &numbers[1], &numbers[2]); n == 3 && slices.Compare(numbers[:], []int{1, 10, 7}) < 0 {
		return []Finding{{warning, "FreeSWITCH " + shorten(version) + " has known holes",
			"before 1.10.7 anybody can send MESSAGE and SUBSCRIBE without a password, and end the program with a flood (CVE-2021-37624, 41105, 41145, 41157)",
			"install a FreeSWITCH of today"}}
	}
	return []Finding{{Severity: healthy, What: "FreeSWITCH " + shorten(version) + " answers at " + x.at.Address}}
}

// maxSkew is how far two clocks may differ before it confuses.
const maxSkew = 2 * time.Second

// ofClock compares clocks and zones.
func (x *exam) ofClock() []Finding {
	var found []Finding
	switch {
	case !x.timed:
	case x.behind.Abs() > maxSkew:
		word := "behind"
		if x.behind < 0 {
			word = "ahead of"
		}
		found = append(found, Finding{warning, fmt.Sprintf("FreeSWITCH's clock is %s %s ours", x.behind.Abs().Round(100*time.Millisecond), word),
			"windows and bans are counted by the stamps of the switch; one that is ahead counts as now, one far behind bans too late",
			"fs_cli -x 'fsctl sync_clock'\nand have both hosts keep the time: systemctl enable --now systemd-timesyncd (or chrony)"})
	default:
		found = append(found, Finding{Severity: healthy, What: "FreeSWITCH's clock agrees with ours"})
	}
	if ours := x.host.now().Format("-0700"); x.zone != "" && x.zone != ours && x.hasLog() {
		found = append(found, Finding{info, fmt.Sprintf("FreeSWITCH writes its log in the zone %s, this host has %s", x.zone, ours),
			"a line of the log does not tell its zone: read in another one it is hours off",
			"in the log source: timezone = \"…\" (the name of FreeSWITCH's zone, such as \"Europe/Berlin\")"})
	}
	return found
}

// shorten bounds what is quoted of others, in bytes.
func shorten(s string) string { return terminal.Cut(s, 120) }
