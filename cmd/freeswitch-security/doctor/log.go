package doctor

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/sources/logfile"
)

const (
	tailLength = 64 << 10 // bytes of the log that are looked at
	quietAfter = 24 * time.Hour
)

const whyTrace = "callers write whole lines of their own into such a log, and can have anybody banned"

// A logTail is what the end of FreeSWITCH's log tells.
type logTail struct {
	fault  error // why it could not be read
	read   bool
	age    time.Duration // since the last line was written
	uuids  bool          // lines begin with the UUID of a call
	traced bool          // SIP packets stand in it
}

var (
	uuidLine = regexp.MustCompile(`(?m)^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12} `)
	// Most of the packet's head is fixed, so that a caller who writes it fools nobody
	// but himself: his line would have to stand at the beginning of one.
	traceLine = regexp.MustCompile(`(?m)^(?:recv|send) \d+ bytes (?:from|to) (?:udp|tcp|tls|ws|wss)/\[`)
)

// hasLog reports whether the rules read FreeSWITCH's log.
func (x *exam) hasLog() bool { return len(x.logs()) > 0 }

// logs are the sources that read a log, by their references, and whether another
// one vouches for each.
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

// tailLog looks at the end of the log, where one is read on this host: the first
// that the rules name, unless another was asked for.
func (x *exam) tailLog() {
	if !x.hasLog() {
		return
	}
	for _, s := range x.cfg.Sources {
		if x.logPath == "" {
			x.logPath = s.Description.Path
		}
	}
	x.logPath = cmp.Or(x.logPath, x.switchLog, logfile.DefaultPath)
	x.tail.fault = x.tail.readFile(x.logPath, x.host.now())
}

func (t *logTail) readFile(path string, now time.Time) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return err
	}
	if !stat.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", path)
	}
	end := make([]byte, min(stat.Size(), tailLength))
	n, err := file.ReadAt(end, stat.Size()-int64(len(end)))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	end = end[:n]
	if stat.Size() > tailLength { // the first line is a piece of one
		_, end, _ = bytes.Cut(end, []byte("\n"))
	}
	t.read, t.age = true, now.Sub(stat.ModTime())
	t.uuids, t.traced = uuidLine.Match(end), traceLine.Match(end)
	return nil
}

// ofLog judges FreeSWITCH's log as a source.
func (x *exam) ofLog() []Finding {
	if !x.hasLog() {
		return nil
	}
	found := x.ofTail()
	var unvouched []string
	for ref, vouched := range x.logs() {
		if !vouched {
			unvouched = append(unvouched, ref)
		}
	}
	if !x.tail.uuids && !x.prefixes() {
		return found
	}
	d := Finding{warning, "the log has the UUIDs of calls in front of its lines (uuid=true, FreeSWITCH's default)",
		"that also makes line breaks of what callers write: they can put whole lines of their own into it, and have anybody banned",
		fmt.Sprintf("in the rules, believe the log only where the switch itself has said the same:\nsource \"log\" … { corroborate = source.%s }\nor in %s:\n<param name=\"uuid\" value=\"false\"/> then: fs_cli -x 'reload mod_logfile'",
			x.reference(), x.confName("autoload_configs/logfile.conf.xml"))}
	if len(unvouched) == 0 {
		d.Severity, d.Why, d.Fix = healthy, "", ""
		d.What = "the log can be forged by callers, and is believed only where the switch has said the same"
	}
	return append(found, d)
}

// ofTail judges what the end of the log shows.
func (x *exam) ofTail() []Finding {
	var found []Finding
	path := shorten(x.logPath)
	switch t := &x.tail; {
	case errors.Is(t.fault, fs.ErrNotExist):
		found = append(found, Finding{warning, "there is no log at " + path, "a source that reads it sees nothing",
			"name it here (--log FILE) and in the rules: source \"log\" … { path = \"…\" }"})
	case errors.Is(t.fault, fs.ErrPermission):
		found = append(found, Finding{critical, "this user may not read the log " + path, "if the guard runs as the same one, it sees nothing",
			"add the user to the log's group, usermod -aG freeswitch USER, or run as root"})
	case t.fault != nil:
		found = append(found, Finding{critical, "the log cannot be read: " + shorten(t.fault.Error()), "a source that reads it sees nothing", "see what stands at " + path})
	case t.age > quietAfter:
		found = append(found, Finding{warning, fmt.Sprintf("nothing was written into the log %s for %s", path, terminal.About(t.age)),
			"it may be the log of another FreeSWITCH, or of days gone by", "see where the switch writes: fs_cli -x 'global_getvar log_dir'"})
	case t.read:
		found = append(found, Finding{Severity: healthy, What: "the log " + path + " can be read"})
	}
	if x.tail.traced {
		found = append(found, Finding{critical, "a SIP trace is being written into the log", whyTrace, "fs_cli -x 'sofia global siptrace off'"})
	}
	return found
}

// prefixes reports whether mod_logfile is configured to write UUIDs. It does so
// unless it is told not to.
func (x *exam) prefixes() bool {
	for _, profile := range x.logging.all("profile") {
		params := profile.params()
		file := params["logfile"]
		if file != "" && !strings.HasPrefix(file, "$") && file != x.logPath {
			continue // another log
		}
		if uuid, said := params["uuid"]; !said || isTrue(uuid) {
			return true
		}
	}
	return false
}

// reference is the source of kind esl that a fix names.
func (x *exam) reference() string {
	if x.ref == "" {
		return "esl.pbx"
	}
	return x.ref
}
