package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/banlist"

	"github.com/spf13/cobra"
)

func (a *app) block() *cobra.Command {
	var r reach
	var how lasting
	var reason string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "block ADDRESS…",
		Short: "Ban addresses and networks",
		Long: `Ban addresses and networks by hand. - reads them from standard input, one on a
line. Whoever is banned already stays banned until the later end. Whoever is
trusted is refused, and the answer says by which line of which file. Done is
what is durable and in the kernel.

Exit status: 0 all are banned; 1 one was refused; 2 it could not be done.`,
		Example: "  freeswitch-security block 203.0.113.7 --for 2h --reason \"calls at night\"\n" +
			"  freeswitch-security block --permanent 198.51.100.0/24 2001:db8::/64",
		Args: addressArgs,
	}
	cmd.RunE = a.asking(&r, func(ctx context.Context, c *client.Client, args []string) error {
		ttl, err := how.ttl()
		if err != nil {
			return err
		}
		return together(a, args, a.results("banned", asJSON), func(address string) client.BanRequest {
			return client.BanRequest{IP: address, Reason: reason, TTL: ttl}
		}, func(batch []client.BanRequest) ([]client.Result, error) { return c.BanAll(ctx, batch) })
	})
	r.flags(cmd)
	how.flags(cmd, "default: security.block_duration")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	return cmd
}

func (a *app) unblock() *cobra.Command {
	var r reach
	var grace lengthFlag
	var reason string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "unblock ADDRESS…",
		Short: "End the bans of addresses and networks",
		Long: `End every ban that covers an address or a network; what was a ban of a network
around it is ended as a whole, and named. - reads addresses from standard input,
one on a line. With --grace rules leave the address alone for so long.

Exit status: 0 none is banned any longer, also where it was not before; 1 one
was refused; 2 it could not be done.`,
		Example: "  freeswitch-security unblock 203.0.113.7 --grace 1h",
		Args:    addressArgs,
	}
	cmd.RunE = a.asking(&r, func(ctx context.Context, c *client.Client, args []string) error {
		return a.oneByOne(args, a.results("", asJSON), func(target netip.Prefix) (client.Result, string, error) {
			done, err := c.Unban(ctx, target, time.Duration(grace), reason)
			what := "was not banned"
			if len(done.Lifted) > 0 {
				what = "banned no longer" + around(target, done.Lifted)
			}
			return client.Result{IP: ban.FormatTarget(target), Applied: done.Applied, Why: done.Why}, what, err
		})
	})
	cmd.ValidArgsFunction = a.completeBanned(&r, 0)
	r.flags(cmd)
	cmd.Flags().Var(&grace, "grace", "how long rules leave it alone")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	return cmd
}

// around names the targets of bans that were ended, where they are not the very
// target that was named.
func around(target netip.Prefix, lifted []string) string {
	if len(lifted) == 1 && lifted[0] == ban.FormatTarget(target) {
		return ""
	}
	return ": the ban of " + strings.Join(lifted, ", ") + " is ended"
}

// A lasting is how long something is to last.
type lasting struct {
	term      termFlag
	permanent bool
}

func (l *lasting) flags(cmd *cobra.Command, otherwise string) {
	cmd.Flags().Var(&l.term, "for", "how long; "+otherwise)
	cmd.Flags().BoolVar(&l.permanent, "permanent", false, "for good")
}

// ttl is how long as the daemon takes it; nil where nothing was said.
func (l *lasting) ttl() (json.RawMessage, error) {
	term := ban.Term(l.term)
	if l.permanent {
		if term != 0 && term != ban.Permanent {
			return nil, errors.New("--for and --permanent: say one of the two")
		}
		term = ban.Permanent
	}
	if term == 0 {
		return nil, nil
	}
	return json.Marshal(term.String())
}

// addressArgs wants at least one address.
func addressArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s needs an ADDRESS; see --help", cmd.Name())
	}
	return nil
}

// addresses are those of the command line and, where a - stands, of standard
// input.
func (a *app) addresses(args []string) ([]string, error) {
	var all []string
	piped := false
	for _, arg := range args {
		if arg != "-" {
			all = append(all, arg)
			continue
		}
		if piped {
			return nil, errors.New("standard input (-) can be read only once")
		}
		piped = true
		entries, err := a.readList("-", banlist.Plain)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			all = append(all, e.Text)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there is no address on standard input")
	}
	return all, nil
}

// inBatches hands on items as many at a time as the daemon takes.
func inBatches[T any](items []T, do func([]T) error) error {
	for batch := range slices.Chunk(items, client.MaxBatch) {
		if err := do(batch); err != nil {
			return err
		}
	}
	return nil
}

// together makes one request of many addresses, and tells what became of each.
func together[T any](a *app, args []string, told *results, item func(address string) T, put func([]T) ([]client.Result, error)) error {
	addresses, err := a.addresses(args)
	if err != nil {
		return err
	}
	items := make([]T, len(addresses))
	for i, address := range addresses {
		items[i] = item(address)
	}
	return told.end(inBatches(items, func(batch []T) error {
		return told.all(put(batch))
	}))
}

// atOnce is how many single changes are under way at the same time.
const atOnce = 4

// oneByOne makes a change for each address, and tells of them in their order. A
// text that is no address, and what the daemon refuses, does not hold up the
// others.
func (a *app) oneByOne(args []string, told *results, change func(netip.Prefix) (client.Result, string, error)) error {
	addresses, err := a.addresses(args)
	if err != nil {
		return err
	}
	type outcome struct {
		result client.Result
		what   string
		err    error
	}
	for some := range slices.Chunk(addresses, atOnce) {
		outcomes := make([]outcome, len(some))
		var under sync.WaitGroup
		for i, address := range some {
			o := &outcomes[i]
			target, err := ban.ParseTarget(address)
			if err != nil {
				o.result = client.Result{IP: address, Error: err.Error()}
				continue
			}
			under.Go(func() { o.result, o.what, o.err = change(target) })
		}
		under.Wait()
		for _, o := range outcomes {
			if r, ok := errors.AsType[*client.Refusal](o.err); ok && (r.Status == http.StatusBadRequest || r.Status == http.StatusConflict) {
				o.result.Error, o.err = r.Text, nil
			}
			if o.err != nil {
				return told.end(o.err)
			}
			if err := told.one(o.result, o.what); err != nil {
				return err
			}
		}
	}
	return told.end(nil)
}

// results tells what became of each address.
type results struct {
	a       *app
	what    string // what was done where nothing else is said: "banned"
	json    bool
	told    int
	refused int
}

func (a *app) results(what string, asJSON bool) *results {
	return &results{a: a, what: what, json: asJSON}
}

func (r *results) all(all []client.Result, err error) error {
	for _, one := range all {
		if err := r.one(one, r.what); err != nil {
			return err
		}
	}
	return err
}

func (r *results) one(one client.Result, what string) error {
	r.told++
	if one.Error != "" {
		r.refused++
		var named bool
		if what, named = strings.CutPrefix(one.Error, one.IP+" "); !named {
			what = "refused: " + what
		}
	} else if !one.Applied {
		what += ", but the kernel does not agree yet: " + one.Why
	}
	if r.json {
		return printObject(r.a.stdout, one)
	}
	_, err := fmt.Fprintf(r.a.stdout, "%s  %s\n", printable(one.IP), printable(what))
	return err
}

// end is how a verb ends that told of everything, or could not go on.
func (r *results) end(err error) error {
	if err != nil && r.told > 0 {
		return fmt.Errorf("after %s: %w", count(r.told, "address"), err)
	}
	if err == nil && r.refused > 0 {
		return errNo
	}
	return err
}
