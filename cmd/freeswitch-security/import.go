package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/engine/ban"

	"github.com/spf13/cobra"
)

func (a *app) importing() *cobra.Command {
	var r reach
	var how lasting
	var format, reason string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Ban all that a file lists",
		Long: `Ban all that a file lists: plain, an address or a network on each line; CSV with
a header, of its columns ip, ttl or expires, and reason; or JSON, as export and
the daemon's own API write it. - is standard input. --for is for entries that do
not say how long, as --reason is for those that do not say why. A ban that
stands already, and as long as its entry says, is left as it is.

Exit status: 0 all are banned, or over by now; 1 some were refused, or could not
be read; 2 it could not be done.`,
		Example: "  freeswitch-security import --for 7d --reason feed blocklist.txt\n" +
			"  ssh pbx1 freeswitch-security export | freeswitch-security import -",
		Args: justOne("FILE"),
	}
	cmd.RunE = a.asking(&r, func(ctx context.Context, c *client.Client, args []string) error {
		ttl, err := how.ttl()
		if err != nil {
			return err
		}
		text, err := a.readFile(args[0])
		if err != nil {
			return err
		}
		entries, err := readListing(args[0], format, text)
		if err != nil {
			return err
		}
		i := &imported{ttl: ttl, reason: reason, Refused: []client.Result{}}
		err = a.enter(ctx, c, i, entries)
		return a.sumUp(i, asJSON, err)
	})
	r.flags(cmd)
	how.flags(cmd, "default: security.block_duration")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	cmd.Flags().StringVar(&format, "format", "", "plain, csv or json; default: by content")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	complete(cmd, "format", "plain", "csv", "json")
	return cmd
}

// readFile reads a file of addresses; - is standard input.
func (a *app) readFile(path string) (string, error) {
	if path == "-" {
		return readBounded("standard input", a.stdin)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return readBounded(path, f)
}

// An imported is what became of a file of addresses.
type imported struct {
	Listed  int             `json:"listed"`
	Banned  int             `json:"banned"`
	Over    int             `json:"over"`    // whose end has passed
	Waiting int             `json:"waiting"` // banned, and not yet in the kernel
	Why     string          `json:"why"`     // the first of them is not
	Refused []client.Result `json:"refused"`

	ttl      json.RawMessage             // of entries that do not say how long
	reason   string                      // of entries that do not say why
	standing map[netip.Prefix]client.Ban // what is carried out already
}

// look finds out which bans are carried out already, by all actions: whoever imports
// what he has exported does not want to be the author of all bans. Entries that do not
// say when they end are orders of their own, and those of rules that may not block are
// not carried out.
func (i *imported) look(ctx context.Context, c *client.Client, entries []listed) error {
	if !slices.ContainsFunc(entries, func(e listed) bool { return e.saysWhen() }) {
		return nil
	}
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	i.standing = map[netip.Prefix]client.Ban{}
	for b, err := range c.Bans(ctx, listPage) {
		if err != nil {
			return err
		}
		if target, err := ban.ParseTarget(b.IP); err == nil && b.Actions == nil && (b.Rule == "" || status.AutoBlock) {
			i.standing[target] = client.Ban{Permanent: b.Permanent, ExpiresAt: b.ExpiresAt, Applied: b.Applied}
		}
	}
	return nil
}

// stands reports whether an entry asks for no more than what is carried out already,
// and counts it then.
func (i *imported) stands(e *listed) bool {
	b, ok := i.standing[e.target]
	if !ok || !e.saysWhen() || !b.Permanent && (e.term == ban.Permanent || e.ends.After(*b.ExpiresAt)) {
		return false
	}
	result := client.Result{Applied: b.Applied != nil && *b.Applied, Why: "it was not before"}
	if b.Applied == nil {
		result.Why = "the kernel could not be read"
	}
	i.take(e, result)
	return true
}

// enter bans the entries, a batch at a time. The narrowest come first: behind a
// network that contains it, a target would count as banned already, and would be
// free once that network is.
func (a *app) enter(ctx context.Context, c *client.Client, i *imported, entries []listed) error {
	i.Listed = len(entries)
	if err := i.look(ctx, c, entries); err != nil {
		return err
	}
	slices.SortStableFunc(entries, func(a, b listed) int { return cmp.Compare(b.target.Bits(), a.target.Bits()) })
	showing := width(a.stderr) > 0 && i.Listed > client.MaxBatch
	if showing {
		defer io.WriteString(a.stderr, "\r\x1b[K") // nothing of it is to stay
	}
	return inBatches(entries, func(batch []listed) error {
		items, from := i.requests(batch, time.Now())
		if len(items) > 0 {
			results, err := c.BanAll(ctx, items)
			if err != nil {
				return err
			}
			for n, result := range results {
				i.take(from[n], result)
			}
		}
		if showing {
			fmt.Fprintf(a.stderr, "\r%d of %d ", i.Banned+i.Over+len(i.Refused), i.Listed)
		}
		return nil
	})
}

// requests are what the daemon is asked for, and the entries that they are for.
func (i *imported) requests(batch []listed, now time.Time) ([]client.BanRequest, []*listed) {
	var items []client.BanRequest
	var from []*listed
	for n := range batch {
		e := &batch[n]
		if e.err != nil {
			i.Refused = append(i.Refused, client.Result{IP: cutTo(e.text, 64), Error: e.place + ": " + e.err.Error()})
			continue
		}
		if i.stands(e) {
			continue
		}
		item := client.BanRequest{IP: ban.FormatTarget(e.target), Reason: e.reason, TTL: i.ttl}
		if item.Reason == "" {
			item.Reason = i.reason
		}
		switch left := e.ends.Sub(now); {
		case e.term == ban.Permanent:
			item.TTL = json.RawMessage(`"permanent"`)
		case !e.ends.IsZero() && left < time.Second: // the shortest ban
			i.Over++
			continue
		case !e.ends.IsZero():
			item.TTL = ttlSeconds(left)
		case e.term != 0:
			item.TTL = ttlSeconds(time.Duration(e.term))
		}
		items, from = append(items, item), append(from, e)
	}
	return items, from
}

// ttlSeconds writes a duration as a number, to the microsecond.
func ttlSeconds(d time.Duration) json.RawMessage {
	return json.RawMessage(strconv.FormatFloat(d.Seconds(), 'f', 6, 64))
}

// take counts what became of one entry.
func (i *imported) take(e *listed, result client.Result) {
	switch {
	case result.Error != "":
		result.Error = e.place + ": " + result.Error
		i.Refused = append(i.Refused, result)
		return
	case !result.Applied:
		i.Waiting++
		if i.Why == "" {
			i.Why = result.Why
		}
	}
	i.Banned++
}

// maxRefusals is how many entries that were refused are named to people.
const maxRefusals = 20

// sumUp tells what became of a file, and is the answer no where not all of it is
// banned.
func (a *app) sumUp(i *imported, asJSON bool, err error) error {
	if asJSON {
		err = errors.Join(err, printObject(a.stdout, i))
	} else {
		i.print(a.stdout)
	}
	if err == nil && len(i.Refused) > 0 {
		return errNo
	}
	return err
}

func (i *imported) print(w io.Writer) {
	fmt.Fprintf(w, "%d of %d banned, %d over by now, %d refused\n", i.Banned, i.Listed, i.Over, len(i.Refused))
	if i.Waiting > 0 {
		fmt.Fprintf(w, "%d are not in the kernel yet: %s\n", i.Waiting, printable(i.Why))
	}
	for _, refused := range i.Refused[:min(len(i.Refused), maxRefusals)] {
		fmt.Fprintf(w, "  %s  %s\n", printable(refused.IP), printable(refused.Error))
	}
	if more := len(i.Refused) - maxRefusals; more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
}
