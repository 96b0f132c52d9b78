package esl

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strconv"
	"unicode/utf8"
)

// bodyName is FreeSWITCH's name of the body among the headers of a JSON event, and
// that of every body within this package.
const bodyName = "_body"

// A headerSet has the names of the headers that are wanted, and bodyName; nil: all.
type headerSet struct {
	text  map[string]string // by itself: the bytes of a frame need no copy
	maybe [256]bool         // by digest: most headers are not wanted, and not looked up
}

func newHeaderSet(wanted []string) *headerSet {
	n := &headerSet{text: map[string]string{}}
	for _, name := range append(slices.Clip(wanted), bodyName) {
		n.text[name] = name
		n.maybe[digest([]byte(name))] = true
	}
	return n
}

// digest is another one for most other names.
func digest(name []byte) byte {
	if len(name) < 3 {
		return 0
	}
	return byte(len(name)) ^ name[len(name)-1]<<3 ^ name[len(name)-3]<<5 ^ name[len(name)/2]
}

func (n *headerSet) has(name []byte) bool {
	if n == nil {
		return true
	}
	return n.maybe[digest(name)] && n.text[string(name)] != ""
}

// each calls put with the headers of an event or log record that are wanted, in order,
// unescaped and in valid UTF-8; the body, if it is not empty, is bodyName. The bytes are
// valid until put returns. It reports false for other frames, and for an event that cannot
// be decoded, of which put may have had a part.
func (f *frame) each(wanted *headerSet, put func(name, value []byte)) bool {
	checked := func(name, value []byte) {
		// Callers can add names that begin with a NUL; FreeSWITCH has none.
		if len(name) > 0 && name[0] != 0 && (len(value) > 0 || string(name) != bodyName) {
			put(name, value)
		}
	}
	switch f.kind {
	case kindJSON:
		return eachJSON(f.body, wanted, checked)
	case kindPlain:
		eachPlain(f.body, wanted, checked)
		return true
	case kindRecord:
		f.eachRecord(wanted, checked)
		return true
	}
	return false
}

func (f *frame) eachRecord(wanted *headerSet, put func(name, value []byte)) {
	for line := range bytes.Lines(f.head) {
		name, value := cutLine(line)
		if string(name) != "Content-Type" && string(name) != "Content-Length" && wanted.has(name) {
			put(name, valid(value))
		}
	}
	put([]byte(bodyName), valid(bytes.TrimSuffix(f.body, []byte("\n"))))
}

// eachPlain reads an event of "Name: value" lines, which may have a body of its own.
func eachPlain(text []byte, wanted *headerSet, put func(name, value []byte)) {
	length := 0
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		if len(line) == 0 {
			break
		}
		name, value := cutLine(line)
		if string(name) == "Content-Length" {
			length, _ = strconv.Atoi(string(value))
		}
		if !wanted.has(name) {
			continue
		}
		switch value = valid(unescape(value)); {
		case bytes.HasPrefix(value, []byte("ARRAY::")):
		case string(value) == "_undef_":
			put(valid(name), nil)
		default:
			put(valid(name), value)
		}
	}
	if length > 0 {
		put([]byte(bodyName), valid(text[:min(length, len(text))]))
	}
}

// unescape replaces each %XX by its byte. An invalid sequence stays as it is.
func unescape(b []byte) []byte {
	i := bytes.IndexByte(b, '%')
	if i < 0 {
		return b
	}
	plain := append(make([]byte, 0, len(b)), b[:i]...)
	var c [1]byte
	for ; i < len(b); i++ {
		c[0] = b[i]
		if c[0] == '%' && i+2 < len(b) {
			if _, err := hex.Decode(c[:], b[i+1:i+3]); err == nil {
				i += 2
			}
		}
		plain = append(plain, c[0])
	}
	return plain
}

// valid replaces each byte of invalid UTF-8 by U+FFFD, as encoding/json does.
func valid(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return []byte(string([]rune(string(b))))
}
