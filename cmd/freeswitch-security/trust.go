package main

import (
	"context"
	"net/netip"
	"strings"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/engine/ban"

	"github.com/spf13/cobra"
)

func (a *app) trust() *cobra.Command {
	var r reach
	var how lasting
	var comment string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "trust ADDRESS…",
		Short: "Never ban addresses and networks, for a while",
		Long: `Trust addresses and networks for a while: nothing bans them, and bans that cover
them end. It survives a restart. - reads them from standard input, one on a
line. What is to be trusted for ever is better written into a rule file.

Exit status: 0 all are trusted; 1 one was refused; 2 it could not be done.`,
		Example: "  freeswitch-security trust 198.51.100.0/24 --for 7d --comment \"new trunk\"",
		Args:    addressArgs,
	}
	cmd.RunE = a.asking(&r, func(ctx context.Context, c *client.Client, args []string) error {
		ttl, err := how.ttl()
		if err != nil {
			return err
		}
		return together(a, args, a.results("trusted", asJSON), func(address string) client.TrustRequest {
			return client.TrustRequest{IP: address, Comment: comment, TTL: ttl}
		}, func(batch []client.TrustRequest) ([]client.Result, error) { return c.TrustAll(ctx, batch) })
	})
	r.flags(cmd)
	how.flags(cmd, "default: 1d")
	cmd.Flags().StringVar(&comment, "comment", "", "who it is")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	return cmd
}

func (a *app) untrust() *cobra.Command {
	var r reach
	var reason string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "untrust ADDRESS…",
		Short: "End trust that was given by trust",
		Long: `End the narrowest trust that was given while the daemon ran and that covers an
address or a network. What rule files trust is taken out there. - reads
addresses from standard input, one on a line.

Exit status: 0 it is done, also where there was none before; 1 one was refused;
2 it could not be done.`,
		Example: "  freeswitch-security untrust 198.51.100.0/24",
		Args:    addressArgs,
	}
	cmd.RunE = a.asking(&r, func(ctx context.Context, c *client.Client, args []string) error {
		return a.oneByOne(args, a.results("", asJSON), func(target netip.Prefix) (client.Result, string, error) {
			done, err := c.Untrust(ctx, target, reason)
			// Its address stands before it already, unless it is that of a wider entry.
			what := strings.TrimPrefix(done.Message, ban.FormatTarget(target)+" ")
			return client.Result{IP: ban.FormatTarget(target), Applied: done.Applied, Why: done.Why}, what, err
		})
	})
	cmd.ValidArgsFunction = a.completeTrusted(&r)
	r.flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	return cmd
}
