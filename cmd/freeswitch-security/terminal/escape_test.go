package terminal

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestNothingUnseen has each byte, and each character of most scripts, alone and beside plain text, on the
// way to a terminal and to a program.
func TestNothingUnseen(t *testing.T) {
	var all []string
	for b := range 256 {
		all = append(all, string([]byte{byte(b)}))
	}
	for r := range rune(0x3100) {
		all = append(all, string(r))
	}
	all = append(all, "\ufeff", "\ufff9", "\U000E0001", string(utf8.MaxRune), "\xe2\x80", "\xed\xa0\x80", "\xc0\x80")
	for _, s := range all {
		for _, s := range []string{s, "plain " + s + " text"} {
			var object bytes.Buffer
			if err := Object(&object, s); err != nil {
				t.Fatal(err)
			}
			line := bytes.TrimSuffix(object.Bytes(), []byte("\n"))
			var back string
			if err := json.Unmarshal(line, &back); err != nil || utf8.ValidString(s) && back != s {
				t.Fatalf("%q is %q in JSON: %v", s, line, err)
			}
			for shown, visible := range map[string]func(rune) bool{Printable(s): strconv.IsGraphic, string(line): strconv.IsPrint} {
				if !utf8.ValidString(shown) || strings.ContainsFunc(shown, func(r rune) bool { return !visible(r) }) {
					t.Fatalf("%q is shown as %q", s, shown)
				}
			}
		}
	}
}

func TestEscapeJSON(t *testing.T) {
	for in, want := range map[string]string{
		"{\"a\":\"plain\"}\n":           "{\"a\":\"plain\"}\n",
		"\"Zoë\u00a0\U0001F600\"\n":     "\"Zoë\\u00a0\U0001F600\"\n",
		"\"\u009b31m\u007f\u202Eevil\"": `"\u009b31m\u007f\u202eevil"`,
		"\"\U000E0001\"":                `"\udb40\udc01"`,
	} {
		if got := string(escapeJSON([]byte(in))); got != want {
			t.Errorf("escapeJSON(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		`per user "a"`:       `per user "a"`,
		"\x1b[31mred\x1b[0m": `\x1b[31mred\x1b[0m`,
		"a\u009b\"b\"":       `a\u009b"b"`,
		"not \xff UTF-8":     `not \xff UTF-8`,
		"two\nlines":         `two\nlines`,
		"\u202eevil":         `\u202eevil`,
		`back\slash`:         `back\slash`,
	} {
		if got := Printable(in); got != want {
			t.Errorf("Printable(%q) = %s, want %s", in, got, want)
		}
	}
}
