package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"freeswitch-security/cmd/freeswitch-security/recording"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/rule"

	"github.com/spf13/cobra"
)

// maxExplained bounds standard input, in bytes.
const maxExplained = 1 << 20

func (a *app) explain() *cobra.Command {
	var rules, source string
	cmd := &cobra.Command{
		Use:   "explain LINE|-",
		Short: "Explain how a log line or a SIP message is read, and which rules match it",
		Long: `Explain how a log line or a SIP message is read, field by field, and for every
rule whether it matches and which part of its expression decides. - reads
standard input, which may hold a message of several lines, or several messages.
SIP messages may stand as in FreeSWITCH's SIP trace, which names the addresses.

Exit status: 0 a rule matches; 1 none does, or the rules have mistakes; 2 it
could not be done.`,
		Example: "  freeswitch-security explain \"$(tail -1 /var/log/freeswitch/freeswitch.log)\"\n" +
			"  grep 203.0.113.7 freeswitch.log | freeswitch-security explain -\n" +
			"  freeswitch-security explain - < message.txt",
		Args: one("LINE in quotes", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text := args[0]
			if text == "-" {
				read, err := io.ReadAll(io.LimitReader(a.stdin, maxExplained+1))
				if err != nil {
					return err
				}
				if len(read) > maxExplained {
					return errors.New("standard input is longer than 1 MiB: explain takes a few lines, replay a whole log")
				}
				text = string(read)
			}
			cfg, err := a.load(rules)
			if err != nil {
				return err
			}
			from, err := recording.Choose(cmd.Context(), cfg, source, "the line", func() (string, error) { return text, nil })
			if err != nil {
				return err
			}
			return a.explainText(cmd.Context(), cfg, from, text)
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "", "directory of the rules")
	cmd.Flags().StringVar(&source, "source", "", "source that wrote the line")
	return cmd
}

func (a *app) explainText(ctx context.Context, cfg *config.Config, from config.Source, text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("there is no line to explain")
	}
	if explain := from.Description.Explain; explain != nil {
		fmt.Fprintln(a.stdout, strings.TrimRight(explain(text), "\n"))
	}
	events, _, err := from.Read(ctx, "the line", text)
	if err != nil {
		return err
	}
	matched := []string{}
	for i, ev := range events {
		cfg.Annotate(ev)
		if len(events) > 1 {
			fmt.Fprintf(a.stdout, "\nEvent %d of %d: %s, from the line\n  %s\n", i+1, len(events), terminal.Printable(ev.Name), terminal.Printable(ev.Text))
		}
		for _, spec := range cfg.Rules {
			if explainRule(a.stdout, spec, ev) && !slices.Contains(matched, spec.Name) {
				matched = append(matched, spec.Name)
			}
		}
	}
	if len(events) == 0 {
		return errNo
	}
	if len(matched) == 0 {
		fmt.Fprintf(a.stdout, "\n0 of %s matched.\n", terminal.Count(len(cfg.Rules), "rule"))
		return errNo
	}
	_, err = fmt.Fprintf(a.stdout, "\n%d of %s matched: %s.\n", len(matched), terminal.Count(len(cfg.Rules), "rule"), terminal.Printable(strings.Join(matched, ", ")))
	return err
}

// explainRule writes how a rule judges an event, and reports whether it matches.
func explainRule(w io.Writer, spec *rule.Spec, ev *event.Event) bool {
	counts, reason := spec.Counts(ev)
	result := "matches"
	if !counts {
		result = "does not match"
	}
	if reason != "" {
		result += ": " + reason
	}
	fmt.Fprintf(w, "\nrule %q (%s) %s\n", terminal.Printable(spec.Name), spec.Where, result)
	if slices.Contains(spec.On, ev.Source) {
		explainClauses(w, "", spec.Match.Why(ev))
		if th := spec.Threshold; th != nil && th.Then != nil {
			explainClauses(w, "then ", th.Then.Why(ev))
		}
	}
	return counts
}

// explainClauses writes the value of each part of an expression, then its text, which can be a list of
// any length.
func explainClauses(w io.Writer, before string, clauses []rule.Clause) {
	for _, c := range clauses {
		value, text := fmt.Sprint(c.True), c.Text
		if c.Err != nil {
			value, text = "error", c.Text+": "+c.Err.Error()
		}
		fmt.Fprintf(w, "  %-5s  %s%s\n", value, before, terminal.Printable(text))
	}
}
