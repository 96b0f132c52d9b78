package main

import (
	"fmt"
	"runtime/debug"
	"slices"

	"freeswitch-security/cmd/freeswitch-security/hugepage"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"
)

func (a *app) check() *cobra.Command {
	var rules string
	var show bool
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "Check the rules and show every mistake in them",
		Long: `Check the rules and show the mistakes of all files, with file, line and column.
Warn about a rule without a test, a rule that waits for what no enabled source
reports, that reads or counts by what its sources never set, or that bans for an
event without an address, and a source that no rule names. Tell of a rule that
bans at its first event. Only the rule files are opened.
Of all verbs only check and test read the test blocks: a mistake in one keeps no
guard from starting.

--show prints what holds of the security blocks, and where it is set: in an HCL
file, over these in a JSON file, over both in the environment.

Exit status: 0 the rules can be used; 1 they cannot; 2 it could not be checked.`,
		Example: "  freeswitch-security check\n  freeswitch-security check --show /etc/freeswitch-security/rules.d",
		Args:    one("DIR", 0),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := rulesDir(rules, args...)
			if err != nil {
				return err
			}
			defer debug.SetGCPercent(debug.SetGCPercent(1000)) // it ends soon: most garbage is never collected
			hugepage.Grow[[16 << 20]byte]()
			cfg, diags, files := config.Load(dir, kinds, a.environ)
			if !diags.HasErrors() {
				diags = append(diags, config.Lint(cfg)...)
			}
			if err := a.complain(diags, files); err != nil {
				return err
			}
			if show {
				if err := a.showSettings(cfg); err != nil {
					return err
				}
			}
			result := "No mistakes"
			warnings := slices.DeleteFunc(diags, func(d *hcl.Diagnostic) bool { return d.Severity == settings.Notice })
			if len(warnings) > 0 {
				result = "The rules can be used, with " + terminal.Count(len(warnings), "warning")
			}
			fmt.Fprintf(a.stdout, "%s: %s, %s, %s, %s.\n", result,
				terminal.Count(len(cfg.Rules), "rule"), terminal.Count(len(cfg.Tests), "test"),
				terminal.Count(len(cfg.Sources), "source"), terminal.Count(len(cfg.Actions), "action"))
			return nil
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "", "directory of the rules, as DIR")
	cmd.Flags().BoolVar(&show, "show", false, "print the settings that hold, and where each is set")
	return cmd
}

// showSettings prints what holds of the security blocks.
func (a *app) showSettings(cfg *config.Config) error {
	table := terminal.NewTable("SETTING", "SET BY", "VALUE")
	for _, s := range cfg.Settings() {
		table.Row(s.Name, s.From, s.Value)
	}
	if err := table.Print(a.stdout, 0); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.stdout)
	return err
}
