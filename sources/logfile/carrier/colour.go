package carrier

import (
	"slices"
	"strings"
)

// escapes are how an escape sequence begins: raw, and as rsyslog and others write it.
var escapes = [...]string{"\x1b[", "#033[", `\033[`, `\x1b[`, "^[["}

// uncolour returns a text without the colours at its beginning and end.
func uncolour(text string) string {
	text = text[colourLength(text):]
	end, cr := strings.CutSuffix(text, "\r")
	whole := len(end)
	for strings.HasSuffix(end, "m") || strings.HasSuffix(end, "K") {
		at := -1
		for _, escape := range escapes {
			at = max(at, strings.LastIndex(end, escape))
		}
		if at < 0 || colourLength(end[at:]) < len(end)-at {
			break
		}
		end = end[:at]
	}
	switch {
	case len(end) == whole:
		return text
	case cr:
		return end + "\r"
	}
	return end
}

// colourLength returns the length of the colours that a text begins with.
func colourLength(text string) (length int) {
	for {
		rest := text[length:]
		if !slices.ContainsFunc(escapes[:], func(escape string) bool { return strings.HasPrefix(rest, escape) }) {
			return length
		}
		end := strings.IndexByte(rest, '[') + 1
		for end < len(rest) && (rest[end]-'0' < 10 || rest[end] == ';') {
			end++
		}
		if end == len(rest) || rest[end] != 'm' && rest[end] != 'K' {
			return length
		}
		length += end + 1
	}
}
