package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
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
			all, err := c.BanAll(ctx, batch, "")
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
	var here bool
	var reason string
	cmd := &cobra.Command{
		Use:     "unban TARGET…",
		Aliases: []string{"unblock"},
		Short:   "End the bans of addresses, networks, endpoints and accounts",
		Long: `End every ban that covers a target, and the bans of the endpoints in it, on all
nodes of a fleet. The ban of a network around it ends entirely. With --here the
ban of the fleet is not in force at this node until it ends, or until a ban or
an unban without --here. - reads targets from standard input, one a line.

Exit status: 0 none is banned any longer, including those that were not; 1 one
was refused; 2 the request failed.`,
		Example: "  freeswitch-security unban 203.0.113.7 --grace 1h",
	}
	a.edit(cmd, func(r *connFlags) completer { return a.completeBanned(r, 0) },
		func(ctx context.Context, c *client.Client, addresses []string, out *results) error {
			return oneByOne(addresses, out, func(target ban.Target) (status.Done, string, error) {
				done, err := c.Unban(ctx, target, grace, here, reason)
				text := "was not banned"
				switch unbanned := done.Unbanned; {
				case len(unbanned) == 1 && unbanned[0] == target:
					text = "unbanned"
				case len(unbanned) > 0:
					list := fmt.Sprint(unbanned)
					text = "unbanned: ended bans: " + list[1:len(list)-1]
				}
				return done, text, err
			})
		})
	durationFlag(cmd, &grace, "grace", "how long rules do not ban it")
	hereFlag(cmd, &here)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

func (a *app) trust() *cobra.Command {
	var term termOption
	var here bool
	var comment string
	cmd := &cobra.Command{
		Use:   "trust TARGET…",
		Short: "Never ban addresses, networks and accounts, for a while",
		Long: `Trust addresses, networks and accounts for a while: nothing bans them, and bans
that cover them end. 2001@* is an account in any domain. Trust survives a
restart, and holds on all nodes of a fleet. - reads targets from standard input,
one a line. Write into a rule file what is to be trusted for ever.

Exit status: 0 all are trusted; 1 one was refused; 2 the request failed.`,
		Example: "  freeswitch-security trust 198.51.100.0/24 --for 7d --comment \"new trunk\"",
	}
	a.edit(cmd, nil, func(ctx context.Context, c *client.Client, addresses []string, out *results) error {
		ttl, err := term.ttl()
		if err != nil {
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
	hereFlag(cmd, &here)
	cmd.Flags().StringVar(&comment, "comment", "", "who it is")
	return cmd
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
