package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/fleet"
	"freeswitch-security/engine/status"

	"github.com/spf13/cobra"
)

// listPage is how many entries are fetched at once. With evidence they take some
// megabytes.
const listPage = 1000

// listFlags say which entries are listed, and how.
type listFlags struct {
	connFlags
	rule, sort, node string
	limit            int
	trusted, json    bool
}

func (a *app) list() *cobra.Command {
	var flags listFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List bans or what is trusted",
		Long: `List all bans, or with --trusted all trusted networks and accounts. UNTIL is the
time that is left, PACKETS is what the kernel has dropped. With --json each
entry is one object on a line. --node lists the bans that a node of the fleet
has decided, this one or another one.

Bans are sorted by target, until, added, packets or offence.

Exit status: 0 the list is complete; 2 the request failed.`,
		Example: "  freeswitch-security list --rule \"password guessing\" --sort packets --limit 20\n" +
			"  freeswitch-security list --json | jq -r .target",
		Args: cobra.NoArgs,
	}
	cmd.RunE = a.asking(&flags.connFlags, func(ctx context.Context, c *client.Client, _ []string) error {
		if flags.trusted {
			if flags.rule != "" || flags.node != "" || cmd.Flags().Changed("sort") {
				return errors.New("--rule, --node and --sort are for bans only")
			}
			return a.listTrusted(ctx, c, flags)
		}
		return a.listBans(ctx, c, flags)
	})
	flags.connFlags.flags(cmd)
	cmd.Flags().StringVar(&flags.rule, "rule", "", "only the bans of this rule")
	cmd.Flags().StringVar(&flags.node, "node", "", "only the bans that this `NODE` of the fleet decided")
	cmd.Flags().StringVar(&flags.sort, "sort", "target", "order of bans")
	cmd.Flags().IntVar(&flags.limit, "limit", 0, "maximum number of entries; 0: all")
	cmd.Flags().BoolVar(&flags.trusted, "trusted", false, "list trusted networks and accounts")
	cmd.Flags().BoolVar(&flags.json, "json", false, "for programs")
	a.completeRules(cmd, &flags.connFlags)
	complete(cmd, "sort", "target", "until", "added", "packets", "offence")
	return cmd
}

// orders are the orders of bans: soonest, latest or most first.
var orders = map[string]func(a, b status.Ban) int{
	"target": nil, // as the daemon lists them
	"until": func(a, b status.Ban) int {
		if a.Until.IsZero() != b.Until.IsZero() { // a permanent ban comes last
			return b.Until.Compare(a.Until)
		}
		return a.Until.Compare(b.Until)
	},
	"added":   func(a, b status.Ban) int { return b.Start.Compare(a.Start) },
	"packets": func(a, b status.Ban) int { return cmp.Compare(dropped(b), dropped(a)) },
	"offence": func(a, b status.Ban) int { return cmp.Compare(b.Offence, a.Offence) },
}

// dropped is how many packets a ban has dropped; 0 if it is not known.
func dropped(b status.Ban) uint64 {
	if b.Packets == nil {
		return 0
	}
	return *b.Packets
}

func (a *app) listBans(ctx context.Context, c *client.Client, flags listFlags) error {
	if flags.limit < 0 {
		return fmt.Errorf("--limit is a number of entries, not %d", flags.limit)
	}
	order, known := orders[flags.sort]
	if !known {
		return fmt.Errorf("--sort is target, until, added, packets or offence, not %q", flags.sort)
	}
	wanted := passing(c.Bans(ctx, listPage), ofRule(flags.rule))
	if flags.node != "" {
		decided, err := decidedBy(ctx, c, flags.node)
		if err != nil {
			return err
		}
		wanted = passing(wanted, decided)
	}
	if order != nil {
		bans, err := collect(wanted, !flags.json)
		if err != nil {
			return err
		}
		slices.SortStableFunc(bans, order)
		wanted = each(bans)
	}
	wanted = first(wanted, flags.limit)
	if flags.json {
		return printObjects(a.stdout, wanted)
	}
	now := time.Now()
	s, err := c.Status(ctx)
	if err != nil {
		return err
	}
	heads := []string{"TARGET", "RULE", "UNTIL", "OFFENCE", "PACKETS", "REASON"}
	located := s.GeoIP != nil
	if located {
		heads = slices.Insert(heads, 1, "FROM")
	}
	t := terminal.NewTable(heads...)
	for b, err := range wanted {
		if err != nil {
			return err
		}
		ends := terminal.Until(b.Until, now)
		packets := "not known"
		switch {
		case s.DryRun:
		case b.Applied == nil:
			ends += ", not known to be in force"
		case !*b.Applied:
			ends += ", not in force"
		}
		switch {
		case b.Target.Kind() == ban.TargetAccount:
			packets = "-"
		case b.Packets != nil:
			packets = strconv.FormatUint(*b.Packets, 10)
		}
		row := []string{b.Target.String(), cmp.Or(b.Rule, b.Author), ends, strconv.Itoa(b.Offence), packets, b.Reason}
		if located {
			row = slices.Insert(row, 1, placeText(&b))
		}
		t.Row(row...)
		if !s.DryRun && b.Applied != nil && !*b.Applied {
			t.Style(terminal.Yellow)
		}
	}
	none := "no bans"
	if flags.rule != "" {
		none += fmt.Sprintf(" of rule %q", flags.rule)
	}
	if flags.node != "" {
		none += " of node " + flags.node
	}
	if s.DryRun && !t.Empty() {
		fmt.Fprintln(a.stdout, "In a dry run, these would be banned:")
	}
	return a.table(t, none)
}

// table prints a table, cut and coloured for a terminal, or what to say if it is empty.
func (a *app) table(t *terminal.Table, none string) error {
	if t.Empty() {
		_, err := fmt.Fprintln(a.stdout, none)
		return err
	}
	return t.PrintIn(a.stdout, terminal.Width(a.stdout), a.colour(a.stdout))
}

func (a *app) listTrusted(ctx context.Context, c *client.Client, flags listFlags) error {
	wanted := first(c.AllTrusted(ctx, listPage), flags.limit)
	if flags.json {
		return printObjects(a.stdout, wanted)
	}
	now := time.Now()
	t := terminal.NewTable("TARGET", "NAME", "WHERE", "UNTIL", "COMMENT")
	for entry, err := range wanted {
		if err != nil {
			return err
		}
		where := cmp.Or(entry.Where, "built in")
		if entry.RunTime {
			where = "run time"
		}
		t.Row(entry.Target.String(), entry.Name, where, terminal.Until(entry.Until, now), entry.Comment)
	}
	return a.table(t, "nothing is trusted")
}

// printObjects writes each value as one object on a line.
func printObjects[T any](w io.Writer, values iter.Seq2[T, error]) error {
	for v, err := range values {
		if err != nil {
			return err
		}
		if err := terminal.Object(w, v); err != nil {
			return err
		}
	}
	return nil
}

// ofRule returns whether a ban is of a rule; "" is each.
func ofRule(rule string) func(*status.Ban) bool {
	return func(b *status.Ban) bool { return rule == "" || b.Rule == rule }
}

// decidedBy returns whether a node of the fleet has decided a ban.
func decidedBy(ctx context.Context, c *client.Client, node string) (func(*status.Ban) bool, error) {
	s, err := c.Status(ctx)
	switch {
	case err != nil:
		return nil, err
	case s.Fleet == nil:
		return nil, errors.New("--node is for a guard in a fleet, and this one is in none: the rule files have no fleet block")
	}
	own := s.Fleet.Node == node
	return func(b *status.Ban) bool {
		return b.Author == fleet.AuthorPrefix+node || own && !strings.HasPrefix(b.Author, fleet.AuthorPrefix)
	}, nil
}

// passing filters bans.
func passing(bans iter.Seq2[status.Ban, error], wanted func(*status.Ban) bool) iter.Seq2[status.Ban, error] {
	return func(yield func(status.Ban, error) bool) {
		for b, err := range bans {
			if (err != nil || wanted(&b)) && !yield(b, err) {
				return
			}
		}
	}
}

// first passes the first n entries; 0 passes all.
func first[T any](entries iter.Seq2[T, error], n int) iter.Seq2[T, error] {
	if n <= 0 {
		return entries
	}
	return func(yield func(T, error) bool) {
		passed := 0
		for e, err := range entries {
			if !yield(e, err) {
				return
			}
			if passed++; passed == n {
				return
			}
		}
	}
}

// collect gathers bans. Slim ones hold no evidence, which takes most of the memory.
func collect(bans iter.Seq2[status.Ban, error], slim bool) ([]status.Ban, error) {
	var all []status.Ban
	for b, err := range bans {
		if err != nil {
			return nil, err
		}
		if slim {
			b.Evidence = nil
		}
		all = append(all, b)
	}
	return all, nil
}

func each(bans []status.Ban) iter.Seq2[status.Ban, error] {
	return func(yield func(status.Ban, error) bool) {
		for _, b := range bans {
			if !yield(b, nil) {
				return
			}
		}
	}
}
