package event

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// Explain writes the fields of an event, one a line, without those named. What a caller may
// have written is quoted.
func (e *Event) Explain(w io.Writer, without ...string) {
	without = append(without, "event", "source")
	for i := range Fields {
		f := &Fields[i]
		switch text := f.Get(e); {
		case text == "" || slices.Contains(without, f.Name):
		case f.Kind == Text:
			fmt.Fprintf(w, "  %-11s %q\n", f.Name, text)
		default:
			fmt.Fprintf(w, "  %-11s %s\n", f.Name, text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		fmt.Fprintf(w, "  %-11s %q\n", name, e.Fields[name])
	}
}
