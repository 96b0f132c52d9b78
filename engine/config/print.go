package config

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/mitchellh/go-wordwrap"
)

// Files are the sources of a configuration by their paths as the operator knows
// them, so that a diagnostic can be printed with the lines it speaks of.
type Files map[string]*hcl.File

// Escape sequences of a terminal.
const (
	plain  = "\x1b[0m"
	bold   = "\x1b[1m"
	red    = "\x1b[1;31m"
	yellow = "\x1b[1;33m"
)

// Print writes the diagnostics, each with its file, line and column, the line
// itself and carets under the words that it is about, where [quotable] allows it. The text is wrapped
// at width columns (0: not wrapped); color adds the escape sequences of a
// terminal. HCL's own writer marks the words in colour only, and names no column.
func Print(w io.Writer, diags hcl.Diagnostics, files Files, width uint, color bool) error {
	hidden := map[string]bool{} // lines with something unknown
	for _, diag := range diags {
		if diag.Subject != nil && isUnknown(diag) {
			hidden[settings.Where(*diag.Subject)] = true
		}
	}
	for _, diag := range diags {
		if _, err := io.WriteString(w, printed(diag, files, hidden, width, color)); err != nil {
			return err
		}
	}
	return nil
}

// printed is what is printed of one diagnostic.
func printed(diag *hcl.Diagnostic, files Files, hidden map[string]bool, width uint, color bool) string {
	paint := func(with, s string) string {
		if !color {
			return s
		}
		return with + s + plain
	}
	kind, hue := "Error: ", red
	switch diag.Severity {
	case hcl.DiagWarning:
		kind, hue = "Warning: ", yellow
	case settings.Notice:
		kind, hue = "Notice: ", bold
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s\n", paint(hue, kind), paint(bold, diag.Summary))
	if s := diag.Subject; s != nil {
		b.WriteString(location(*s, files[s.Filename], hidden, func(s string) string { return paint(hue, s) }))
	}
	detail := diag.Detail
	if width > 0 {
		detail = wordwrap.WrapString(detail, width)
	}
	fmt.Fprintf(&b, "%s\n\n", detail)
	return b.String()
}

// location shows where a diagnostic points: a line of a file, if it was read, else
// its name alone.
func location(rng hcl.Range, file *hcl.File, hidden map[string]bool, paint func(string) string) string {
	if file == nil {
		return fmt.Sprintf("  %s\n", rng.Filename)
	}
	src := file.Bytes
	start := min(rng.Start.Byte, len(src))
	from := bytes.LastIndexByte(src[:start], '\n') + 1
	to := len(src)
	if i := bytes.IndexByte(src[start:], '\n'); i >= 0 {
		to = start + i
	}
	end := max(start, min(rng.End.Byte, to)) // of a word that goes on, the first line

	var b strings.Builder
	fmt.Fprintf(&b, "  %s:%d:%d%s\n", rng.Filename, rng.Start.Line, rng.Start.Column, within(file, start))
	if hidden[settings.Where(rng)] || !quotable(file, rng) {
		return b.String()
	}
	number := fmt.Sprint(rng.Start.Line)
	gutter := strings.Repeat(" ", len(number))
	fmt.Fprintf(&b, "  %s | %s\n", number, bytes.TrimRight(src[from:to], "\r"))
	carets := strings.Repeat("^", max(1, utf8.RuneCount(src[start:end])))
	fmt.Fprintf(&b, "  %s | %s%s\n", gutter, blank(src[from:start]), paint(carets))
	return b.String()
}

// within names the block of a place: `, in rule "guessing"`.
func within(file *hcl.File, offset int) string {
	nav, ok := file.Nav.(interface{ ContextString(offset int) string })
	if !ok {
		return ""
	}
	if context := nav.ContextString(offset); context != "" {
		return ", in " + context
	}
	return ""
}

// blank is as wide as a text, tabs included.
func blank(text []byte) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, string(text))
}
