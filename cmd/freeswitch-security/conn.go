package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/cmd/freeswitch-security/recording"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/ban"

	"github.com/spf13/cobra"
)

// connFlags say how a verb connects to the daemon. The token and certificates come from
// the environment: every user of the host can read the flags of a process.
type connFlags struct{ admin, tokenFile string }

// flags defines the flags of a verb.
func (r *connFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.admin, "admin", "", "`URL` or socket of the daemon")
	cmd.Flags().StringVar(&r.tokenFile, "token-file", "", "`FILE` that holds the token, for a URL")
}

// client makes a client of the daemon.
func (a *app) client(r connFlags) (*client.Client, error) {
	of := func(name string) string {
		value, _ := a.environ("FREESWITCH_SECURITY_" + name)
		return value
	}
	o := client.Options{
		Admin: r.admin, Token: strings.TrimSpace(of("TOKEN")),
		CAFile: of("CA_FILE"), CertFile: of("CERT_FILE"), KeyFile: of("KEY_FILE"),
	}
	if o.Admin == "" {
		o.Admin = of("ADMIN")
	}
	if r.tokenFile != "" {
		var err error
		if o.Token, err = client.ReadToken(r.tokenFile); err != nil {
			return nil, err
		}
	}
	return client.New(o)
}

// asking makes the RunE of a verb that asks the daemon.
func (a *app) asking(r *connFlags, do func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.client(*r)
		if err != nil {
			return err
		}
		err = do(cmd.Context(), c, args)
		if cmd.Context().Err() != nil && errors.Is(err, context.Canceled) {
			return recording.ErrInterrupted
		}
		return err
	}
}

// durationFlag defines a flag that takes a duration as rule files do.
func durationFlag(cmd *cobra.Command, d *time.Duration, name, usage string) {
	cmd.Flags().Func(name, "`DURATION`: "+usage, func(s string) (err error) {
		*d, err = ban.ParseDuration(s)
		return err
	})
}

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

// completing returns a completer for at most so many arguments (0: any number). offers asks the
// daemon for the values; it offers nothing after an error.
func (a *app) completing(r *connFlags, most int, offers func(ctx context.Context, c *client.Client, offer func(value, about string))) completer {
	return func(cmd *cobra.Command, args []string, begun string) (choice []string, _ cobra.ShellCompDirective) {
		c, err := a.client(*r)
		if err != nil || most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		offers(ctx, c, func(value, about string) {
			if value = terminal.Printable(value); strings.HasPrefix(value, begun) {
				choice = append(choice, cobra.CompletionWithDesc(value, terminal.Printable(about)))
			}
		})
		return choice, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeBanned offers the banned targets.
func (a *app) completeBanned(r *connFlags, most int) completer {
	return a.completing(r, most, func(ctx context.Context, c *client.Client, offer func(value, about string)) {
		for b, err := range first(c.Bans(ctx, completionPage), completionPage) {
			if err == nil {
				offer(b.Target.String(), b.Rule)
			}
		}
	})
}

// completeTrusted offers the targets that untrust accepts.
func (a *app) completeTrusted(r *connFlags) completer {
	return a.completing(r, 0, func(ctx context.Context, c *client.Client, offer func(value, about string)) {
		for t, err := range first(c.AllTrusted(ctx, completionPage), completionPage) {
			if err == nil && t.RunTime {
				offer(t.Target.String(), t.Comment)
			}
		}
	})
}

// completeRules offers the rules for the flag --rule.
func (a *app) completeRules(cmd *cobra.Command, r *connFlags) {
	must(cmd.RegisterFlagCompletionFunc("rule", a.completing(r, 0, func(ctx context.Context, c *client.Client, offer func(value, about string)) {
		s, _ := c.Status(ctx) // without an answer there are no rules
		for _, rule := range s.Rules {
			offer(rule.Name, "")
		}
	})))
}
