package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"freeswitch-security/cmd/freeswitch-security/recording"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"

	"github.com/spf13/cobra"
)

func (a *app) diff() *cobra.Command {
	var rules, with, source string
	var asRecorded bool
	cmd := &cobra.Command{
		Use:   "diff --rules A --with B [SOURCE=]FILE…",
		Short: "Compare the bans of two sets of rules",
		Long: `Run two sets of rules over the same recordings and show which targets only A or
only B bans, and which B bans earlier, later or for another term. The first ban
that covers a target is compared. Events count as in replay.

Exit status: 0 the bans are the same; 1 they differ, or the rules have mistakes;
2 it could not be done, or something could not be read.`,
		Example: "  freeswitch-security diff --rules rules.d --with rules.new freeswitch.log",
		Args:    atLeastOne("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfgA, err := a.load(rules)
			if err != nil {
				return err
			}
			cfgB, err := a.load(with)
			if err != nil {
				return err
			}
			before, _, err := a.firstBans(cmd.Context(), cfgA, source, asRecorded, args)
			if err != nil {
				return err
			}
			after, read, err := a.firstBans(cmd.Context(), cfgB, source, asRecorded, args)
			if err != nil {
				return err
			}
			differ, err := a.compare(before, after)
			err = errors.Join(err, a.account(read)) // it is the same for both
			if err == nil && differ {
				err = errNo
			}
			return err
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "", "directory of the rules A")
	cmd.Flags().StringVar(&with, "with", "", "directory of the rules B")
	cmd.Flags().StringVar(&source, "source", "", "source of the files that name none")
	asRecordedFlag(cmd, &asRecorded)
	must(cmd.MarkFlagRequired("rules"))
	must(cmd.MarkFlagRequired("with"))
	return cmd
}

// firstBans are the first bans of each target.
type firstBans map[ban.Target]ban.Change

func (a *app) firstBans(ctx context.Context, cfg *config.Config, source string, asRecorded bool, args []string) (firstBans, recording.Account, error) {
	set, err := recording.Open(ctx, cfg, a.stdin, args, source)
	if err == nil && set.Piped() {
		err = errors.New("diff reads its files twice and cannot read standard input")
	}
	if err != nil {
		return nil, recording.Account{}, err
	}
	first := firstBans{}
	e := engine.New(cfg, engine.Options{AsRecorded: asRecorded, OnChange: func(c *ban.Change) {
		if _, known := first[c.Target]; c.InForce() && !known {
			first[c.Target] = *c
		}
	}})
	read, err := set.Replay(ctx, e, nil, a.stderr)
	return first, read, err
}

// covering returns the earliest ban that covers a target: its own, or that of a network.
func (f firstBans) covering(target ban.Target) (first ban.Change, found bool) {
	first, found = f[target]
	network := target.Prefix()
	for bits := network.Bits(); bits >= 0; bits-- {
		c, ok := f[ban.Network(netip.PrefixFrom(network.Addr(), bits).Masked())]
		if ok && (!found || c.At.Before(first.At)) {
			first, found = c, true
		}
	}
	return first, found
}

// A difference is one row of the answer.
type difference struct {
	how    string
	at     time.Time
	target ban.Target
	detail string
}

// compare prints the differences, and reports whether there are any.
func (a *app) compare(before, after firstBans) (differ bool, err error) {
	var rows []difference
	targets := maps.Clone(before)
	maps.Copy(targets, after)
	for target := range targets {
		if d := compareTarget(target, before, after); d.how != "" {
			rows = append(rows, d)
		}
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintf(a.stdout, "No difference: both ban %s.\n", terminal.Count(len(before), "target"))
		return false, err
	}
	slices.SortFunc(rows, func(x, y difference) int {
		return cmp.Or(cmp.Compare(x.how, y.how), x.at.Compare(y.at), x.target.Compare(y.target))
	})
	t := terminal.NewTable("HOW", "TARGET", "TIME (UTC)", "DETAIL")
	totals := map[string]int{}
	for _, d := range rows {
		totals[d.how]++
		t.Row(d.how, d.target.String(), d.at.UTC().Format(time.DateTime), d.detail)
	}
	t.Row("")
	for _, how := range slices.Sorted(maps.Keys(totals)) {
		t.Row(how, terminal.Count(totals[how], "target"))
	}
	return true, t.Print(a.stdout, 0)
}

// compareTarget compares the first bans of a target. how is "" if they are the same.
func compareTarget(target ban.Target, before, after firstBans) difference {
	a, inA := before.covering(target)
	b, inB := after.covering(target)
	byRule := func(c ban.Change) string { return c.Term.String() + " by " + c.Rule }
	both := byRule(b) + ", was " + byRule(a)
	switch {
	case !inA:
		return difference{"only B", b.At, target, byRule(b)}
	case !inB:
		return difference{"only A", a.At, target, byRule(a)}
	case b.At.Before(a.At):
		return difference{"earlier", b.At, target, "by " + ban.FormatDuration(a.At.Sub(b.At)) + ": " + both}
	case b.At.After(a.At):
		return difference{"later", b.At, target, "by " + ban.FormatDuration(b.At.Sub(a.At)) + ": " + both}
	case a.Term != b.Term:
		return difference{"term", b.At, target, both}
	}
	return difference{}
}
