package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"

	"freeswitch-security/cmd/freeswitch-security/proposals"
	"freeswitch-security/cmd/freeswitch-security/recording"
	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/learn"

	"github.com/spf13/cobra"
)

func (a *app) learn() *cobra.Command {
	var rules, source string
	var days int
	cmd := &cobra.Command{
		Use:   "learn [SOURCE=]FILE…",
		Short: "Propose trust and thresholds from recordings of normal days",
		Long: `Read recordings of normal days and propose which addresses to trust, as carriers
or offices, and which accounts, as dialers; which countries are usual, how many
calls one account makes at once, and the hours of the site. For every rule, show
what it would have done, which addresses that registered it would have caught,
and a threshold that spares them. The output is HCL to paste, with the reasons
as comments. Files are read as by replay.

FreeSWITCH's log does not report registrations: that takes a recording of the
event socket, or event blocks for lines that do. An address that only fails, is
challenged, or calls without a password is never proposed except as a comment.

Exit status: 0 all files were read; 1 the rules have mistakes; 2 a file could
not be read (the output is from the rest).`,
		Example: "  freeswitch-security learn freeswitch.log.1 freeswitch.log > proposals.hcl\n" +
			"  freeswitch-security learn --days 5 esl.pbx=week.esl log.freeswitch=week.log",
		Args: atLeastOne("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if days < 1 {
				return fmt.Errorf("--days is 1 or more, not %d", days)
			}
			return a.runLearn(cmd.Context(), rules, source, days, args)
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "", "directory of the rules")
	cmd.Flags().StringVar(&source, "source", "", "source of the files that name none")
	cmd.Flags().IntVar(&days, "days", learn.MinimumDays, "days on which a proposed address was seen")
	return cmd
}

func (a *app) runLearn(ctx context.Context, rules, source string, days int, args []string) error {
	cfg, err := a.load(rules)
	if err != nil {
		return err
	}
	set, err := recording.Open(ctx, cfg, a.stdin, args, source)
	if err != nil {
		return err
	}
	set.Want(learn.Events...)
	recorder := learn.New(learn.Options{Rules: cfg.Rules, Trusted: ban.NewTrust(cfg.Trusted), NAT64: cfg.Security.NAT64, Numbering: cfg.Numbering, Forgeable: forgeable(cfg), Days: days})
	e := engine.New(cfg, engine.Options{DryRun: true, Observed: recorder.Record, OnChange: recorder.Decided})
	read, err := set.Replay(ctx, e, nil, a.stderr)
	if err != nil {
		return err
	}
	findings := recorder.Conclude()
	out := bufio.NewWriter(a.stdout)
	if err := proposals.Write(out, findings, cfg, days); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	for _, line := range proposals.Summary(findings, days) {
		a.say(errors.New(line))
	}
	return a.account(read)
}

// forgeable reports whether callers can write what a source reads.
func forgeable(cfg *config.Config) func(source string) bool {
	return func(source string) bool {
		return slices.ContainsFunc(cfg.Sources, func(s config.Source) bool { return s.Ref == source && s.Description.Log })
	}
}
