package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"text/tabwriter"
	"time"

	"freeswitch-security/cmd/freeswitch-security/recording"
	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"

	"github.com/spf13/cobra"
)

func (a *app) diff() *cobra.Command {
	var rules, with, source string
	cmd := &cobra.Command{
		Use:   "diff --rules A --with B [SOURCE=]FILE…",
		Short: "Compare whom two sets of rules would block",
		Long: `Run two sets of rules over the same recordings and show whom B would block that
A does not, and the reverse, and whom it would block earlier, later, or for
another length. Compared is the first ban that covers each target.

Exit status: 0 they block alike; 1 they differ, or rules have mistakes; 2 it
could not be done, or something could not be read.`,
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
			before, _, err := a.firstBans(cmd.Context(), cfgA, source, args)
			if err != nil {
				return err
			}
			after, account, err := a.firstBans(cmd.Context(), cfgB, source, args)
			if err != nil {
				return err
			}
			differ, err := a.compare(before, after)
			if err := errors.Join(err, account()); err != nil {
				return err
			}
			if differ {
				return errNo
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "", "directory of the rules A")
	cmd.Flags().StringVar(&with, "with", "", "directory of the rules B")
	cmd.Flags().StringVar(&source, "source", "", "source that wrote the files which name none")
	for _, required := range []string{"rules", "with"} {
		if err := cmd.MarkFlagRequired(required); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

// firstBans is what a set of rules did first about each target.
type firstBans map[ban.Target]ban.Change

// firstBans replays args under the rules of cfg. account tells what could
// not be read, as [app.account] does: it is the same for both sets of rules.
func (a *app) firstBans(ctx context.Context, cfg *config.Config, source string, args []string) (first firstBans, account func() error, err error) {
	set, err := recording.Open(ctx, cfg, a.stdin, args, source)
	if err != nil {
		return nil, nil, err
	}
	if set.Piped() {
		return nil, nil, errors.New("diff reads its files twice and cannot read standard input")
	}
	first = firstBans{}
	e := engine.New(cfg, engine.Options{OnChange: func(c *ban.Change) {
		if _, known := first[c.Target]; c.InForce() && !known {
			first[c.Target] = *c
		}
	}})
	read, err := set.Replay(ctx, e, nil, a.stderr)
	return first, func() error { return a.account(read) }, err
}

// covering returns the earliest ban that covers all of target: its own, or that
// of a network around it.
func (f firstBans) covering(target ban.Target) (first ban.Change, found bool) {
	first, found = f[target]
	network := target.Prefix()
	for bits := network.Bits(); bits >= 0; bits-- {
		v, ok := f[ban.Network(netip.PrefixFrom(network.Addr(), bits).Masked())]
		if ok && (!found || v.At.Before(first.At)) {
			first, found = v, true
		}
	}
	return first, found
}

// A row is one difference.
type row struct {
	at     time.Time
	target ban.Target
	how    string
	detail string
}

// compare prints how the bans of B differ from those of A, and reports whether
// they do.
func (a *app) compare(before, after firstBans) (differ bool, err error) {
	var rows []row
	targets := maps.Clone(before)
	maps.Copy(targets, after)
	for target := range targets {
		if d, differs := compareTarget(target, before, after); differs {
			rows = append(rows, d)
		}
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintf(a.stdout, "No difference: both block %s.\n", count(len(before), "target"))
		return false, err
	}
	slices.SortFunc(rows, func(x, y row) int {
		return cmp.Or(cmp.Compare(x.how, y.how), x.at.Compare(y.at), x.target.Compare(y.target))
	})
	t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "HOW\tTARGET\tTIME (UTC)\tDETAIL")
	totals := map[string]int{}
	for _, r := range rows {
		totals[r.how]++
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", r.how, r.target.String(), r.at.UTC().Format(time.DateTime), printable(r.detail))
	}
	fmt.Fprintln(t)
	for _, how := range slices.Sorted(maps.Keys(totals)) {
		fmt.Fprintf(t, "%s\t%s\n", how, count(totals[how], "target"))
	}
	return true, t.Flush()
}

// compareTarget compares what befell a target first.
func compareTarget(target ban.Target, before, after firstBans) (row, bool) {
	a, inA := before.covering(target)
	b, inB := after.covering(target)
	d := row{target: target, at: b.At}
	switch {
	case !inA:
		d.how, d.detail = "only B", byRule(b)
	case !inB:
		d.at, d.how, d.detail = a.At, "only A", byRule(a)
	case b.At.Before(a.At):
		d.how, d.detail = "earlier", "by "+ban.FormatDuration(a.At.Sub(b.At))+": "+byRule(b)+", was "+byRule(a)
	case b.At.After(a.At):
		d.how, d.detail = "later", "by "+ban.FormatDuration(b.At.Sub(a.At))+": "+byRule(b)+", was "+byRule(a)
	case a.Term != b.Term:
		d.how, d.detail = "length", byRule(b)+", was "+byRule(a)
	default:
		return d, false
	}
	return d, true
}

func byRule(c ban.Change) string { return c.Term.String() + " by " + c.Rule }
