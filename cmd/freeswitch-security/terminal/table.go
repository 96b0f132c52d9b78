package terminal

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// A Table is rows of cells for people. What is in a cell is escaped when it is
// shown.
type Table struct {
	rows [][]string
}

func NewTable(heads ...string) *Table { return &Table{rows: [][]string{heads}} }

// Say adds a row of a name and a text.
func (t *Table) Say(name, format string, args ...any) { t.Row(name, fmt.Sprintf(format, args...)) }

func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Print writes the table, each row cut at so many columns; 0 cuts none.
func (t *Table) Print(w io.Writer, columns int) error {
	var aligned bytes.Buffer
	tabs := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	for _, row := range t.rows {
		for i, cell := range row {
			end := "\t"
			if i == len(row)-1 {
				end = "\n"
			}
			io.WriteString(tabs, Printable(cell)+end) // a buffer takes everything
		}
	}
	tabs.Flush()
	for line := range strings.Lines(aligned.String()) {
		line = strings.TrimRight(line, " \n")
		if _, err := io.WriteString(w, Cut(line, columns)+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// Cut shortens a line to so many columns; 0 leaves it as it is.
func Cut(line string, columns int) string {
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
