package engine

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A place says what a package may import.
type place struct {
	pkg  string   // without the module's name; a trailing * stands for any one folder
	ours []string // packages of ours that it may import directly
	not  []string // packages of others that it must not
}

func (p place) holds(pkg string) bool {
	folder, any := strings.CutSuffix(p.pkg, "*")
	rest, below := strings.CutPrefix(pkg, folder)
	return p.pkg == pkg || any && below && !strings.Contains(rest, "/")
}

// anywhere are the packages that any may import.
var anywhere = []string{"engine/regex"}

// allowed is the table of DESIGN.md: which package may import which.
var allowed = []place{
	{pkg: "engine/event"},
	{pkg: "engine/clock"},
	{pkg: "engine/dbfile"},
	{pkg: "engine/status", ours: []string{"engine/ban"}},
	{pkg: "engine/ban", ours: []string{"engine/dbfile", "engine/event"}},
	{pkg: "engine/esl", ours: []string{"engine/clock"}},
	{pkg: "engine/esl/*", ours: []string{"engine/esl"}},
	{pkg: "engine/dedup"},
	{pkg: "engine/names"},
	{pkg: "engine/regex"},
	{pkg: "engine/history", ours: []string{"engine/ban", "engine/dbfile", "engine/event", "engine/status"}},
	{pkg: "engine/report", ours: []string{"engine/ban", "engine/chart", "engine/event", "engine/history"}},
	{pkg: "engine/chart", ours: []string{"engine/event"}},
	{pkg: "engine/notice", ours: []string{"engine/event"}},
	{pkg: "engine/banlist", ours: []string{"engine/ban", "engine/event"}},
	{pkg: "engine/registrations", ours: []string{"engine/ban", "engine/dedup", "engine/event"}},
	{pkg: "engine/accounts", ours: []string{"engine/ban", "engine/dedup", "engine/event"}},
	{pkg: "engine/corroboration", ours: []string{"engine/event", "engine/status"}},
	{pkg: "engine/learn", ours: []string{"engine/event", "engine/ban", "engine/numbering", "engine/rule"}},
	{pkg: "engine/rule", ours: []string{"engine/event", "engine/ban", "engine/dedup", "engine/status", "engine/rule/spelling"}, not: []string{"github.com/hashicorp/hcl/v2"}},
	{pkg: "engine/rule/spelling"},
	{pkg: "engine/numbering", ours: []string{"engine/event"}, not: []string{"github.com/nyaruka/phonenumbers"}},
	{pkg: "engine/geoip", ours: []string{"engine/dedup", "engine/event", "engine/status"}},
	{pkg: "engine/golden"},
	{pkg: "engine/geoip/geoiptest", ours: []string{"engine/event"}},
	{pkg: "engine/settings", ours: []string{"engine/event", "engine/ban"}},
	{pkg: "engine/webclient", ours: []string{"engine/settings"}},
	{pkg: "engine/settings/settingstest", ours: []string{"engine/settings"}},
	{pkg: "engine/plugin", ours: []string{"engine/event", "engine/ban", "engine/settings", "engine/status"}},
	{pkg: "engine/config", ours: []string{"engine/event", "engine/geoip", "engine/numbering", "engine/plugin", "engine/settings", "engine/rule", "engine/ban", "engine/config/wording"}, not: []string{"net", "os/exec"}},
	{pkg: "engine/config/wording", ours: []string{"engine/event"}},
	{pkg: "engine/enforce", ours: []string{"engine/ban", "engine/plugin", "engine/status"}},
	{pkg: "engine/fleet", ours: []string{"engine/ban", "engine/config", "engine/dbfile", "engine/status"}},
	{pkg: "engine/fleet/fleettest"},
	{pkg: "engine/page", ours: []string{"engine/ban", "engine/chart", "engine/event", "engine/history", "engine/status"}},
	{pkg: "engine/admin", ours: []string{"engine", "engine/ban", "engine/config", "engine/dedup", "engine/history", "engine/page", "engine/status"}},
	{pkg: "engine", ours: []string{"engine/clock", "engine/event", "engine/notice", "engine/ban", "engine/dedup", "engine/rule", "engine/plugin", "engine/config", "engine/enforce", "engine/fleet", "engine/registrations", "engine/accounts", "engine/corroboration", "engine/names", "engine/settings", "engine/status"}},
	{pkg: "sources/esl", ours: []string{"engine/dedup", "engine/plugin", "engine/settings", "engine/event", "engine/ban", "engine/status", "engine/esl"}},
	{pkg: "actions/esl", ours: []string{"engine/plugin", "engine/settings", "engine/event", "engine/ban", "engine/status", "engine/esl"}},
	{pkg: "sources/feed", ours: []string{"engine/banlist", "engine/webclient", "engine/plugin", "engine/settings", "engine/event", "engine/ban", "engine/status"}},
	{pkg: "sources/logfile", ours: []string{"engine/dedup", "engine/plugin", "engine/settings", "engine/event", "engine/ban", "engine/status",
		"sources/logfile/lines", "sources/logfile/record", "sources/logfile/carrier", "sources/logfile/pattern", "sources/logfile/forgery", "sources/logfile/journal", "sources/logfile/tail"}},
	{pkg: "sources/logfile/journal"},
	{pkg: "sources/logfile/lines"},
	{pkg: "sources/logfile/logtest"},
	{pkg: "sources/logfile/record"},
	{pkg: "sources/logfile/carrier", ours: []string{"sources/logfile/record"}},
	{pkg: "sources/logfile/pattern", ours: []string{"engine/event", "sources/logfile/record"}},
	{pkg: "sources/logfile/forgery", ours: []string{"sources/logfile/lines", "sources/logfile/record"}},
	{pkg: "sources/logfile/tail", ours: []string{"sources/logfile/lines"}},
	{pkg: "sources/sip", ours: []string{"engine/clock", "engine/dedup", "engine/plugin", "engine/settings", "engine/event", "engine/ban", "engine/status",
		"sources/sip/packet", "sources/sip/message", "sources/sip/hep", "sources/sip/pcap", "sources/sip/exchange"}},
	{pkg: "sources/sip/packet"},
	{pkg: "sources/sip/message"},
	{pkg: "sources/sip/hep", ours: []string{"sources/sip/packet"}},
	{pkg: "sources/sip/pcap", ours: []string{"sources/sip/packet"}},
	{pkg: "sources/sip/exchange", ours: []string{"engine/dedup", "engine/event", "sources/sip/packet", "sources/sip/message"}},
	{pkg: "sources/sip/siptest", ours: []string{"engine/golden", "sources/sip/packet", "sources/sip/hep"}},
	{pkg: "sources/*", ours: []string{"engine/dedup", "engine/plugin", "engine/settings", "engine/event", "engine/ban", "engine/status"}},
	{pkg: "actions/webhook", ours: []string{"engine/dbfile", "engine/webclient", "engine/plugin", "engine/settings", "engine/event", "engine/ban", "engine/status"}},
	{pkg: "actions/email", ours: []string{"engine/plugin", "engine/settings", "engine/event", "engine/ban", "engine/status"}},
	{pkg: "actions/email/emailtest"},
	{pkg: "actions/*", ours: []string{"engine/dbfile", "engine/plugin", "engine/settings", "engine/event", "engine/ban", "engine/status"}},
	{pkg: command + "terminal", ours: []string{"engine/ban"}},
	{pkg: command + "client", ours: []string{"engine/ban", "engine/config", "engine/history", "engine/status"}},
	{pkg: command + "proposals", ours: []string{"engine/ban", "engine/config", "engine/event", "engine/learn", "engine/rule", command + "terminal"}},
	{pkg: command + "recording", ours: []string{"engine", "engine/config", "engine/event", "engine/plugin", command + "terminal"}},
	{pkg: command + "daemon", ours: []string{"engine", "engine/admin", "engine/ban", "engine/clock", "engine/config", "engine/dbfile", "engine/history", "engine/status", command + "hugepage", command + "terminal"}},
	{pkg: command + "doctor", ours: []string{"engine/ban", "engine/config", "engine/esl", "engine/plugin", "engine/status", "sources/logfile", command + "daemon", command + "terminal"}},
	{pkg: command + "hugepage"},
	{pkg: command + "kernel"},
}

// command is the folder of the command; the command itself may import all.
const command = "cmd/freeswitch-security/"

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "freeswitch-security/...").Output()
	if exit, ok := err.(*exec.ExitError); ok {
		t.Fatalf("go list: %v\n%s", err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		pkg := strings.TrimPrefix(words[0], "freeswitch-security/")
		if pkg+"/" == command || strings.HasPrefix(pkg, "examples/") {
			continue
		}
		i := slices.IndexFunc(allowed, func(p place) bool { return p.holds(pkg) })
		if i < 0 {
			t.Errorf("%s has no place in the design", pkg)
			continue
		}
		for _, imported := range words[1:] {
			own, ours := strings.CutPrefix(imported, "freeswitch-security/")
			if ours && !slices.Contains(allowed[i].ours, own) && !slices.Contains(anywhere, own) {
				t.Errorf("%s must not import %s", pkg, own)
			}
			if slices.Contains(allowed[i].not, imported) {
				t.Errorf("%s must not import %s", pkg, imported)
			}
		}
	}
}

// TestNoClock holds the packages to which time is an argument to their word.
func TestNoClock(t *testing.T) {
	out, err := exec.Command("git", "grep", "-nE", `time\.(Now|Since|Until|After|NewTimer|NewTicker|Tick)\(`, "--",
		"event/*.go", "rule/*.go", "ban/*.go", "config/*.go", ":!*_test.go").Output()
	if len(out) > 0 {
		t.Errorf("a clock is read where time is an argument:\n%s", out)
	}
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() != 1) {
		t.Skipf("git grep: %v", err) // not a checkout
	}
}
