package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"

	"github.com/spf13/cobra"
)

func (a *app) completion() *cobra.Command {
	shells := map[string]func(*cobra.Command, io.Writer) error{
		"bash": func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":  func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
		"fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Write what a shell needs to complete verbs, flags and addresses",
		Long: `Write what a shell needs to complete verbs, flags, and where the daemon can be
asked also addresses and rules. Put it where the shell looks for it:

  bash  /etc/bash_completion.d/freeswitch-security
  zsh   /usr/local/share/zsh/site-functions/_freeswitch-security
  fish  /etc/fish/completions/freeswitch-security.fish`,
		Example:   "  freeswitch-security completion zsh > ~/.zfunc/_freeswitch-security",
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if write, ok := shells[args[0]]; ok {
					return write(cmd.Root(), a.stdout)
				}
			}
			return fmt.Errorf("completion takes one of bash, zsh and fish; see --help")
		},
	}
}

const (
	// completionTime is how long somebody who pressed a key waits for it.
	completionTime = time.Second
	// completionPage is how many entries are looked at.
	completionPage = 500
)

// A completer gives what an argument or a flag may be.
type completer = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective)

// complete gives a flag the values that it takes.
func complete(cmd *cobra.Command, flag string, values ...string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// must is for what only a mistake in this program makes fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// completing makes a completer of what the daemon says. Where it cannot be asked
// there is nothing to choose from.
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

// completeBanned offers who is banned, for up to most arguments; 0 is any number.
func (a *app) completeBanned(r *connFlags, most int) completer {
	offer := a.completing(r, func(ctx context.Context, c *client.Client, offer func(value, about string)) error {
		for b, err := range first(c.Bans(ctx, completionPage), completionPage) {
			if err != nil {
				return err
			}
			offer(b.IP, b.Rule)
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

// completeTrusted offers who is trusted and can be trusted no longer.
func (a *app) completeTrusted(r *connFlags) completer {
	return a.completing(r, func(ctx context.Context, c *client.Client, offer func(value, about string)) error {
		for t, err := range first(c.AllTrusted(ctx, completionPage), completionPage) {
			if err != nil {
				return err
			}
			if t.RunTime {
				offer(t.IP, t.Comment)
			}
		}
		return nil
	})
}

// completeRules offers the rules to the flag --rule.
func (a *app) completeRules(cmd *cobra.Command, r *connFlags) {
	must(cmd.RegisterFlagCompletionFunc("rule", a.completing(r, func(ctx context.Context, c *client.Client, offer func(value, about string)) error {
		s, err := c.Status(ctx)
		for _, rule := range s.Rules {
			offer(rule.Name, "")
		}
		return err
	})))
}
