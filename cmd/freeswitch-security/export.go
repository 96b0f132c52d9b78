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

	"github.com/spf13/cobra"
)

// An exported is a ban as export writes it in JSON: what is needed to ban the
// same elsewhere, and where it came from.
type exported struct {
	IP        string     `json:"ip"`
	ExpiresAt *time.Time `json:"expiresAt"` // null: permanent
	Permanent bool       `json:"permanent"`
	Reason    string     `json:"reason"`
	Rule      string     `json:"rule"`
	Author    string     `json:"author"`
	Offence   int        `json:"offence"`
	AddedAt   time.Time  `json:"addedAt"`
}

// exporters write bans in the formats that export knows.
var exporters = map[string]func(w io.Writer, bans iter.Seq2[client.Ban, error]) error{
	"plain": exportPlain, "csv": exportCSV, "json": exportJSON,
}

func (a *app) export() *cobra.Command {
	var r reach
	var rule, format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all bans, for import elsewhere",
		Long: `Write all bans to standard output: as JSON or CSV with all that import makes use
of, which is the target, the end and the reason, or as plain addresses. What was
counted and seen stays here: an imported ban has no evidence.

Exit status: 0 all is written; 2 it could not be done.`,
		Example: "  freeswitch-security export > bans.json\n" +
			"  freeswitch-security export --format plain --rule \"password guessing\"",
		Args: cobra.NoArgs,
	}
	cmd.RunE = a.asking(&r, func(ctx context.Context, c *client.Client, _ []string) error {
		export, ok := exporters[format]
		if !ok {
			return fmt.Errorf("--format is plain, csv or json, not %q", format)
		}
		out := bufio.NewWriterSize(a.stdout, 1<<16)
		if err := export(out, ofRule(c.Bans(ctx, listPage), rule)); err != nil {
			return err
		}
		return out.Flush()
	})
	r.flags(cmd)
	cmd.Flags().StringVar(&format, "format", "json", "plain, csv or json")
	cmd.Flags().StringVar(&rule, "rule", "", "only the bans of this rule")
	complete(cmd, "format", "plain", "csv", "json")
	a.completeRules(cmd, &r)
	return cmd
}

func exportPlain(w io.Writer, bans iter.Seq2[client.Ban, error]) error {
	for b, err := range bans {
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w, printable(b.IP)); err != nil {
			return err
		}
	}
	return nil
}

func exportCSV(w io.Writer, bans iter.Seq2[client.Ban, error]) error {
	rows := csv.NewWriter(w)
	if err := rows.Write([]string{"ip", "expires", "reason", "rule", "offence"}); err != nil {
		return err
	}
	for b, err := range bans {
		if err != nil {
			return err
		}
		ends := "permanent"
		if b.ExpiresAt != nil {
			ends = b.ExpiresAt.UTC().Format(time.RFC3339Nano)
		}
		row := []string{b.IP, ends, oneLine(b.Reason), oneLine(b.Rule), strconv.Itoa(b.Offence)}
		if err := rows.Write(row); err != nil {
			return err
		}
	}
	rows.Flush()
	return rows.Error()
}

// oneLine puts a blank for whatever cannot be printed, as the daemon does with a
// reason that it is given.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\uFFFD' || !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// exportJSON writes an array with an object on each line.
func exportJSON(w io.Writer, bans iter.Seq2[client.Ban, error]) error {
	separator := "[\n"
	for b, err := range bans {
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, separator); err != nil {
			return err
		}
		separator = ","
		err := printObject(w, exported{b.IP, b.ExpiresAt, b.Permanent, b.Reason, b.Rule, b.Author, b.Offence, b.AddedAt})
		if err != nil {
			return err
		}
	}
	if separator == "[\n" {
		_, err := io.WriteString(w, "[]\n")
		return err
	}
	_, err := io.WriteString(w, "]\n")
	return err
}
