package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Printable makes a text that an attacker may have written safe to show: what is
// not printable, escape sequences above all, is written as Go would quote it.
func Printable(s string) string {
	if isPlain(s, "") {
		return s
	}
	for _, r := range s {
		if !strconv.IsPrint(r) || r == '\uFFFD' {
			quoted := strconv.QuoteToGraphic(s)
			return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
		}
	}
	return s
}

// isPlain reports whether a text has only visible ASCII characters, and those besides. It takes a tenth of the
// time of looking at each as a rune.
func isPlain[T string | []byte](text T, besides string) bool {
	for i := range len(text) {
		if c := text[i]; (c < ' ' || c > '~') && strings.IndexByte(besides, c) < 0 {
			return false
		}
	}
	return true
}

// Object writes a value as one line of JSON, for programs, with what a
// terminal might act upon escaped.
func Object(w io.Writer, v any) error {
	var object bytes.Buffer
	encoder := json.NewEncoder(&object)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(escapeJSON(object.Bytes()))
	return err
}

// escapeJSON escapes what encoding/json writes as it is but cannot be seen: DEL,
// the control characters behind ASCII, marks that turn the text around. Outside
// of strings JSON has no such characters.
func escapeJSON(text []byte) []byte {
	if isPlain(text, "\n") {
		return text
	}
	visible := func(r rune) bool { return r == '\n' || strconv.IsPrint(r) }
	if !bytes.ContainsFunc(text, func(r rune) bool { return !visible(r) }) {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for _, r := range string(text) {
		if visible(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}
