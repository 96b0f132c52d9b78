package config

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// A literal is a text that stands in a file, and knows where each of its
// characters stands there.
type literal struct {
	value string
	rng   hcl.Range // of all of it, with its quotes
	src   []byte    // the whole file

	// places has one entry for each rune of value; it is nil where the file
	// could not be followed.
	places []place
}

// A place is where the source of one character is, in bytes from the beginning
// of the file. It is longer than the character where an escape is written.
type place struct{ from, to int }

// newLiteral finds the places of value, which HCL read from rng.
func newLiteral(src []byte, rng hcl.Range, value string) literal {
	lit := literal{value: value, rng: rng, src: src}
	raw := rng.SliceBytes(src)
	w := walker{raw: raw}
	switch {
	case strings.HasSuffix(rng.Filename, ".json"):
		w.quoted(jsonEscapes, false)
	case bytes.HasPrefix(raw, []byte("<<")):
		w.heredoc()
	default:
		w.quoted(nativeEscapes, true)
	}
	if w.value.String() != value {
		// HCL brings texts into Unicode's composed form; then the characters no
		// longer correspond, and only the whole can be pointed at.
		return lit
	}
	for i := range w.places {
		w.places[i].from += rng.Start.Byte
		w.places[i].to += rng.Start.Byte
	}
	lit.places = w.places
	return lit
}

// between is the range in the file of the runes from and up to, but not
// including, to.
func (lit literal) between(from, to int) hcl.Range {
	n := len(lit.places)
	if n == 0 {
		return lit.rng
	}
	from = max(0, min(from, n))
	to = max(from, min(to, n))
	begin, end := lit.places[n-1].to, lit.places[n-1].to
	if from < n {
		begin, end = lit.places[from].from, lit.places[from].from
	}
	if to > from {
		end = lit.places[to-1].to
	}
	start := positionAt(lit.src, lit.rng.Start, begin)
	return hcl.Range{Filename: lit.rng.Filename, Start: start, End: positionAt(lit.src, start, end)}
}

// A walker reads the source of a text again, noting where each character is.
type walker struct {
	raw    []byte
	value  strings.Builder
	places []place
}

// put notes that raw[from:to] stands for r.
func (w *walker) put(r rune, from, to int) {
	w.value.WriteRune(r)
	w.places = append(w.places, place{from, to})
}

// plain takes the character at i as it is and gives the index behind it.
func (w *walker) plain(i int) int {
	r, size := utf8.DecodeRune(w.raw[i:])
	w.put(r, i, i+size)
	return i + size
}

// doubled takes $${ or %%{ at i, which stand for ${ and %{.
func (w *walker) doubled(i int) (next int, ok bool) {
	if rest := w.raw[i:]; bytes.HasPrefix(rest, []byte("$${")) || bytes.HasPrefix(rest, []byte("%%{")) {
		w.put(rune(rest[0]), i, i+2)
		w.put('{', i+2, i+3)
		return i + 3, true
	}
	return i, false
}

// The escapes of texts in quotes, beside those of code points.
var (
	nativeEscapes = map[byte]rune{'n': '\n', 'r': '\r', 't': '\t', '"': '"', '\\': '\\'}
	jsonEscapes   = map[byte]rune{'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'f': '\f', '"': '"', '\\': '\\', '/': '/'}
)

// quoted walks over a text in quotes. In HCL's own syntax, template signs may be doubled.
func (w *walker) quoted(escapes map[byte]rune, native bool) {
	for i := 1; i < len(w.raw)-1; {
		if native {
			if next, ok := w.doubled(i); ok {
				i = next
				continue
			}
		}
		if w.raw[i] != '\\' {
			i = w.plain(i)
			continue
		}
		c, width := w.raw[i+1], 2
		r := escapes[c]
		if c == 'u' || c == 'U' {
			if r, width = w.codePoint(i); width == 0 {
				return
			}
		}
		w.put(r, i, i+width)
		i += width
	}
}

// codePoint reads \u00e9, \U000000e9 or a pair of surrogates at i, and returns its length;
// 0 if it is none of them.
func (w *walker) codePoint(i int) (r rune, width int) {
	const short, long = len(`\u00e9`), len(`\U000000e9`)
	width = short
	if w.raw[i+1] == 'U' {
		width = long
	}
	r, ok := w.hex(i+2, i+width)
	if !ok {
		return 0, 0
	}
	if utf16.IsSurrogate(r) { // a pair is one character; half a pair is none
		second, _ := w.hex(i+short+2, i+2*short)
		if r = utf16.DecodeRune(r, second); r != unicode.ReplacementChar {
			width = 2 * short
		}
	}
	return r, width
}

// hex reads the digits from one index to another.
func (w *walker) hex(from, to int) (rune, bool) {
	if to > len(w.raw) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(w.raw[from:to]), 16, 32)
	return rune(n), err == nil
}

// heredoc walks over the lines between the two markers. The form <<- takes off
// as much indentation as all lines have; blank lines do not count.
func (w *walker) heredoc() {
	begin := bytes.IndexByte(w.raw, '\n') + 1
	end := bytes.LastIndexByte(w.raw, '\n') + 1 // the last line is the closing marker
	if begin == 0 || end < begin {
		return
	}
	lines := bytes.SplitAfter(w.raw[begin:end], []byte{'\n'})
	indent := 0
	if bytes.HasPrefix(w.raw, []byte("<<-")) {
		indent = commonIndent(lines)
	}
	at := begin
	for _, line := range lines {
		i, stop := at, at+len(line)
		if !isBlank(line) {
			for range indent {
				_, size := utf8.DecodeRune(w.raw[i:])
				i += size
			}
		}
		for i < stop {
			next, ok := w.doubled(i)
			if !ok {
				next = w.plain(i)
			}
			i = next
		}
		at = stop
	}
}

// commonIndent counts the spaces that begin every line that is not blank.
func commonIndent(lines [][]byte) int {
	least := -1
	for _, line := range lines {
		if isBlank(line) {
			continue
		}
		spaces := 0
		for _, r := range string(line) {
			if !unicode.IsSpace(r) {
				break
			}
			spaces++
		}
		if least < 0 || spaces < least {
			least = spaces
		}
	}
	return max(least, 0)
}

func isBlank(line []byte) bool { return len(bytes.TrimSpace(line)) == 0 }
