package terminal

import (
	"fmt"
	"io"
	"time"

	"freeswitch-security/engine/ban"
)

// Changes returns a printer of one row a change. Further orders against a banned target have no row.
func Changes(w io.Writer) func(*ban.Change) error {
	const columns = "%-19s  %-7s  %-24s  %-9s  %-22s  %s\n"
	headed := false
	return func(c *ban.Change) error {
		if c.Standing {
			return nil
		}
		if !headed {
			headed = true
			if _, err := fmt.Fprintf(w, columns, "TIME (UTC)", "CHANGE", "TARGET", "FOR", "RULE", "WHY"); err != nil {
				return err
			}
		}
		term := ""
		if c.Term != 0 {
			term = c.Term.String()
		}
		_, err := fmt.Fprintf(w, columns, c.At.UTC().Format(time.DateTime), c.Kind, c.Target, term, Printable(c.Rule), Printable(c.Text()))
		return err
	}
}
