package terminal

import (
	"io"
	"time"

	"freeswitch-security/engine/ban"
)

// Changes returns a printer of one row a change. Further orders against a banned target have no row. A cell that is
// wider than its column widens it for the rows that follow.
func Changes(w io.Writer) func(*ban.Change) error {
	widths := []int{19, 7, 24, 9, 22}
	headed := false
	row := func(cells ...string) error {
		for i := range cells {
			cells[i] = Printable(cells[i])
			if i < len(widths) {
				widths[i] = max(widths[i], Columns(cells[i]))
			}
		}
		_, err := io.WriteString(w, aligned(cells, widths)+"\n")
		return err
	}
	return func(c *ban.Change) error {
		if c.Standing {
			return nil
		}
		if !headed {
			headed = true
			if err := row("TIME (UTC)", "CHANGE", "TARGET", "FOR", "RULE", "WHY"); err != nil {
				return err
			}
		}
		term := ""
		if c.Term != 0 {
			term = c.Term.String()
		}
		return row(c.At.UTC().Format(time.DateTime), string(c.Kind), c.Target.String(), term, c.Rule, c.Text())
	}
}
