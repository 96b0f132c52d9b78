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

// A headerSet has the names of the headers that are wanted, and bodyName, by their digest; nil: all.
type headerSet [256][]string

func newHeaderSet(wanted []string) *headerSet {
	set := &headerSet{}
	for _, name := range append(slices.Clip(wanted), bodyName) {
		at := &set[digest([]byte(name))]
		if !slices.Contains(*at, name) {
			*at = append(*at, name)
		}
	}
	return set
}

// digest is another one for most other names.
func digest(name []byte) byte {
	if len(name) < 3 {
		return 0
	}
	return byte(len(name)) ^ name[len(name)-1]<<3 ^ name[len(name)-3]<<5 ^ name[len(name)/2]
}

// find returns a name that is wanted, without a copy unless all are; "" if it is not.
func (set *headerSet) find(name []byte) string {
	if set == nil {
		return string(name)
	}
	for _, wanted := range set[digest(name)] {
		if wanted == string(name) {
			return wanted
		}
	}
	return ""
}

// each calls put with the headers of an event or log record that are wanted, in order,
// unescaped and in valid UTF-8; the body, if it is not empty, is bodyName. The bytes are
// valid until put returns. It reports false for other frames, and for an event that cannot
// be decoded, of which put may have had a part.
func (f *frame) each(wanted *headerSet, put func(name string, value []byte)) bool {
	checked := func(name string, value []byte) {
		// Callers can add names that begin with a NUL; FreeSWITCH has none.
		if name != "" && name[0] != 0 && (len(value) > 0 || name != bodyName) {
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

func (f *frame) eachRecord(wanted *headerSet, put func(name string, value []byte)) {
	for line := range bytes.Lines(f.head) {
		name, value := cutLine(line)
		if string(name) != "Content-Type" && string(name) != "Content-Length" {
			put(wanted.find(name), valid(value))
		}
	}
	put(bodyName, valid(bytes.TrimSuffix(f.body, []byte("\n"))))
}

// eachPlain reads an event of "Name: value" lines, which may have a body of its own.
func eachPlain(text []byte, wanted *headerSet, put func(name string, value []byte)) {
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
		found := wanted.find(valid(name))
		if found == "" {
			continue
		}
		switch value = valid(unescape(value)); {
		case bytes.HasPrefix(value, []byte("ARRAY::")):
		case string(value) == "_undef_":
			put(found, nil)
		default:
			put(found, value)
		}
	}
	if length > 0 {
		put(bodyName, valid(text[:min(length, len(text))]))
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
