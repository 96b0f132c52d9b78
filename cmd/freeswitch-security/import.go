package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/banlist"
	"freeswitch-security/engine/status"

	"github.com/spf13/cobra"
)

func (a *app) importing() *cobra.Command {
	var r connFlags
	var how termOption
	var format, reason string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Ban all targets that a file lists",
		Long: `Ban all targets that a file lists. Formats are plain, with a target on each
line; CSV with a header, of which the columns ip, ttl or expires, and reason are
read; and JSON, as export and the daemon's API write it. - is standard input.
--for applies to entries without an end, --reason to entries without a reason.
A ban that stands at least as long as its entry asks for is not changed.

Exit status: 0 all targets are banned, or their bans are over; 1 some entries
were refused or could not be read; 2 the import failed.`,
		Example: "  freeswitch-security import --for 7d --reason feed blocklist.txt\n" +
			"  ssh pbx1 freeswitch-security export | freeswitch-security import -",
		Args: one("FILE", 1),
	}
	cmd.RunE = a.asking(&r, func(ctx context.Context, c *client.Client, args []string) error {
		ttl, err := how.ttl()
		if err != nil {
			return err
		}
		i := &imported{Refused: []status.Result{}, ttl: ttl, reason: reason}
		if i.digest, err = a.readList(args[0], format, i.expect, i.list); err != nil {
			return err
		}
		err = a.banListed(ctx, c, i)
		if asJSON {
			err = errors.Join(err, terminal.Object(a.stdout, i))
		} else {
			i.print(a.stdout)
		}
		if err == nil && len(i.Refused) > 0 {
			return errNo
		}
		return err
	})
	r.flags(cmd)
	how.flags(cmd, "default: security.block_duration")
	cmd.Flags().StringVar(&reason, "reason", "", "reason of entries that give none")
	cmd.Flags().StringVar(&format, "format", "", "plain, csv or json; default: by content")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs")
	complete(cmd, "format", banlist.Formats...)
	return cmd
}

const (
	// maxListBytes and maxEntries bound a list.
	maxListBytes = 256 << 20
	maxEntries   = 1_000_000
)

// readList passes the entries of the list in a file, or on standard input if path is "-", to add, and before
// that the number of lines to expect. It returns the SHA-256 of the list.
func (a *app) readList(path, format string, expect func(lines int), add func(banlist.Entry)) (digest string, err error) {
	if format != "" && !slices.Contains(banlist.Formats, format) {
		return "", fmt.Errorf("--format is plain, csv or json, not %q", format)
	}
	in := a.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, maxListBytes+1))
	switch {
	case err != nil:
		return "", err
	case len(body) > maxListBytes:
		return "", fmt.Errorf("%s is longer than %d MB: split it", path, maxListBytes>>20)
	}
	expect(bytes.Count(body, []byte("\n")))
	n := 0
	err = banlist.Read(body, format, func(e banlist.Entry) error {
		if n++; n > maxEntries {
			return fmt.Errorf("more than %d entries: split it", maxEntries)
		}
		add(e)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(body)), nil
}

// A listed is an entry that names a target: half of the memory of a [banlist.Entry].
type listed struct {
	target  ban.Target
	term    ban.Term
	expires int64 // in microseconds since 1970; 0: not said
	reason  string
	number  int32
	inLines bool // the number is that of a line
}

// An imported says what became of the entries of a list.
type imported struct {
	Listed  int             `json:"listed"`
	Banned  int             `json:"banned"`
	Over    int             `json:"over"`    // their end has passed
	Waiting int             `json:"waiting"` // banned, but not yet in force
	Why     string          `json:"why"`     // of the first of these
	Refused []status.Result `json:"refused"`

	ttl     json.RawMessage // of entries without an end
	reason  string          // of entries without a reason
	digest  string          // of the list
	entries []listed
	present map[ban.Target]present // bans that all actions carry out
}

// A present is a ban that stands.
type present struct {
	until   int64 // in microseconds since 1970; 0: permanent
	applied *bool
}

// saysEnd reports whether an entry says when its ban ends, or that it never does.
func (e *listed) saysEnd() bool { return e.term == ban.Permanent || e.expires != 0 }

// expect makes room for the entries of a list with so many lines.
func (i *imported) expect(lines int) { i.entries = make([]listed, 0, min(lines+1, maxEntries)) }

// list takes an entry of the list.
func (i *imported) list(e banlist.Entry) {
	i.Listed++
	one := listed{target: e.Target, term: e.Term, reason: e.Reason, number: int32(e.Number), inLines: e.Unit == "line"}
	if e.Err != nil {
		i.count(&one, status.Result{Target: terminal.Cut(e.Text, 64), Error: e.Err.Error()})
		return
	}
	if !e.Expires.IsZero() {
		one.expires = cmp.Or(e.Expires.UnixMicro(), -1)
	}
	i.entries = append(i.entries, one)
}

// loadPresent lists the bans that need no order, so that an import of an export does
// not change their author. Entries without an end are always ordered.
func (i *imported) loadPresent(ctx context.Context, c *client.Client) error {
	if !slices.ContainsFunc(i.entries, func(e listed) bool { return e.saysEnd() }) {
		return nil
	}
	said, err := c.Status(ctx)
	if err != nil {
		return err
	}
	i.present = map[ban.Target]present{}
	for b, err := range c.Bans(ctx, listPage) {
		if err != nil {
			return err
		}
		if b.Actions == nil && (b.Rule == "" || said.AutoBlock) {
			one := present{applied: b.Applied}
			if !b.Permanent {
				one.until = b.Until.UnixMicro()
			}
			i.present[b.Target] = one
		}
	}
	return nil
}

// isPresent reports whether the ban that an entry asks for stands, and counts it then.
func (i *imported) isPresent(e *listed) bool {
	b, ok := i.present[e.target]
	if !ok || !e.saysEnd() || b.until != 0 && (e.term == ban.Permanent || e.expires > b.until) {
		return false
	}
	result := status.Result{Applied: b.applied != nil && *b.applied, Why: "it was not before"}
	if b.applied == nil {
		result.Why = "the kernel could not be read"
	}
	i.count(e, result)
	return true
}

// banListed orders the bans in batches. The narrowest target comes first: behind a
// network that contains it, it would count as banned already, and would be free when
// the ban of the network ends. Those of one length are in order: so the daemon writes few pages of its
// state for each batch.
func (a *app) banListed(ctx context.Context, c *client.Client, i *imported) error {
	if err := i.loadPresent(ctx, c); err != nil {
		return err
	}
	slices.SortFunc(i.entries, func(a, b listed) int {
		return cmp.Or(cmp.Compare(b.target.Prefix().Bits(), a.target.Prefix().Bits()), a.target.Compare(b.target), cmp.Compare(a.number, b.number))
	})
	showing := terminal.Width(a.stderr) > 0 && i.Listed > client.MaxBatch
	if showing {
		defer io.WriteString(a.stderr, terminal.ClearLine)
	}
	var err error
	var waiting []*order // oldest first
	var before ban.Target
	for batch := range slices.Chunk(i.entries, client.MaxBatch) {
		items, from := i.requests(batch, time.Now())
		if len(items) == 0 {
			continue
		}
		most := ordersAtOnce - 1
		if last := batch[len(batch)-1].target; last.Kind() != before.Kind() || last.Prefix().Bits() != before.Prefix().Bits() {
			most = 0 // it may contain what others are about
		}
		for ; len(waiting) > most; waiting = waiting[1:] {
			err = cmp.Or(err, i.finish(waiting[0]))
		}
		if err != nil {
			break
		}
		waiting, before = append(waiting, i.start(ctx, c, items, from)), batch[0].target
		if showing {
			fmt.Fprintf(a.stderr, "\r%d of %d ", i.Banned+i.Over+len(i.Refused), i.Listed)
		}
	}
	for _, o := range waiting {
		err = cmp.Or(err, i.finish(o))
	}
	return err
}

// ordersAtOnce is how many batches the daemon has at a time: it reads one while the bans of another come
// into force.
const ordersAtOnce = 2

// While the daemon has too many batches, of other imports, it is asked again after a pause.
const (
	busyPause = time.Second / 5
	busyTries = 150
)

// An order is a batch that the daemon was asked to ban.
type order struct {
	from    []*listed       // of the items
	results []status.Result // of items that are not banned, or not in force
	err     error
	done    chan struct{}
}

// start asks for the bans of a batch.
func (i *imported) start(ctx context.Context, c *client.Client, items []client.BanRequest, from []*listed) *order {
	o := &order{from: from, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		for range busyTries {
			o.results, o.err = c.BanListed(ctx, items, i.digest)
			if r, ok := errors.AsType[*client.Refusal](o.err); !ok || r.Status != http.StatusServiceUnavailable {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(busyPause):
			}
		}
	}()
	return o
}

// finish waits for a batch and counts what became of it.
func (i *imported) finish(o *order) error {
	<-o.done
	if o.err != nil {
		return o.err
	}
	i.Banned += len(o.from) - len(o.results)
	for _, result := range o.results {
		i.count(o.from[result.Item-1], result)
	}
	return nil
}

// requests gives the orders for a batch of entries, and the entry of each.
func (i *imported) requests(batch []listed, now time.Time) (items []client.BanRequest, from []*listed) {
	items, from = make([]client.BanRequest, 0, len(batch)), make([]*listed, 0, len(batch))
	for n := range batch {
		e := &batch[n]
		if i.isPresent(e) {
			continue
		}
		item := client.BanRequest{IP: e.target.String(), Reason: cmp.Or(e.reason, i.reason), TTL: i.ttl}
		left := time.Duration(e.term)
		if e.expires != 0 {
			left = time.UnixMicro(e.expires).Sub(now)
		}
		switch {
		case e.term == ban.Permanent:
			item.TTL = json.RawMessage(`"permanent"`)
		case e.term == 0 && e.expires == 0:
		case left < time.Second: // the shortest ban
			i.Over++
			continue
		default:
			item.TTL = json.RawMessage(strconv.FormatFloat(left.Seconds(), 'f', 6, 64))
		}
		items, from = append(items, item), append(from, e)
	}
	return items, from
}

// count adds what became of one entry.
func (i *imported) count(e *listed, result status.Result) {
	if result.Error != "" {
		place := banlist.Entry{Unit: "entry", Number: int(e.number)}
		if e.inLines {
			place.Unit = "line"
		}
		result.Error = place.Place() + ": " + result.Error
		i.Refused = append(i.Refused, result)
		return
	}
	i.Banned++
	if !result.Applied {
		i.Waiting++
		i.Why = cmp.Or(i.Why, result.Why)
	}
}

// maxRefusals is how many refused entries are printed.
const maxRefusals = 20

func (i *imported) print(w io.Writer) {
	fmt.Fprintf(w, "%d of %d banned, %d over by now, %d refused\n", i.Banned, i.Listed, i.Over, len(i.Refused))
	if i.Waiting > 0 {
		fmt.Fprintf(w, "%d are not in force yet: %s\n", i.Waiting, terminal.Printable(i.Why))
	}
	for _, refused := range i.Refused[:min(len(i.Refused), maxRefusals)] {
		fmt.Fprintf(w, "  %s  %s\n", terminal.Printable(refused.Target), terminal.Printable(refused.Error))
	}
	if more := len(i.Refused) - maxRefusals; more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
}
