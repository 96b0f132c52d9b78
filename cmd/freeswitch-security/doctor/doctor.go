package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/daemon"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/status"
)

// examTime bounds all commands sent to the switch.
const examTime = 30 * time.Second

// Options say what to examine.
type Options struct {
	Config  *config.Config // nil: there are no rules
	NoRules error          // why there are none
	Source  string         // reference of a source of kind esl; "": the first
	Conf    string         // directory of FreeSWITCH's configuration on this host
	Log     string         // path of FreeSWITCH's log; "": as the rules or the switch say

	// Guard asks the running guard for its status; nil: it is not asked.
	Guard func(context.Context) (status.Status, error)
}

// Examine returns the findings, the worst first. It fails only if the source does not exist.
func Examine(ctx context.Context, o Options) ([]Finding, error) { return examine(ctx, o, thisHost()) }

func examine(ctx context.Context, o Options, h host) ([]Finding, error) {
	x := &exam{host: h, cfg: o.Config, noRules: o.NoRules, confDir: o.Conf, logPath: o.Log, at: defaultSwitch}
	if err := x.choose(strings.TrimPrefix(o.Source, "source.")); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, examTime)
	defer cancel()
	x.askSwitch(ctx)
	x.readFiles()
	x.probe(ctx)
	x.tailLog()
	x.askGuard(ctx, o.Guard)

	x.judgeRules()
	x.judgeSocket()
	x.judgeVersion()
	x.judgeCore()
	x.judgeClock()
	x.judgeProfiles()
	x.judgeCapture()
	x.judgeLog()
	x.judgeActions(ctx)
	x.judgeAdmin()
	x.judgeFleet()
	x.judgeHost()
	slices.SortStableFunc(x.found, func(a, b Finding) int {
		return slices.Index(severities, a.Severity) - slices.Index(severities, b.Severity)
	})
	return x.found, nil
}

// A switcher is a source that is connected to a switch.
type switcher interface {
	Switch() esl.Switch
	Captures() bool // it switches the capture on
}

// defaultSwitch is a FreeSWITCH with its own configuration.
var defaultSwitch = esl.Switch{Address: "127.0.0.1:8021", Password: "ClueCon"}

// choose selects the source ref, or the first of kind esl.
func (x *exam) choose(ref string) error {
	if x.cfg == nil {
		return nil
	}
	var able []string
	for _, s := range x.cfg.Sources {
		takes, ok := s.Source.(switcher)
		if !ok {
			continue
		}
		able = append(able, s.Ref)
		if x.ref == "" && ref == "" || s.Ref == ref {
			x.ref, x.at, x.captures = s.Ref, takes.Switch(), takes.Captures()
		}
	}
	if x.ref == "" && ref != "" {
		return fmt.Errorf("there is no source %q of kind esl; there are: %s", ref, cmp.Or(strings.Join(able, ", "), "none"))
	}
	return nil
}

func (x *exam) judgeRules() {
	switch {
	case x.noRules != nil:
		x.report(warning, x.noRules.Error(),
			"without rules nothing is protected; the switch was examined at FreeSWITCH's default address",
			"freeswitch-security doctor --rules DIR")
	case x.ref == "":
		x.report(warning, "the rules have no source of kind esl",
			"callers can forge lines of a log, but not events; and the event socket needs no setting of the switch",
			x.eslFix())
	}
}

// eslFix says how the rules get a source of kind esl.
func (x *exam) eslFix() string {
	i := slices.IndexFunc(x.cfg.Disabled, func(ref string) bool { return strings.HasPrefix(ref, "esl.") })
	if i >= 0 {
		return "remove enabled = false from the block of source." + x.cfg.Disabled[i]
	}
	return "source \"esl\" \"pbx\" {\n  address  = \"127.0.0.1:8021\"\n  password = env(\"ESL_PASSWORD\")\n}\nand in locals: switch = [source.esl.pbx, ...]"
}

// judgeAdmin reports an API that every user of the host can use.
func (x *exam) judgeAdmin() {
	if x.cfg == nil || !daemon.NeedsNoToken(x.cfg.Admin) {
		return
	}
	scheme := "http://"
	if x.cfg.Admin.TLSCert != "" {
		scheme = "https://"
	}
	x.report(info, "every user and program of this host can ban and unban, at "+scheme+x.cfg.Admin.Listen,
		"an attacker who gets into another program of this host, such as a web application, can unban itself",
		"admin {\n  listen = \"\" # this command line needs only the unix socket, which its owner alone can open\n}\nor in it: token = env(\"ADMIN_TOKEN\")")
}
