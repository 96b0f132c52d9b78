// Package terminal writes answers for people and programs: tables, durations, JSON objects.
//
// It stands at the end of every verb. Invariant: what an attacker wrote reaches a terminal only
// escaped ([Printable], [Object]).
package terminal

import (
	"io"
	"os"

	"golang.org/x/term"
)

// ClearLine empties the line of a terminal that the cursor is on.
const ClearLine = "\r\x1b[K"

// Size returns the size of the terminal behind w; 0 if there is none.
func Size(w io.Writer) (columns, lines int) {
	if f, ok := w.(*os.File); ok {
		columns, lines, _ = term.GetSize(int(f.Fd())) // after an error both are 0
	}
	return columns, lines
}

// Width returns the columns of the terminal behind w; 0 if there is none.
func Width(w io.Writer) int {
	columns, _ := Size(w)
	return columns
}
