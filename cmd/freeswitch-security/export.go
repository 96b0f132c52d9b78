package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/banlist"
	"freeswitch-security/engine/status"

	"github.com/spf13/cobra"
)

// An exported is a ban as export writes it in JSON: what import needs, and where the
// ban comes from.
type exported struct {
	IP        string    `json:"ip"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"` // absent: permanent
	Permanent bool      `json:"permanent"`
	Reason    string    `json:"reason"`
	Rule      string    `json:"rule"`
	Author    string    `json:"author"`
	Offence   int       `json:"offence"`
	AddedAt   time.Time `json:"addedAt"`
}

// An exporter writes a list of bans in one format.
type exporter struct {
	head, tail string
	separator  string // between two bans
	ban        func(w io.Writer, b *status.Ban) error
}

var exporters = map[string]exporter{
	banlist.Plain: {ban: exportPlain},
	banlist.CSV:   {head: "ip,expires,reason,rule,offence\n", ban: exportCSV},
	banlist.JSON:  {head: "[\n", separator: ",", tail: "]\n", ban: exportJSON},
}

func (a *app) export() *cobra.Command {
	var r connFlags
	var rule, format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all bans, for import elsewhere",
		Long: `Write all bans to standard output: as JSON or CSV with all that import reads,
which is the target, the end and the reason, or as plain targets. Counters and
evidence are not exported.

Exit status: 0 all bans are written; 2 the export failed.`,
		Example: "  freeswitch-security export > bans.json\n" +
			"  freeswitch-security export --format plain --rule \"password guessing\"",
		Args: cobra.NoArgs,
	}
	cmd.RunE = a.asking(&r, func(ctx context.Context, c *client.Client, _ []string) error {
		e, ok := exporters[format]
		if !ok {
			return fmt.Errorf("--format is plain, csv or json, not %q", format)
		}
		out := bufio.NewWriterSize(a.stdout, 1<<16)
		if err := e.write(out, passing(c.Bans(ctx, listPage), ofRule(rule))); err != nil {
			return err
		}
		return out.Flush()
	})
	r.flags(cmd)
	cmd.Flags().StringVar(&format, "format", banlist.JSON, "plain, csv or json")
	cmd.Flags().StringVar(&rule, "rule", "", "only the bans of this rule")
	complete(cmd, "format", banlist.Formats...)
	a.completeRules(cmd, &r)
	return cmd
}

func (e *exporter) write(w *bufio.Writer, bans iter.Seq2[status.Ban, error]) error {
	separator := ""
	w.WriteString(e.head)
	for b, err := range bans {
		if err != nil {
			return err
		}
		w.WriteString(separator)
		separator = e.separator
		if err := e.ban(w, &b); err != nil {
			return err
		}
	}
	_, err := w.WriteString(e.tail) // it repeats an earlier error
	return err
}

func exportPlain(w io.Writer, b *status.Ban) error {
	_, err := fmt.Fprintln(w, terminal.Printable(b.Target.String()))
	return err
}

func exportCSV(w io.Writer, b *status.Ban) error {
	expires := "permanent"
	if !b.Until.IsZero() {
		expires = b.Until.UTC().Format(time.RFC3339Nano)
	}
	var row strings.Builder
	c := csv.NewWriter(&row)
	if err := c.Write([]string{b.Target.String(), expires, banlist.Printable(b.Reason), banlist.Printable(b.Rule), strconv.Itoa(b.Offence)}); err != nil {
		return err
	}
	c.Flush()
	_, err := io.WriteString(w, row.String())
	return err
}

func exportJSON(w io.Writer, b *status.Ban) error {
	return terminal.Object(w, exported{b.Target.String(), b.Until, b.Permanent, b.Reason, b.Rule, b.Author, b.Offence, b.Start})
}
