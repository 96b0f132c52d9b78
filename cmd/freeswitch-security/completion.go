package main

import (
	"context"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"

	"github.com/spf13/cobra"
)

const (
	completionTime = time.Second // allowed for an answer, while the user waits
	completionPage = 500         // entries that are fetched
)

// A completer returns the possible values of an argument or a flag.
type completer = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective)

// complete registers the values of a flag.
func complete(cmd *cobra.Command, flag string, values ...string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// must panics on errors that only a bug in this program causes.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// completing returns a completer that asks the daemon. Without an answer it offers nothing.
func (a *app) completing(r *connFlags, ask func(ctx context.Context, c *client.Client, offer func(value, about string)) error) completer {
	return func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		c, err := a.client(*r)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		var choice []string
		err = ask(ctx, c, func(value, about string) {
			if value = printable(value); strings.HasPrefix(value, begun) {
				choice = append(choice, cobra.CompletionWithDesc(value, printable(about)))
			}
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return choice, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeBanned offers the banned targets, for at most so many arguments; 0: any number.
func (a *app) completeBanned(r *connFlags, most int) completer {
	offer := a.completing(r, func(ctx context.Context, c *client.Client, offer func(value, about string)) error {
		for b, err := range first(c.Bans(ctx, completionPage), completionPage) {
			if err != nil {
				return err
			}
			offer(b.Target, b.Rule)
		}
		return nil
	})
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return offer(cmd, args, begun)
	}
}

// completeTrusted offers the targets that untrust accepts.
func (a *app) completeTrusted(r *connFlags) completer {
	return a.completing(r, func(ctx context.Context, c *client.Client, offer func(value, about string)) error {
		for t, err := range first(c.AllTrusted(ctx, completionPage), completionPage) {
			if err != nil {
				return err
			}
			if t.RunTime {
				offer(t.Target, t.Comment)
			}
		}
		return nil
	})
}

// completeRules offers the rules for the flag --rule.
func (a *app) completeRules(cmd *cobra.Command, r *connFlags) {
	must(cmd.RegisterFlagCompletionFunc("rule", a.completing(r, func(ctx context.Context, c *client.Client, offer func(value, about string)) error {
		s, err := c.Status(ctx)
		for _, rule := range s.Rules {
			offer(rule.Name, "")
		}
		return err
	})))
}
