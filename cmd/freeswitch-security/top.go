package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"

	"github.com/spf13/cobra"
)

func (a *app) top() *cobra.Command {
	var r connFlags
	var once bool
	rows := 0
	interval := 2 * time.Second
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the keys closest to a threshold and the busiest bans",
		Long: `Show the keys that are closest to the threshold of a rule, without those of
banned targets, and the bans that drop the most packets. On a terminal the view
is updated. Elsewhere, as in a pipe, there is one view, or with --interval one
after another.

Exit status: 0 it was interrupted, or --once is done; 2 the request failed.`,
		Example: "  freeswitch-security top\n  freeswitch-security top --once --rows 50",
		Args:    cobra.NoArgs,
	}
	cmd.RunE = a.asking(&r, func(ctx context.Context, c *client.Client, _ []string) error {
		if columns, _ := terminal.Size(a.stdout); columns == 0 && !cmd.Flags().Changed("interval") {
			once = true
		}
		t := &topView{client: c, rows: rows}
		for {
			err := a.topOnce(ctx, t)
			if ctx.Err() != nil {
				return nil // an interrupt is the regular end
			}
			if err != nil || once {
				return err
			}
			select {
			case <-ctx.Done():
			case <-time.After(interval):
			}
		}
	})
	r.flags(cmd)
	cmd.Flags().BoolVar(&once, "once", false, "one view")
	cmd.Flags().IntVar(&rows, "rows", 0, "rows of each table; default: what fits, or 10")
	durationFlag(cmd, &interval, "interval", "time between two views; default: 2s")
	return cmd
}

// topOnce shows one view. On a terminal it is drawn over the previous one, line by line,
// so that it does not flicker.
func (a *app) topOnce(ctx context.Context, t *topView) error {
	columns, lines := terminal.Size(a.stdout)
	p, err := t.look(ctx, t.fitting(lines))
	if err != nil {
		return err
	}
	var drawn bytes.Buffer
	if err := p.print(&drawn, columns, a.colour(a.stdout)); err != nil {
		return err
	}
	text := drawn.Bytes()
	if columns > 0 {
		text = bytes.ReplaceAll(text, []byte("\n"), []byte("\x1b[K\n"))
		text = slices.Concat([]byte("\x1b[H"), text, []byte("\x1b[J"))
	}
	_, err = a.stdout.Write(text)
	return err
}

// A topView remembers of a view what the next one is compared with.
type topView struct {
	client *client.Client
	rows   int // of the flag; 0: not given

	at      time.Time
	events  uint64
	packets map[ban.Target]uint64 // by target
}

// fitting is how many rows each of the two tables has.
func (t *topView) fitting(lines int) int {
	const others = 7 // lines that are no rows: titles, heads, blanks
	switch {
	case t.rows > 0:
		return min(t.rows, client.MaxTrackers)
	case lines == 0:
		return 10
	}
	return max((lines-others)/2, 1)
}

// A snapshot is the content of one view.
type snapshot struct {
	at       time.Time
	bans     int
	events   uint64
	perSec   float64 // events; negative: not known
	trackers []status.Tracker
	active   []activeBan
}

// An activeBan is an entry of the kernel, its rate and its ban.
type activeBan struct {
	status.Entry
	perSec float64 // packets
	ban    *status.Ban
}

// look asks the daemon for a snapshot.
func (t *topView) look(ctx context.Context, rows int) (*snapshot, error) {
	said, err := t.client.Status(ctx)
	if err != nil {
		return nil, err
	}
	trackers, err := t.client.Trackers(ctx, rows, false)
	if err != nil {
		return nil, err
	}
	kernel, err := t.client.Kernel(ctx)
	if err != nil {
		return nil, err
	}
	p := &snapshot{at: time.Now(), bans: said.Stats.ActiveBans, events: said.Stats.Events, perSec: -1, trackers: trackers}
	since := p.at.Sub(t.at).Seconds()
	if !t.at.IsZero() {
		p.perSec = grown(t.events, said.Stats.Events) / since
	}
	p.active = t.busiest(kernel.Entries, rows, since)
	for i := range p.active {
		if p.active[i].ban, _, err = t.client.Ban(ctx, p.active[i].Target); err != nil {
			return nil, err
		}
	}
	t.at, t.events = p.at, said.Stats.Events
	t.packets = make(map[ban.Target]uint64, len(kernel.Entries))
	for _, e := range kernel.Entries {
		t.packets[e.Target] = e.Packets
	}
	return p, nil
}

// grown is by how much a counter has grown; a smaller one was reset.
func grown(before, now uint64) float64 {
	if now < before {
		return float64(now)
	}
	return float64(now - before)
}

// busiest returns the entries that dropped the most packets since the previous view, and
// then those that dropped the most in total.
func (t *topView) busiest(entries []status.Entry, rows int, since float64) []activeBan {
	var active []activeBan
	for _, e := range entries {
		if e.Packets == 0 {
			continue
		}
		b := activeBan{Entry: e}
		if before, known := t.packets[e.Target]; known {
			b.perSec = grown(before, e.Packets) / since
		}
		active = append(active, b)
	}
	slices.SortFunc(active, func(a, b activeBan) int {
		return cmp.Or(cmp.Compare(b.perSec, a.perSec), cmp.Compare(b.Packets, a.Packets), a.Target.Compare(b.Target))
	})
	return active[:min(len(active), rows)]
}

func (p *snapshot) print(w io.Writer, columns int, colour bool) error {
	rate := ""
	if p.perSec >= 0 {
		rate = fmt.Sprintf(" (%.0f/s)", p.perSec)
	}
	fmt.Fprintf(w, "%s UTC  %s, %d events%s\n\n", p.at.UTC().Format(time.TimeOnly), terminal.Count(p.bans, "ban"), p.events, rate)
	if len(p.trackers) == 0 {
		fmt.Fprintln(w, "no key is close to a threshold")
	} else if err := trackerTable(p.trackers, p.at).PrintIn(w, columns, colour); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t := terminal.NewTable("BANNED", "PACKETS/S", "PACKETS", "UNTIL", "RULE", "REASON")
	for _, b := range p.active {
		var rule, reason, ends string
		if b.ban != nil {
			rule, reason, ends = cmp.Or(b.ban.Rule, b.ban.Author), b.ban.Reason, terminal.Until(b.ban.Until, p.at)
		}
		t.Row(b.Target.String(), fmt.Sprintf("%.1f", b.perSec), strconv.FormatUint(b.Packets, 10), ends, rule, reason)
	}
	if t.Empty() {
		_, err := fmt.Fprint(w, "no ban has dropped a packet\n\n")
		return err
	}
	if err := t.PrintIn(w, columns, colour); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
