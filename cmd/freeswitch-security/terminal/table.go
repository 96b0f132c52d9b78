package terminal

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// A Table is rows of cells for people. What is in a cell is escaped when it is
// shown.
type Table struct {
	rows   [][]string
	styles map[int]Style // of rows
	headed bool
}

func NewTable(heads ...string) *Table { return &Table{rows: [][]string{heads}, headed: true} }

// Say adds a row of a name and a text.
func (t *Table) Say(name, format string, args ...any) { t.Row(name, fmt.Sprintf(format, args...)) }

func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Empty reports whether the table has no rows but its head.
func (t *Table) Empty() bool { return len(t.rows) == 0 || t.headed && len(t.rows) == 1 }

// Style gives the last row a style, for [Table.PrintIn].
func (t *Table) Style(s Style) {
	if t.styles == nil {
		t.styles = map[int]Style{}
	}
	t.styles[len(t.rows)-1] = s
}

// A Style is how a text is shown on a terminal, as the numbers of its escape sequence.
type Style string

// The styles.
const (
	Plain  Style = ""
	Bold   Style = "1"
	Red    Style = "1;31"
	Green  Style = "1;32"
	Yellow Style = "1;33"
	Cyan   Style = "1;36"
)

// Paint gives a text a style, where colours are wanted.
func Paint(wanted bool, s Style, text string) string {
	if !wanted || s == Plain {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// Print writes the table, each row at most so many columns wide; 0 cuts none.
func (t *Table) Print(w io.Writer, columns int) error { return t.PrintIn(w, columns, false) }

// PrintIn is Print, in colour if it is wanted: the head is bold, and rows have their styles.
func (t *Table) PrintIn(w io.Writer, columns int, colour bool) error {
	rows := make([][]string, len(t.rows))
	for i, row := range t.rows {
		for _, cell := range row {
			rows[i] = append(rows[i], Printable(cell))
		}
	}
	widths := fit(rows, columns)
	for i, row := range rows {
		style := t.styles[i]
		if i == 0 && t.headed {
			style = Bold
		}
		line := Cut(strings.TrimRight(aligned(row, widths), " "), columns)
		if _, err := io.WriteString(w, Paint(colour, style, line)+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// between is how many blanks are between two columns.
const between = 2

// aligned writes a row, all but the last cell as wide as their columns.
func aligned(row []string, widths []int) string {
	var line strings.Builder
	for n, cell := range row {
		if n < len(row)-1 {
			cell = Cut(cell, widths[n])
			cell += strings.Repeat(" ", widths[n]-Columns(cell)+between)
		}
		line.WriteString(cell)
	}
	return line.String()
}

// Where rows are cut, no cell is cut to less than narrowest, and the last one has lastRoom.
const (
	narrowest = 14
	lastRoom  = 16
)

// fit returns the widths of all columns but the last, so that rows of so many columns have room for the last
// one. The first column is never cut: it is what is listed.
func fit(rows [][]string, columns int) (widths []int) {
	total := 0
	for _, row := range rows {
		for n, cell := range row[:max(len(row)-1, 0)] {
			if n == len(widths) {
				widths = append(widths, 0)
				total += between
			}
			if more := Columns(cell) - widths[n]; more > 0 {
				widths[n] += more
				total += more
			}
		}
	}
	for columns > 0 && total > columns-lastRoom {
		widest := 0
		for n, w := range widths {
			if n > 0 && w > narrowest && (widest == 0 || w > widths[widest]) {
				widest = n
			}
		}
		if widest == 0 {
			break
		}
		widths[widest]--
		total--
	}
	return widths
}

// Columns returns how many columns of a terminal a printable text takes.
func Columns(s string) int {
	if isPlain(s, "") {
		return len(s)
	}
	n := 0
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

// columnsOf returns the columns of a character: none if it combines with the one before, two in East Asian writing.
func columnsOf(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Cut shortens a printable text to so many columns; 0 leaves it as it is.
func Cut(line string, columns int) string {
	if columns <= 0 || len(line) <= columns || Columns(line) <= columns {
		return line
	}
	seen := 0
	for i, r := range line {
		if seen += columnsOf(r); seen > columns-1 {
			return line[:i] + "…"
		}
	}
	return line
}
