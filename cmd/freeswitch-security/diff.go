package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"text/tabwriter"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"

	"github.com/spf13/cobra"
)

func (a *app) diff() *cobra.Command {
	var rules, with, source string
	cmd := &cobra.Command{
		Use:   "diff --rules A --with B [SOURCE=]FILE…",
		Short: "Compare whom two sets of rules would block",
		Long: `Run two sets of rules over the same recordings and show whom B would block that
A does not, and the reverse, and whom it would block earlier, later, or for
another length. Compared is the first ban of each target.

Exit status: 0 they block alike; 1 they differ, or rules have mistakes; 2 it
could not be done.`,
		Example: "  freeswitch-security diff --rules /etc/freeswitch-security/rules.d --with rules.d freeswitch.log",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			before, err := a.firstBans(cmd.Context(), rules, source, args)
			if err != nil {
				return err
			}
			after, err := a.firstBans(cmd.Context(), with, source, args)
			if err != nil {
				return err
			}
			return a.compare(before, after)
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

// firstBans replays args under the rules of a directory and returns the first
// ban of each target.
func (a *app) firstBans(ctx context.Context, rules, source string, args []string) (map[netip.Prefix]engine.Verdict, error) {
	cfg, err := a.load(rules)
	if err != nil {
		return nil, err
	}
	inputs, recordings, err := a.inputs(cfg, args, source)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(recordings, func(r *recording) bool { return slices.Contains(r.paths, "-") }) {
		return nil, errors.New("diff reads its files twice and cannot read standard input")
	}
	first := map[netip.Prefix]engine.Verdict{}
	e := engine.New(cfg, nil, slog.New(slog.DiscardHandler), func(v engine.Verdict) {
		if _, known := first[v.Target]; v.Kind == engine.Ban && !known {
			first[v.Target] = v
		}
	})
	done := a.progress(recordings)
	_, err = e.Replay(ctx, inputs, nil)
	done()
	return first, errors.Join(append(failures(recordings), err)...)
}

// A difference is one row of the comparison.
type difference struct {
	at     time.Time
	target netip.Prefix
	how    string
	detail string
}

// compare prints how the bans of B differ from those of A.
func (a *app) compare(before, after map[netip.Prefix]engine.Verdict) error {
	var rows []difference
	for target, b := range after {
		if _, both := before[target]; !both {
			rows = append(rows, difference{b.Time, target, "only B", byRule(b)})
		}
	}
	for target, b := range before {
		if d, differs := compareBan(b, after); differs {
			d.target = target
			rows = append(rows, d)
		}
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintf(a.stdout, "No difference: both block %s.\n", count(len(before), "target"))
		return err
	}
	slices.SortFunc(rows, func(x, y difference) int {
		return cmp.Or(cmp.Compare(x.how, y.how), x.at.Compare(y.at), x.target.Compare(y.target))
	})
	t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "HOW\tTARGET\tTIME (UTC)\tDETAIL")
	totals := map[string]int{}
	for _, r := range rows {
		totals[r.how]++
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", r.how, ban.FormatTarget(r.target), r.at.UTC().Format(time.DateTime), printable(r.detail))
	}
	fmt.Fprintln(t)
	for _, how := range slices.Sorted(maps.Keys(totals)) {
		fmt.Fprintf(t, "%s\t%s\n", how, count(totals[how], "target"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return errNo
}

// compareBan compares a ban of A with what B does about the same target.
func compareBan(a engine.Verdict, after map[netip.Prefix]engine.Verdict) (difference, bool) {
	b, both := after[a.Target]
	d := difference{at: a.Time}
	switch {
	case !both:
		d.how, d.detail = "only A", byRule(a)
	case b.Time.Before(a.Time):
		d.at, d.how, d.detail = b.Time, "earlier", "by "+ban.FormatDuration(a.Time.Sub(b.Time))+": "+byRule(b)+", was "+byRule(a)
	case b.Time.After(a.Time):
		d.at, d.how, d.detail = b.Time, "later", "by "+ban.FormatDuration(b.Time.Sub(a.Time))+": "+byRule(b)+", was "+byRule(a)
	case a.Term != b.Term:
		d.how, d.detail = "length", byRule(b)+", was "+byRule(a)
	default:
		return d, false
	}
	return d, true
}

func byRule(v engine.Verdict) string { return v.Term.String() + " by " + v.Rule }
