package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/regex"
	"freeswitch-security/sources/logfile"
)

const quietAfter = 24 * time.Hour

const whyTrace = "callers can forge whole lines of such a log, and have innocent addresses banned"

// A logTail is what the end of FreeSWITCH's log shows.
type logTail struct {
	fault   error // why it could not be read
	read    bool
	age     time.Duration // since the last line was written
	foreign bool          // no line has FreeSWITCH's header
	uuids   bool          // lines begin with the UUID of a call
	traced  bool          // it contains SIP packets
	pipe    bool          // it has no end to look at
	journal bool          // it is no file
}

var (
	uuidLine  = regex.New(`(?m)^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12} `)
	traceLine = regex.New(`(?m)^(?:recv|send) \d+ bytes (?:from|to) (?:udp|tcp|tls|ws|wss)/\[`)
)

// hasLog reports whether a source reads FreeSWITCH's log.
func (x *exam) hasLog() bool { return len(x.logs()) > 0 }

// logs returns the sources that read a log, and whether each is corroborated.
func (x *exam) logs() map[string]bool {
	logs := map[string]bool{}
	if x.cfg == nil {
		return logs
	}
	for _, s := range x.cfg.Sources {
		if s.Description.Log {
			logs[s.Ref] = s.Description.Corroborate.Value != ""
		}
	}
	return logs
}

// tailLog reads the end of the log: the one in the options, else the first file of the rules.
func (x *exam) tailLog() {
	if !x.hasLog() {
		return
	}
	for _, s := range x.cfg.Sources {
		if x.logPath == "" && s.Description.Log {
			x.logPath = s.Description.Path
		}
	}
	if x.logPath == "" {
		x.tail.journal = true
		return
	}
	if info, err := os.Stat(x.logPath); err == nil && info.Mode().Type() == fs.ModeNamedPipe {
		x.tail.pipe = true // what is read of it is lost to the guard
		return
	}
	x.tail.fault = x.tail.readFile(x.logPath, x.host.now())
}

func (t *logTail) readFile(path string, now time.Time) error {
	end, err := logfile.ReadEnd(path)
	if err != nil {
		return err
	}
	stat, err := os.Stat(path)
	if err != nil {
		return err
	}
	t.read, t.age = true, now.Sub(stat.ModTime())
	t.foreign, t.uuids, t.traced = !logfile.Readable(end), uuidLine.Use().Match(end), traceLine.Use().Match(end)
	return nil
}

// judgeLog judges FreeSWITCH's log as a source.
func (x *exam) judgeLog() {
	if !x.hasLog() {
		return
	}
	if x.tail.journal {
		x.ok("the rules read FreeSWITCH's log from the journal")
		return
	}
	x.judgeTail()
	if x.hidesWarnings() {
		x.report(critical, "FreeSWITCH writes no warnings into the log", "attacks are warnings",
			fmt.Sprintf("in %s:\n<map name=\"all\" value=\"console,debug,info,notice,warning,err,crit,alert\"/> then: fs_cli -x 'reload mod_logfile'",
				x.confName("autoload_configs/logfile.conf.xml")))
	}
	if !x.tail.uuids && !x.prefixes() {
		return
	}
	for _, corroborated := range x.logs() {
		if !corroborated {
			x.report(warning, "the log has the UUIDs of calls in front of its lines (uuid=true, FreeSWITCH's default)",
				"that also writes line breaks from callers: they can forge whole lines, and have innocent addresses banned",
				fmt.Sprintf("in the rules, believe the log only if the switch reports the same:\nsource \"log\" … { corroborate = source.%s }\nor in %s:\n<param name=\"uuid\" value=\"false\"/> then: fs_cli -x 'reload mod_logfile'",
					cmp.Or(x.ref, "esl.pbx"), x.confName("autoload_configs/logfile.conf.xml")))
			return
		}
	}
	x.ok("callers can forge lines of the log, and the rules believe it only if the switch reports the same")
}

// judgeTail judges the end of the log.
func (x *exam) judgeTail() {
	path := shorten(x.logPath)
	switch t := &x.tail; {
	case t.pipe:
		x.ok("the log %s is a named pipe", path)
	case errors.Is(t.fault, fs.ErrNotExist):
		x.report(warning, "there is no log at "+path, "a source that reads it sees nothing",
			"name it here (--log FILE) and in the rules: source \"log\" … { path = \"…\" }")
	case errors.Is(t.fault, fs.ErrPermission):
		x.report(critical, "this user cannot read the log "+path, "if the guard runs as the same user, it sees nothing",
			"add the user to the log's group, usermod -aG freeswitch USER, or run as root")
	case t.fault != nil:
		x.report(critical, "the log cannot be read: "+shorten(t.fault.Error()), "a source that reads it sees nothing", "check what is at "+path)
	case t.foreign:
		x.report(critical, "the log "+path+" cannot be understood", "no line of it has FreeSWITCH's header, so no attack in it is seen",
			"set path in the rules to a file that mod_logfile writes; the switch says where: fs_cli -x 'global_getvar log_dir'\nhow a line is read: tail -1 FILE | freeswitch-security explain -")
	case t.age > quietAfter:
		x.report(warning, fmt.Sprintf("the last line of the log %s is %s old", path, terminal.About(t.age)),
			"it may be an old log, or that of another FreeSWITCH", "ask the switch where it writes: fs_cli -x 'global_getvar log_dir'")
	case t.read:
		x.ok("the log %s is readable", path)
	}
	if x.tail.traced {
		x.report(critical, "a SIP trace is written into the log", whyTrace, "fs_cli -x 'sofia global siptrace off'")
	}
}

// ofLog returns the profiles of mod_logfile that write the log. One without a path writes
// freeswitch.log. Where none has the log's path, it is that of a profile with its name: the
// path may hold a variable or a link, or be that of a container.
func (x *exam) ofLog() (profiles []section) {
	if x.logging == nil {
		return nil
	}
	var likely []section
	for _, p := range x.logging.Profiles {
		file := p.param("logfile")
		switch {
		case cmp.Or(file, x.switchLog, logfile.DefaultPath) == x.logPath:
			profiles = append(profiles, p)
		case filepath.Base(cmp.Or(file, logfile.DefaultPath)) == filepath.Base(x.logPath):
			likely = append(likely, p)
		}
	}
	if len(profiles) == 0 {
		return likely
	}
	return profiles
}

// prefixes reports whether mod_logfile writes UUIDs into the log, which is its default.
func (x *exam) prefixes() bool {
	return slices.ContainsFunc(x.ofLog(), func(p section) bool { return p.param("uuid") == "" || p.is("uuid") })
}

// showsWarnings matches the levels of a mapping that has warnings.
var showsWarnings = regex.New(`(?i)\b(?:warning|all|4)\b|\$`)

// hidesWarnings reports whether a profile writes the log without warnings.
func (x *exam) hidesWarnings() bool {
	return slices.ContainsFunc(x.ofLog(), func(p section) bool {
		return len(p.Mappings) > 0 && !slices.ContainsFunc(p.Mappings, func(m param) bool {
			return (m.Name == "all" || strings.HasPrefix(m.Name, "sofia_reg.c")) && showsWarnings.Use().MatchString(m.Value)
		})
	})
}
