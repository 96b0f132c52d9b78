package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"freeswitch-security/engine/ban"
)

// A table is rows of cells for people. What is in a cell is escaped when it is
// shown.
type table struct {
	rows [][]string
}

func newTable(heads ...string) *table { return &table{rows: [][]string{heads}} }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// print writes the table, each row cut at so many columns; 0 cuts none.
func (t *table) print(w io.Writer, columns int) error {
	var aligned bytes.Buffer
	tabs := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	for _, row := range t.rows {
		for i, cell := range row {
			end := "\t"
			if i == len(row)-1 {
				end = "\n"
			}
			io.WriteString(tabs, printable(cell)+end) // a buffer takes everything
		}
	}
	tabs.Flush()
	for line := range strings.Lines(aligned.String()) {
		line = strings.TrimRight(line, " \n")
		if _, err := io.WriteString(w, cutTo(line, columns)+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// cutTo shortens a line to so many columns; 0 leaves it as it is.
func cutTo(line string, columns int) string {
	if columns <= 0 || len(line) <= columns {
		return line
	}
	seen := 0
	for i := range line {
		if seen == columns-1 {
			if rest := line[i:]; len([]rune(rest)) == 1 {
				return line
			}
			return line[:i] + "…"
		}
		seen++
	}
	return line
}

// printObject writes a value as one line of JSON, for programs, with what a
// terminal might act upon escaped.
func printObject(w io.Writer, v any) error {
	var object bytes.Buffer
	encoder := json.NewEncoder(&object)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(escapeJSON(object.Bytes()))
	return err
}

// about writes a duration for people, in its two largest units: "3d4h", "42s".
func about(d time.Duration) string {
	d = max(d, 0)
	unit := time.Second
	switch {
	case d >= 7*24*time.Hour:
		unit = 24 * time.Hour
	case d >= 24*time.Hour:
		unit = time.Hour
	case d >= time.Hour:
		unit = time.Minute
	}
	return ban.FormatDuration(d.Truncate(unit))
}

// ago writes how long ago a moment was; nil is never.
func ago(t *time.Time, now time.Time) string {
	if t == nil {
		return "never"
	}
	return about(now.Sub(*t)) + " ago"
}

// until writes when something ends; nil is never.
func until(t *time.Time, now time.Time) string {
	if t == nil {
		return "permanent"
	}
	return "in " + about(t.Sub(now))
}
