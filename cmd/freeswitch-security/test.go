package main

import (
	"fmt"

	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine"
	"freeswitch-security/engine/config"

	"github.com/spf13/cobra"
)

func (a *app) test() *cobra.Command {
	var rules string
	cmd := &cobra.Command{
		Use:   "test [DIR]",
		Short: "Run the test blocks of the rules",
		Long: `Run the test blocks of the rules. Each runs against the rule that it belongs to,
alone, with no bans. A test that fails shows what it expected and what happened,
with its file and line. A test that needs a source with enabled = false, or one
that the site does not have, is skipped.

Exit status: 0 all tests pass; 1 one fails, or the rules have mistakes; 2 it
could not be done.`,
		Example: "  freeswitch-security test rules.d",
		Args:    one("DIR", 0),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := rulesDir(rules, args...)
			if err != nil {
				return err
			}
			cfg, diags, files := config.Load(dir, kinds, a.environ)
			if err := a.complain(diags, files); err != nil {
				return err
			}
			failed := 0
			for _, t := range cfg.Tests {
				differences, err := engine.RunTest(cfg, t)
				if err != nil {
					differences = append(differences, err.Error())
				}
				if len(differences) == 0 {
					continue
				}
				failed++
				fmt.Fprintf(a.stdout, "%s: rule %q, test %q failed:\n", t.Where, t.Rule, t.Name)
				for _, d := range differences {
					fmt.Fprintf(a.stdout, "  %s\n", terminal.Printable(d))
				}
			}
			fmt.Fprintf(a.stdout, "%d passed, %d failed", len(cfg.Tests)-failed, failed)
			if n := len(cfg.Skipped); n > 0 {
				fmt.Fprintf(a.stdout, ", %d skipped: they need a source that is not enabled", n)
			}
			fmt.Fprintln(a.stdout)
			if failed > 0 {
				return errNo
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "", "directory of the rules, as DIR")
	return cmd
}
