package carrier

import (
	"strings"

	"freeswitch-security/engine/regex"
)

// escapes is a regular expression of the sequences that set colours: raw, and as
// rsyslog and others write them.
const escapes = `(?:(?:\x1b|#033|\\033|\\x1b|\^\[)\[[\d;]*[mK])+`

var (
	colourStart = regex.New(`^` + escapes)
	colourEnd   = regex.New(escapes + `(\r?)$`)
)

// longestEnd bounds the colours at the end of a line, in bytes.
const longestEnd = 64

// colourLength returns the length of the colours that a text begins with.
func colourLength(text string) int {
	if text == "" || !strings.ContainsRune("\x1b#\\^", rune(text[0])) {
		return 0
	}
	return len(colourStart.Use().FindString(text))
}

// uncolour returns a text without the colours at its beginning and end.
func uncolour(text string) string {
	text = text[colourLength(text):]
	if end := strings.TrimSuffix(text, "\r"); strings.HasSuffix(end, "m") || strings.HasSuffix(end, "K") {
		at := max(0, len(text)-longestEnd)
		return text[:at] + colourEnd.Use().ReplaceAllString(text[at:], "$1")
	}
	return text
}
