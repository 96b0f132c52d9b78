package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
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

// A picture is all that is known about a target.
type picture struct {
	Target   string           `json:"target"`
	Ban      *status.Ban      `json:"ban"`      // nil: not banned
	Why      string           `json:"-"`        // in words, if it is not banned
	Trusted  *status.Trusted  `json:"trusted"`  // nil: not trusted
	Trackers []status.Tracker `json:"trackers"` // with matches of it
	dryRun   bool
}

func (a *app) show() *cobra.Command {
	var r connFlags
	var asJSON bool
	most := 10
	cmd := &cobra.Command{
		Use:   "show TARGET",
		Short: "Show the ban of an address or account, its evidence, trust and matches",
		Long: `Show whether an address, a network, an endpoint or an account is banned, why, by
which rule or user, and until when; which line of which file trusts it; the
rules that count matches of it; and the evidence. Evidence of one event, source,
address and account is one line, the latest; of many lines the last are shown.

Exit status: 0 it is banned; 1 it is not; 2 the request failed.`,
		Example: "  freeswitch-security show 203.0.113.7\n  freeswitch-security show 1007@pbx.example --json",
		Args:    one("TARGET", 1),
		RunE: a.asking(&r, func(ctx context.Context, c *client.Client, args []string) error {
			return a.showAddress(ctx, c, args[0], most, asJSON)
		}),
		ValidArgsFunction: a.completeBanned(&r, 1),
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	cmd.Flags().IntVar(&most, "evidence", most, "lines of evidence; 0: all, each by itself")
	return cmd
}

func (a *app) showAddress(ctx context.Context, c *client.Client, address string, most int, asJSON bool) error {
	if most < 0 {
		return fmt.Errorf("--evidence is a number of lines, not %d", most)
	}
	target, err := ban.ParseTarget(address)
	if err != nil {
		return err
	}
	p := picture{Target: target.String(), Trackers: []status.Tracker{}}
	if p.Ban, p.Why, err = c.Ban(ctx, target); err != nil {
		return err
	}
	if p.Trusted, err = c.Trusted(ctx, target); err != nil {
		return err
	}
	s, err := c.Status(ctx)
	if err != nil {
		return err
	}
	p.dryRun = s.DryRun
	trackers, err := c.Trackers(ctx, client.MaxTrackers, true)
	if err != nil {
		return err
	}
	for _, t := range trackers {
		if t.Concerns(target) {
			p.Trackers = append(p.Trackers, t)
		}
	}
	if asJSON {
		err = terminal.Object(a.stdout, p)
	} else {
		err = p.print(a.stdout, terminal.Width(a.stdout), most, time.Now())
	}
	if err == nil && p.Ban == nil {
		return errNo
	}
	return err
}

func (p *picture) print(w io.Writer, columns, most int, now time.Time) error {
	t := &terminal.Table{}
	say := t.Say
	if _, err := fmt.Fprintf(w, "%s: %s\n\n", terminal.Printable(p.Target), terminal.Printable(p.verdict(now))); err != nil {
		return err
	}
	if p.Ban != nil {
		describe(p.Ban, p.dryRun, now, say)
	}
	if e := p.Trusted; e != nil {
		say("trusted", "%s, by %s%s", e.Target, e.Name, inBrackets(e.Where))
		if e.Comment != "" {
			say("comment", "%s", e.Comment)
		}
		if e.RunTime {
			say("trust ends", "%s", terminal.Until(e.Until, now))
		}
	} else {
		say("trusted", "no")
	}
	if err := t.Print(w, 0); err != nil {
		return err
	}
	if err := p.printTrackers(w, columns, now); err != nil {
		return err
	}
	return p.printEvidence(w, most)
}

// verdict says in one line whether the target is banned.
func (p *picture) verdict(now time.Time) string {
	b := p.Ban
	if b == nil {
		return strings.TrimPrefix(p.Why, p.Target+" is ")
	}
	verdict := "banned permanently"
	if !b.Until.IsZero() {
		verdict = "banned for another " + terminal.About(b.Until.Sub(now))
	}
	if p.dryRun {
		verdict = "would be " + verdict + ", in a dry run"
	} else if b.Applied != nil && !*b.Applied {
		verdict += ", not in force"
	}
	by := cmp.Or(b.Rule, b.Author)
	if node, ofPeer := strings.CutPrefix(b.Author, fleet.AuthorPrefix); ofPeer {
		by = strings.TrimSuffix(node+": "+b.Rule, ": ")
	}
	return strings.TrimSuffix(verdict+", by "+by+": "+b.Reason, ": ")
}

// describe prints a ban without its evidence.
func describe(b *status.Ban, dry bool, now time.Time, say func(name, format string, args ...any)) {
	say("target", "%s", b.Target)
	if from := placeText(b); from != "" {
		say("from", "%s", strings.TrimRight(from+" "+b.ASName, " "))
	}
	say("rule", "%s", cmp.Or(b.Rule, "none"))
	say("by", "%s%s", b.Author, inBrackets(b.Source))
	say("reason", "%s", b.Reason)
	say("since", "%s (%s)", b.Start.UTC().Format(time.DateTime), terminal.Ago(b.Start, now))
	if b.Until.IsZero() {
		say("until", "permanent")
	} else {
		say("until", "%s (%s)", b.Until.UTC().Format(time.DateTime), terminal.Until(b.Until, now))
	}
	say("offence", "%d", b.Offence)
	if b.Actions != nil {
		say("actions", "%s", strings.Join(b.Actions, ", "))
	}
	switch {
	case dry:
	case b.Applied == nil:
		say("in force", "not known: the kernel or the switch could not be read")
	case *b.Applied && b.Target.Kind() == ban.TargetAccount:
		say("in force", "yes")
	case *b.Applied:
		say("in force", "yes, %s packets (%s bytes) dropped", orUnknown(b.Packets), orUnknown(b.Bytes))
	default:
		say("in force", "no")
	}
}

// placeText says where the address of a ban is: "DE AS64500"; "" if no database says it.
func placeText(b *status.Ban) string { return strings.Trim(b.Country+" "+b.ASN, " ") }

// inBrackets puts a text into brackets, unless it is empty.
func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func (p *picture) printTrackers(w io.Writer, columns int, now time.Time) error {
	if len(p.Trackers) == 0 {
		return nil
	}
	if _, err := io.WriteString(w, "\nMatches in windows:\n"); err != nil {
		return err
	}
	return trackerTable(p.Trackers, now).Print(w, columns)
}

// trackerTable shows how close keys are to a threshold.
func trackerTable(trackers []status.Tracker, now time.Time) *terminal.Table {
	t := terminal.NewTable("KEY", "COUNT", "WITHIN", "LAST", "RULE", "SOURCE")
	for _, k := range trackers {
		within := "at once"
		if k.Within > 0 {
			within = ban.FormatDuration(k.Within.Duration())
		}
		t.Row(k.Key, fmt.Sprintf("%d of %d", k.Count, k.Limit), within, terminal.Ago(k.Last, now), k.Rule, k.Source)
	}
	return t
}

// printEvidence shows the evidence of the ban, however long the lines are: the last groups, at most so many, or
// each entry if most is 0.
func (p *picture) printEvidence(w io.Writer, most int) error {
	if p.Ban == nil || len(p.Ban.Evidence) == 0 {
		return nil
	}
	groups := grouped(p.Ban.Evidence, most > 0)
	left := 0
	if most > 0 {
		left = max(0, len(groups)-most)
	}
	title := "Evidence, oldest first"
	if left > 0 {
		title += fmt.Sprintf(", without the %d before (--evidence 0 shows all)", left)
	}
	if _, err := fmt.Fprintf(w, "\n%s:\n", title); err != nil {
		return err
	}
	t := terminal.NewTable("LAST (UTC)", "TIMES", "EVENT", "SOURCE", "IP", "ACCOUNT", "TEXT")
	for _, g := range groups[left:] {
		t.Row(g.Time.UTC().Format(time.DateTime), strconv.Itoa(g.times), g.Event, g.Source, ban.Address(g.IP).String(), accountOf(g.Evidence), g.Text)
	}
	return t.Print(w, 0)
}

// A group is evidence of one event, source, address and account. It shows the latest.
type group struct {
	ban.Evidence
	times int
}

// grouped joins what is alike, oldest first by its last time, if it is wanted.
func grouped(evidence []ban.Evidence, wanted bool) (groups []group) {
	for _, e := range evidence {
		if e.Lost {
			e.Text = cmp.Or(e.Text, "(no longer kept)")
		}
		i := slices.IndexFunc(groups, func(g group) bool {
			return wanted && g.Event == e.Event && g.Source == e.Source && g.IP == e.IP && accountOf(g.Evidence) == accountOf(e)
		})
		if i < 0 {
			groups = append(groups, group{e, 1})
			continue
		}
		g := group{e, groups[i].times + 1}
		groups = append(slices.Delete(groups, i, i+1), g)
	}
	return groups
}

// accountOf writes the account of evidence: "1000@pbx.example".
func accountOf(e ban.Evidence) string {
	if e.Domain == "" {
		return e.User
	}
	return e.User + "@" + e.Domain
}
