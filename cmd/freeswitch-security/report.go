package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"freeswitch-security/actions/email"
	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/report"

	"github.com/spf13/cobra"
)

func (a *app) reporting() *cobra.Command {
	var r connFlags
	var html, rules, action string
	var mailed bool
	since := 7 * 24 * time.Hour
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Report what happened: bans, attackers, what was spared",
		Long: `Report what the running guard has seen and done: bans, attackers, networks,
accounts and numbers of attacks, and what was spared and why. --html writes a
page to a file that only its owner can read: it holds accounts and numbers,
unless history { numbers = "masked" }. --mail sends the page through an action
"email" of the rule files, once and from this command: it must be able to read
the rules, and the secrets that they name.

Exit status: 0 done; 1 the rules cannot be used; 2 the request failed, the file
could not be written, or the mail was not accepted for all recipients.`,
		Example: "  freeswitch-security report --since 1d --html day.html\n  freeswitch-security report --mail --action noc",
		Args:    cobra.NoArgs,
	}
	cmd.RunE = a.asking(&r, func(ctx context.Context, c *client.Client, _ []string) error {
		if !mailed && (rules != "" || action != "") {
			return errors.New("--rules and --action are for --mail")
		}
		var by *config.Action
		if mailed {
			var err error
			if by, err = a.mailer(rules, action); err != nil {
				return err
			}
		}
		page, err := askReport(ctx, c, since)
		if err != nil {
			return err
		}
		if html != "" {
			if err := writeReport(html, page); err != nil {
				return err
			}
		}
		if mailed {
			return a.mailReport(ctx, by, page)
		}
		if html != "" {
			return nil
		}
		return printReport(a.stdout, page, terminal.Width(a.stdout))
	})
	r.flags(cmd)
	durationFlag(cmd, &since, "since", "how far back; default: 7d")
	cmd.Flags().StringVar(&html, "html", "", "write a page to this `FILE`")
	cmd.Flags().BoolVar(&mailed, "mail", false, "mail the page")
	cmd.Flags().StringVar(&action, "action", "", "`NAME` of the action \"email\", if there are several")
	cmd.Flags().StringVar(&rules, "rules", "", "`DIR` of the rules, for --mail")
	return cmd
}

// mailer returns the action "email" of the rule files; of several the one with the name.
func (a *app) mailer(rules, name string) (*config.Action, error) {
	cfg, err := a.load(rules)
	if err != nil {
		return nil, err
	}
	var all []*config.Action
	var names []string
	for i := range cfg.Actions {
		if one := &cfg.Actions[i]; one.Kind == "email" {
			if name == one.Name || name == one.Ref {
				return one, nil
			}
			all, names = append(all, one), append(names, one.Name)
		}
	}
	switch there := strings.Join(names, ", "); {
	case len(all) == 0:
		return nil, errors.New(`report: the rule files have no action "email" to mail it: add one, as in examples/email`)
	case name != "":
		return nil, fmt.Errorf(`report: no action "email" is named %q; there are: %s`, name, there)
	case len(all) > 1:
		return nil, fmt.Errorf("report: several actions can mail it: choose one by --action; there are: %s", there)
	}
	return all[0], nil
}

// mailReport sends the page, and as a text what is printed of it.
func (a *app) mailReport(ctx context.Context, by *config.Action, r *report.Report) error {
	var text, page bytes.Buffer
	if err := cmp.Or(printReport(&text, r, mailColumns), r.HTML(&page)); err != nil {
		return err
	}
	now := time.Now()
	l := email.Letter{
		Subject: fmt.Sprintf("[%s] report: %s", r.Title, r.Headline()), Text: text.String(),
		Name: "report-" + now.UTC().Format(time.DateOnly) + ".html", File: page.Bytes(),
	}
	if err := by.Action.(*email.Action).Send(ctx, l, r.Title, now); err != nil {
		return fmt.Errorf("report: mail by action %s: %w", by.Ref, err)
	}
	_, err := fmt.Fprintf(a.stdout, "Mailed by action %s.\n", by.Ref)
	return err
}

// askReport asks the guard for what happened in a time until now.
func askReport(ctx context.Context, c *client.Client, since time.Duration) (*report.Report, error) {
	now := time.Now()
	span, err := c.History(ctx, now.Add(-since), now)
	if err != nil {
		return nil, err
	}
	incidents, err := c.Incidents(ctx, now.Add(-since))
	if err != nil {
		return nil, err
	}
	status, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // "" is what it is called then
	r := &report.Report{Title: cmp.Or(host, "this host"), Span: span, Incidents: incidents}
	add := func(name string, n uint64) {
		r.Facts = append(r.Facts, report.Fact{Name: name, Value: fmt.Sprint(n)})
	}
	add("bans in force", uint64(status.Stats.ActiveBans))
	add("events", r.Total(history.KindEvent))
	add("alerts", r.Total(string(ban.KindAlert)))
	add("dropped packets", r.Total(history.KindDropped))
	if status.Severity != "ok" {
		r.Facts = append(r.Facts, report.Fact{Name: "the guard", Value: string(status.Severity), Remark: terminal.Count(len(status.Problems), "problem") + ": see status"})
	}
	return r, nil
}

// writeReport writes a page that only its owner can read, whole or not at all. It replaces nothing but a file.
func writeReport(path string, r *report.Report) error { return replace(path, r.HTML) }

func replace(path string, write func(io.Writer) error) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("report: %s is no file: name a file that is to be written", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	if err = cmp.Or(write(f), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// The rows of the tables of a report on a terminal.
const (
	reportRules     = 20
	reportTop       = 5
	reportAttackers = 10
	mailColumns     = 78 // of the text of a mail
)

// printReport prints a summary, each line cut at so many columns; 0 cuts none.
func printReport(w io.Writer, r *report.Report, columns int) error {
	fmt.Fprintf(w, "%s, %s\n%s\n", terminal.Printable(r.Title), r.Range(), strings.ReplaceAll(r.Headline(), ". ", ".\n"))
	facts := terminal.NewTable("")
	for _, f := range r.Facts {
		facts.Row(f.Name, f.Value, f.Remark)
	}
	facts.Row("bans", spark(bansOver(&r.Span)), "")
	tables := []*terminal.Table{facts}
	if rules := r.Rules(); len(rules) > 0 {
		t := terminal.NewTable("RULE", "BANS", "EXTENDED", "ALERTS", "SPARED", "REFUSED")
		for _, one := range rules[:min(len(rules), reportRules)] {
			t.Row(one.Name, fmt.Sprint(one.Bans), fmt.Sprint(one.Extended), fmt.Sprint(one.Alerts), fmt.Sprint(one.Spared), fmt.Sprint(one.Refused))
		}
		tables = append(tables, t)
	}
	for _, top := range r.Span.Tops {
		if len(top.Items) == 0 {
			continue
		}
		t := terminal.NewTable(strings.ToUpper(top.By), "REFUSALS")
		for _, c := range top.Items[:min(len(top.Items), reportTop)] {
			t.Row(terminal.Cut(c.Name, 60), fmt.Sprint(c.Count))
		}
		tables = append(tables, t)
	}
	if all := r.Attackers(); len(all) > 0 {
		t := terminal.NewTable("ATTACKER", "BANS", "PACKETS", "LAST", "RULE")
		for _, i := range all[:min(len(all), reportAttackers)] {
			t.Row(i.Target, fmt.Sprint(i.Bans), fmt.Sprint(i.Packets), i.Last.UTC().Format("01-02 15:04"), i.Rule)
		}
		tables = append(tables, t)
	}
	if all := r.Withheld(); len(all) > 0 {
		t := terminal.NewTable("SPARED OR REFUSED", "TIMES", "WHY")
		for _, i := range all[:min(len(all), reportTop)] {
			t.Row(i.Target, fmt.Sprint(i.Spared+i.Refused), i.Why)
		}
		tables = append(tables, t)
	}
	for i, t := range tables {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := t.Print(w, columns); err != nil {
			return err
		}
	}
	return nil
}

// bansOver are the bans of all rules over time.
func bansOver(s *history.Span) []uint64 {
	var sum []uint64
	for i := range s.Series {
		if one := &s.Series[i]; one.Kind == string(ban.KindBan) {
			if sum == nil {
				sum = make([]uint64, len(one.Values))
			}
			for k, v := range one.Values {
				sum[k] += v
			}
		}
	}
	return sum
}

// spark draws counts as at most 56 characters.
func spark(counts []uint64) string {
	const width = 56
	each := max(1, (len(counts)+width-1)/width)
	var sums []uint64
	var most uint64
	for i, n := range counts {
		if i%each == 0 {
			sums = append(sums, 0)
		}
		sums[len(sums)-1] += n
		most = max(most, sums[len(sums)-1])
	}
	levels := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, n := range sums {
		switch {
		case n == 0:
			b.WriteRune('·')
		default:
			b.WriteRune(levels[(n*8-1)/most])
		}
	}
	return cmp.Or(b.String(), "none")
}
