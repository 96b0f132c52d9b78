package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/esl"

	"github.com/spf13/cobra"
)

// examTime bounds all that the doctor asks of the switch.
const examTime = 30 * time.Second

// doctorFlags are what the verb is told.
type doctorFlags struct {
	rules, source, conf, log string
	json                     bool
}

func (a *app) doctor() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what leaves a FreeSWITCH and this host open",
		Long: `Look at a FreeSWITCH over its event socket and at this host, and say in plain
words what leaves them open, why that matters and how to mend it. Nothing is
changed. Best run as the user that the guard runs as.

Exit status: 0 nothing critical; 1 something critical; 2 it could not look.`,
		Example: "  freeswitch-security doctor\n  freeswitch-security doctor --source esl.pbx --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.diagnose(cmd.Context(), f, thisHost())
		},
	}
	cmd.Flags().StringVar(&f.rules, "rules", "", "`DIR` of the rules that name the switch")
	cmd.Flags().StringVar(&f.source, "source", "", "the `SOURCE` of kind esl to look at: esl.pbx")
	cmd.Flags().StringVar(&f.conf, "freeswitch-conf", "/etc/freeswitch", "`DIR` of its settings")
	cmd.Flags().StringVar(&f.log, "log", "", "FreeSWITCH's log `FILE`")
	cmd.Flags().BoolVar(&f.json, "json", false, "write one JSON object")
	return cmd
}

// diagnose looks, and writes what it found.
func (a *app) diagnose(ctx context.Context, f doctorFlags, h host) error {
	x := &exam{host: h, confDir: f.conf, logPath: f.log}
	if err := a.consult(x, f); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, examTime)
	defer cancel()
	x.askSwitch(ctx)
	x.readFiles()
	x.probe(ctx)
	x.tailLog()
	found := x.diagnoses(ctx)
	if err := a.prescribe(found, f.json); err != nil {
		return err
	}
	if slices.ContainsFunc(found, func(d diagnosis) bool { return d.Severity == critical }) {
		return errNo
	}
	return nil
}

// A switcher is a source that listens to a switch which takes commands, too.
type switcher interface{ Switch() esl.Switch }

// freeswitchsOwn is how a FreeSWITCH is reached that nobody has configured.
var freeswitchsOwn = esl.Switch{Address: "127.0.0.1:8021", Password: "ClueCon"}

// consult finds out from the rules which switch is meant.
func (a *app) consult(x *exam, f doctorFlags) error {
	dir, err := rulesDir(f.rules)
	if err != nil && f.rules == "" && f.source == "" {
		x.noRules = err
		x.at = freeswitchsOwn
		return nil
	}
	if err != nil {
		return err
	}
	cfg, diags, files := config.Load(dir, kinds, a.environ)
	if err := a.complain(diags, files); err != nil {
		return errors.New("the rules cannot be used, and they name the switch")
	}
	return x.choose(cfg, strings.TrimPrefix(f.source, "source."))
}

// choose takes the source of that reference, or the first that takes commands.
func (x *exam) choose(cfg *config.Config, ref string) error {
	x.cfg = cfg
	var able []string
	for _, s := range cfg.Sources {
		takes, ok := s.Source.(switcher)
		if !ok {
			continue
		}
		able = append(able, s.Ref)
		if x.ref == "" && ref == "" || s.Ref == ref {
			x.ref, x.at = s.Ref, takes.Switch()
		}
	}
	switch {
	case x.ref == "" && ref != "" && len(able) == 0:
		return fmt.Errorf("there is no source %q of kind esl: the rules have none", ref)
	case x.ref == "" && ref != "":
		return fmt.Errorf("there is no source %q of kind esl; there are: %s", ref, strings.Join(able, ", "))
	case x.ref == "":
		x.at = freeswitchsOwn
	}
	return nil
}
