package config

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"freeswitch-security/engine/regex"

	"github.com/hashicorp/hcl/v2"
)

// A literal is a text that stands in a file.
type literal struct {
	value string
	rng   hcl.Range // of all of it, with its quotes
	src   []byte    // the whole file
}

// between is the range in the file of the runes from and up to, but not including, to.
func (lit literal) between(from, to int) hcl.Range {
	starts := lit.starts()
	if len(starts) < 2 { // unknown, or an empty text
		return lit.rng
	}
	last := len(starts) - 1
	start := positionAt(lit.src, lit.rng.Start, starts[min(from, last)])
	return hcl.Range{Filename: lit.rng.Filename, Start: start, End: positionAt(lit.src, start, starts[min(to, last)])}
}

// The units of a text's source. Most are one character; the others stand for one or two.
var (
	jsonUnit    = regex.New(`(?s)\\u[dD][89abAB]..\\u....|\\u....|\\.|.`)
	quotedUnit  = regex.New(`(?s)\\u.{4}|\\U.{8}|\\.|\$\$\{|%%\{|.`)
	heredocUnit = regex.New(`(?s)\$\$\{|%%\{|.`)
)

// starts returns where in the file each rune of the value begins, and where the value
// ends. It is nil if the source cannot be followed: HCL brings texts into Unicode's
// composed form.
func (lit literal) starts() []int {
	raw := lit.rng.SliceBytes(lit.src)
	unit, begin := quotedUnit, 1
	switch {
	case strings.HasSuffix(lit.rng.Filename, ".json"):
		unit = jsonUnit
	case bytes.HasPrefix(raw, []byte("<<")):
		unit, begin = heredocUnit, bytes.IndexByte(raw, '\n')+1
	}
	var starts []int
	rest := lit.value
	for _, at := range unit.Use().FindAllIndex(raw[begin:], -1) {
		start := lit.rng.Start.Byte + begin + at[0]
		if rest == "" { // this is the closing quote or marker
			return append(starts, start)
		}
		source := string(raw[begin+at[0] : begin+at[1]])
		text := decodeUnit(source, unit)
		switch {
		case strings.HasPrefix(rest, text):
			for range text {
				starts = append(starts, start)
			}
			rest = rest[len(text):]
		case strings.TrimSpace(source) != "": // <<- takes off indentation
			return nil
		}
	}
	return nil
}

// decodeUnit returns what a unit stands for.
func decodeUnit(source string, unit *regex.Late) (text string) {
	switch {
	case unit == jsonUnit:
		json.Unmarshal([]byte(`"`+source+`"`), &text)
	case len(source) == len("$${") && source[2] == '{':
		text = source[1:]
	case unit == quotedUnit && source[0] == '\\':
		text, _ = strconv.Unquote(`"` + source + `"`)
	default:
		text = source
	}
	return text
}
