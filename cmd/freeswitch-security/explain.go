package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/recording"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"

	"github.com/spf13/cobra"
)

// maxExplained bounds what explain reads, in bytes: it is for a few lines, not for a log.
const maxExplained = 1 << 20

func (a *app) explain() *cobra.Command {
	var rules, source string
	cmd := &cobra.Command{
		Use:   "explain LINE|-",
		Short: "Say what a log line is and which rules it matches",
		Long: `Say what a log line is, field by field, and for every rule whether it matches
and which part of its expression decides that. - reads standard input: a message
of several lines belongs together; of several messages all events are explained.

Exit status: 0 a rule matches; 1 none does, or the rules have mistakes; 2 it
could not be done.`,
		Example: "  freeswitch-security explain \"$(tail -1 /var/log/freeswitch/freeswitch.log)\"\n" +
			"  grep 203.0.113.7 freeswitch.log | freeswitch-security explain -",
		Args: exactlyOne("LINE", ": put it in quotes"),
		RunE: func(cmd *cobra.Command, args []string) error {
			text := args[0]
			if text == "-" {
				read, err := io.ReadAll(io.LimitReader(a.stdin, maxExplained+1))
				if err != nil {
					return err
				}
				if len(read) > maxExplained {
					return errors.New("standard input is too long to explain: give a few lines, and a whole log to replay")
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
	var events []*event.Event
	_, err := from.Source.Replay(ctx, plugin.Recording{Name: "the line", ModTime: time.Now(), R: strings.NewReader(text)}, nil,
		func(ev *event.Event) error {
			ev.Source = from.Ref
			events = append(events, ev)
			return nil
		})
	if err != nil {
		return err
	}
	matched := false
	for i, ev := range events {
		if len(events) > 1 {
			fmt.Fprintf(a.stdout, "\nEvent %d of %d: %s, from the line\n  %s\n", i+1, len(events), printable(ev.Name), printable(ev.Text))
		}
		if a.explainEvent(cfg, ev) {
			matched = true
		}
	}
	if !matched {
		return errNo
	}
	return nil
}

// explainEvent shows what every rule makes of the event, and reports whether one
// matches.
func (a *app) explainEvent(cfg *config.Config, ev *event.Event) bool {
	matched := false
	for _, spec := range cfg.Rules {
		verdict := "matches"
		yes, why := matches(spec, ev)
		if yes {
			matched = true
		} else {
			verdict = "does not match" + why
		}
		fmt.Fprintf(a.stdout, "\nrule %q (%s) %s\n", printable(spec.Name), spec.Where, verdict)
		if !slices.Contains(spec.On, ev.Source) {
			continue
		}
		explainClauses(a.stdout, "", spec.Match.Why(ev))
		if th := spec.Threshold; th != nil && th.Then != nil {
			explainClauses(a.stdout, "then ", th.Then.Why(ev))
		}
	}
	return matched
}

// explainClauses shows what came of each part of an expression, and that first: a
// part can be a list of any length.
func explainClauses(w io.Writer, before string, clauses []rule.Clause) {
	for _, c := range clauses {
		text := c.Text
		verdict := fmt.Sprint(c.True)
		if c.Err != nil {
			verdict, text = "error", c.Text+": "+c.Err.Error()
		}
		fmt.Fprintf(w, "  %-5s  %s%s\n", verdict, before, printable(text))
	}
}

// matches reports whether a rule counts an event, and why not where it is not
// the expression that says so.
func matches(spec *rule.Spec, ev *event.Event) (bool, string) {
	if !slices.Contains(spec.On, ev.Source) {
		return false, ": it does not listen to " + ev.Source
	}
	if ev.Repeat && !spec.Match.Uses("repeat") {
		return false, ": the event repeats an earlier report of the same attempt"
	}
	fired := false
	once := *spec
	once.Threshold, once.Ban, once.Alert, once.Brake = nil, nil, &rule.Alert{}, nil
	rule.NewSet([]*rule.Spec{&once}).Observe(ev, func(*rule.Firing) { fired = true })
	return fired, ""
}
