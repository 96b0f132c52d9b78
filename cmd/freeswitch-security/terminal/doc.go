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

// Width is that of the terminal behind w, and 0 where there is none.
func Width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}
