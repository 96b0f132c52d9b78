package main

import (
	"context"
	"errors"

	"freeswitch-security/cmd/freeswitch-security/doctor"
	"freeswitch-security/engine/status"

	"github.com/spf13/cobra"
)

func (a *app) doctor() *cobra.Command {
	var o doctor.Options
	var rules string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find what leaves a FreeSWITCH and this host open",
		Long: `Examine a FreeSWITCH over its event socket, and this host, for what leaves them
open to attacks: what it is, why it matters and how to fix it. Of a fleet it
examines the server, the rights and the clocks, as the running guard sees them.
It changes nothing, but logs a line at FreeSWITCH to test its log level. Run it
as the user that runs the guard.

Exit status: 0 nothing critical; 1 something critical; 2 it could not look.`,
		Example: "  freeswitch-security doctor\n  freeswitch-security doctor --source esl.pbx --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := rulesDir(rules)
			switch {
			case err == nil:
				if o.Config, err = a.load(dir); errors.Is(err, errNo) {
					return errors.New("the rules have mistakes, and they name the switch")
				} else if err != nil {
					return err
				}
			case rules != "" || o.Source != "":
				return err
			default:
				o.NoRules = err
			}
			o.Guard = func(ctx context.Context) (s status.Status, err error) {
				c, err := a.client(connFlags{})
				if err != nil {
					return s, err
				}
				return c.Status(ctx)
			}
			found, err := doctor.Examine(cmd.Context(), o)
			if err == nil {
				err = doctor.Print(a.stdout, found, asJSON, a.colour(a.stdout))
			}
			if err == nil && doctor.IsCritical(found) {
				return errNo
			}
			return err
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "", "`DIR` of the rules that name the switch")
	cmd.Flags().StringVar(&o.Source, "source", "", "the `SOURCE` of kind esl to examine: esl.pbx")
	cmd.Flags().StringVar(&o.Conf, "freeswitch-conf", "/etc/freeswitch", "its configuration `DIR`")
	cmd.Flags().StringVar(&o.Log, "log", "", "FreeSWITCH's log `FILE`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON object")
	return cmd
}
