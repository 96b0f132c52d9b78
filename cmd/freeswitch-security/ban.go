package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"

	"github.com/spf13/cobra"
)

func (a *app) ban() *cobra.Command {
	var term termOption
	var here bool
	var reason string
	cmd := &cobra.Command{
		Use:     "ban TARGET…",
		Aliases: []string{"block"},
		Short:   "Ban addresses, networks, endpoints and accounts",
		Long: `Ban addresses, networks, endpoints (source ports of addresses) and accounts, on
all nodes of a fleet. - reads them from standard input, one a line. A ban ends
at the later end of two. A trusted target is refused, with the line that trusts
it. A ban is reported once it is durable and in force at this node.

Exit status: 0 all are banned; 1 one was refused; 2 the request failed.`,
		Example: "  freeswitch-security ban 203.0.113.7 --for 2h --reason \"calls at night\"\n" +
			"  freeswitch-security ban --permanent 198.51.100.0/24 203.0.113.7:5062/udp 7@pbx",
	}
	a.edit(cmd, nil, func(ctx context.Context, c *client.Client, addresses []string, out *results) error {
		ttl, err := term.ttl()
		if err != nil {
			return err
		}
		return inBatches(addresses, func(address string) client.BanRequest {
			return client.BanRequest{IP: address, Reason: reason, TTL: ttl, Here: here}
		}, func(batch []client.BanRequest) error {
			all, err := c.BanAll(ctx, batch)
			return out.all(all, "banned", err)
		})
	})
	term.flags(cmd, "default: security.block_duration")
	hereFlag(cmd, &here)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

func (a *app) unban() *cobra.Command {
	var grace time.Duration
	var here, all, yes bool
	var reason string
	cmd := &cobra.Command{
		Use:     "unban TARGET…",
		Aliases: []string{"unblock"},
		Short:   "End the bans of addresses, networks, endpoints and accounts",
		Long: `End every ban that covers a target, and those of endpoints in it, on all nodes
of a fleet; --here: at this one, until its next ban or unban. The ban of a
network around it ends entirely. --all ends all bans, or those within networks
and none around; without a terminal it needs --yes. - reads standard input.

Exit status: 0 none is banned any longer; 1 one was refused; 2 it failed.`,
		Example: "  freeswitch-security unban 203.0.113.7 --grace 1h",
	}
	r, out := a.edit(cmd, func(r *connFlags) completer { return a.completeBanned(r, 0) },
		func(ctx context.Context, c *client.Client, addresses []string, out *results) error {
			return oneByOne(addresses, out, func(target ban.Target) (status.Done, string, error) {
				done, err := c.Unban(ctx, target, grace, here, reason)
				text := "was not banned"
				switch unbanned := done.Unbanned; {
				case len(unbanned) == 1 && unbanned[0] == target:
					text = "unbanned"
				case len(unbanned) > 0:
					text = "unbanned: " + ended(unbanned)
				case err == nil && target.Kind() == ban.TargetNetwork && bansIn(ctx, c, target, 1) > 0:
					text += "; unban --all ends the bans of addresses in it"
				}
				if !done.Until.IsZero() {
					text += "; rules do not ban it " + inWords(done.Until)
				}
				return done, text, err
			})
		})
	one := cmd.RunE
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if all {
			return nil
		}
		return atLeastOne("TARGET")(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !all {
			return one(cmd, args)
		}
		return a.asking(r, func(ctx context.Context, c *client.Client, args []string) error {
			return a.unbanAll(ctx, c, args, yes, out.json, func(in ban.Target) (status.Cleared, error) {
				return c.UnbanAll(ctx, in, grace, here, reason)
			})
		})(cmd, args)
	}
	cmd.Flags().BoolVar(&all, "all", false, "all bans, or all within the networks")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	durationFlag(cmd, &grace, "grace", "how long rules do not ban it")
	hereFlag(cmd, &here)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

// unbanAll ends the bans within networks, or without one all bans, after a question.
func (a *app) unbanAll(ctx context.Context, c *client.Client, args []string, yes, asJSON bool, unban func(in ban.Target) (status.Cleared, error)) error {
	networks := []ban.Target{{}} // everywhere
	n := 0
	if len(args) > 0 {
		addresses, err := a.addresses(args)
		if err != nil {
			return err
		}
		networks = nil
		for _, arg := range addresses {
			target, err := ban.ParseTarget(arg)
			if err != nil {
				return err
			}
			if _, ok := target.Network(); !ok {
				return fmt.Errorf("%s is neither an address nor a network, in which bans could be ended: unban it without --all", target)
			}
			networks = append(networks, target)
			n += bansIn(ctx, c, target, math.MaxInt)
		}
	} else {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		n = s.Stats.ActiveBans
	}
	if !yes {
		agreed, err := a.confirm(fmt.Sprintf("End %s?", terminal.Count(n, "ban")), false)
		if err == nil && !agreed {
			a.say(errors.New("no ban is ended: confirm it with --yes"))
			err = errNo
		}
		if err != nil {
			return err
		}
	}
	for _, network := range networks {
		done, err := unban(network)
		if err != nil {
			return err
		}
		if asJSON {
			err = terminal.Object(a.stdout, done)
		} else {
			text := done.Message
			if !done.Applied {
				text += ", but not applied yet: " + done.Why
			}
			_, err = fmt.Fprintln(a.stdout, terminal.Printable(text))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bansIn counts the bans of addresses and networks within an address or a network, up to a number. After an error it knows
// of no further ones.
func bansIn(ctx context.Context, c *client.Client, network ban.Target, most int) (n int) {
	prefix, ok := network.Network()
	if !ok {
		return 0
	}
	for _, err := range c.BansIn(ctx, prefix, min(most, client.MaxPage)) {
		if err != nil || n == most {
			break
		}
		n++
	}
	return n
}

func (a *app) trust() *cobra.Command {
	var term termOption
	var here, yes bool
	var comment string
	cmd := &cobra.Command{
		Use:   "trust TARGET…",
		Short: "Never ban addresses, networks and accounts, for a while",
		Long: `Trust addresses, networks and accounts for a while: nothing bans them, and bans
that cover them end. 2001@* is an account in any domain. Trust survives a
restart, and holds on all nodes of a fleet. - reads targets from standard input,
one a line. Write into a rule file what is to be trusted for ever. On a terminal
it asks before it ends more than one ban, unless --yes is set.

Exit status: 0 all are trusted; 1 one was refused, or you said no; 2 the request
failed.`,
		Example: "  freeswitch-security trust 198.51.100.0/24 --for 7d --comment \"new trunk\"",
	}
	a.edit(cmd, nil, func(ctx context.Context, c *client.Client, addresses []string, out *results) error {
		ttl, err := term.ttl()
		if err != nil {
			return err
		}
		if agreed, err := a.agreed(ctx, c, addresses, yes); !agreed {
			return err
		}
		return inBatches(addresses, func(address string) client.TrustRequest {
			return client.TrustRequest{IP: address, Comment: comment, TTL: ttl, Here: here}
		}, func(batch []client.TrustRequest) error {
			all, err := c.TrustAll(ctx, batch)
			return out.all(all, "trusted", err)
		})
	})
	term.flags(cmd, "default: 1d")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	hereFlag(cmd, &here)
	cmd.Flags().StringVar(&comment, "comment", "", "who it is")
	return cmd
}

// agreed asks on a terminal whether targets are to be trusted, if more than one ban ends by it. The error is
// not nil if the answer is no.
func (a *app) agreed(ctx context.Context, c *client.Client, addresses []string, yes bool) (bool, error) {
	if yes || terminal.Width(a.stderr) == 0 {
		return true, nil
	}
	n := 0
	for _, address := range addresses {
		if target, err := ban.ParseTarget(address); err == nil {
			n += bansIn(ctx, c, target, math.MaxInt)
		}
	}
	if n <= 1 {
		return true, nil
	}
	agreed, err := a.confirm(fmt.Sprintf("%s will end. Trust it?", terminal.Count(n, "ban")), true)
	if err == nil && !agreed {
		err = errNo
	}
	return agreed, err
}

func (a *app) untrust() *cobra.Command {
	var here bool
	var reason string
	cmd := &cobra.Command{
		Use:   "untrust TARGET…",
		Short: "End trust that was given by trust",
		Long: `End the narrowest trust that was given by trust or the API and that covers an
address, a network or an account, on all nodes of a fleet. What rule files trust
is removed there. - reads targets from standard input, one a line.

Exit status: 0 it is done, including those that were not trusted; 1 one was
refused; 2 the request failed.`,
		Example: "  freeswitch-security untrust 198.51.100.0/24",
	}
	a.edit(cmd, a.completeTrusted, func(ctx context.Context, c *client.Client, addresses []string, out *results) error {
		return oneByOne(addresses, out, func(target ban.Target) (status.Done, string, error) {
			done, err := c.Untrust(ctx, target, here, reason)
			// The address is printed already, unless it is that of a wider entry.
			return done, strings.TrimPrefix(done.Message, target.String()+" "), err
		})
	})
	hereFlag(cmd, &here)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

func hereFlag(cmd *cobra.Command, here *bool) {
	cmd.Flags().BoolVar(here, "here", false, "at this node of a fleet alone")
}
