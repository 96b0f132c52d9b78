package terminal

import "testing"

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
