package esl

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// bodyName is what FreeSWITCH calls an event's body among its headers in JSON,
// and what every body is called on its way through the decoders.
const bodyName = "_body"

// each hands the headers of an event or log record to put, unescaped and in valid
// UTF-8, in the order in which they stand there; a body that is not empty comes as
// bodyName. The bytes are good until put returns. It reports false for every other
// kind of frame, and for an event that cannot be read, of which put may have had a
// part.
func (f *frame) each(put func(name, value []byte)) bool {
	checked := func(name, value []byte) {
		// No name of FreeSWITCH's begins with a NUL; the wire has some that do.
		if len(name) > 0 && name[0] != 0 && (len(value) > 0 || string(name) != bodyName) {
			put(name, value)
		}
	}
	switch f.kind {
	case kindJSON:
		return eachJSON(f.body, checked)
	case kindPlain:
		eachPlain(f.body, checked)
		return true
	case kindRecord:
		f.eachRecord(checked)
		return true
	}
	return false
}

func (f *frame) eachRecord(put func(name, value []byte)) {
	for line := range bytes.Lines(f.head) {
		name, value := cutLine(line)
		if string(name) != "Content-Type" && string(name) != "Content-Length" {
			put(name, valid(value))
		}
	}
	put([]byte(bodyName), valid(bytes.TrimSuffix(f.body, []byte("\n"))))
}

// eachPlain reads an event of "Name: value" lines, which may have a body of its own.
func eachPlain(text []byte, put func(name, value []byte)) {
	length := 0
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		if len(line) == 0 {
			break
		}
		name, value := cutLine(line)
		if name == nil {
			continue
		}
		if string(name) == "Content-Length" {
			length, _ = strconv.Atoi(string(value))
		}
		switch value = valid(unescape(value)); {
		case string(value) == "_undef_":
			value = nil
		case bytes.HasPrefix(value, []byte("ARRAY::")):
			continue
		}
		put(valid(name), value)
	}
	if length > 0 {
		put([]byte(bodyName), valid(text[:min(length, len(text))]))
	}
}

// unescape replaces %XX by the byte that it stands for. What is no such sequence
// stays as it is.
func unescape(b []byte) []byte {
	i := bytes.IndexByte(b, '%')
	if i < 0 {
		return b
	}
	plain := append(make([]byte, 0, len(b)), b[:i]...)
	for ; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			if hi, lo := nibble(b[i+1]), nibble(b[i+2]); hi >= 0 && lo >= 0 {
				plain = append(plain, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		plain = append(plain, b[i])
	}
	return plain
}

// nibble returns the value of a hexadecimal digit, -1 for anything else.
func nibble(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c - 'a' + 10)
	case c >= 'A' && c <= 'F':
		return int(c - 'A' + 10)
	}
	return -1
}

// valid replaces every byte that is not UTF-8 by U+FFFD, as encoding/json does.
func valid(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return []byte(string([]rune(string(b))))
}

// eachJSON reads an event that is a JSON object. Only its strings count.
//
// encoding/json would build a map of boxed values first; this finds the limits of
// the tokens and leaves to encoding/json those that are more than plain ASCII.
// What the two accept is the same, and a fuzz target holds them to it.
func eachJSON(text []byte, put func(name, value []byte)) bool {
	s := scanner{rest: text}
	if !s.take('{') {
		return false
	}
	if s.take('}') {
		return s.ended()
	}
	for {
		name, ok := s.str()
		if !ok || !s.take(':') {
			return false
		}
		if value, ok := s.str(); ok {
			put(name, value)
		} else if !s.skip() {
			return false
		}
		if s.take('}') {
			return s.ended()
		}
		if !s.take(',') {
			return false
		}
	}
}

// A scanner finds the tokens of a JSON text.
type scanner struct{ rest []byte }

func (s *scanner) space() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\n' || s.rest[0] == '\t' || s.rest[0] == '\r') {
		s.rest = s.rest[1:]
	}
}

// take passes over one byte of punctuation, if it is the next.
func (s *scanner) take(c byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) ended() bool {
	s.space()
	return len(s.rest) == 0
}

// str returns the string that is the next token, unquoted.
func (s *scanner) str() ([]byte, bool) {
	s.space()
	n, plain := quoted(s.rest)
	if n == 0 {
		return nil, false
	}
	token := s.rest[:n]
	if plain {
		s.rest = s.rest[n:]
		return token[1 : n-1], true
	}
	var text string
	if json.Unmarshal(token, &text) != nil {
		return nil, false
	}
	s.rest = s.rest[n:]
	return []byte(text), true
}

// quoted returns the length of the string with which b begins, 0 if there is none,
// and whether what it holds stands for itself.
func quoted(b []byte) (n int, plain bool) {
	if len(b) == 0 || b[0] != '"' {
		return 0, false
	}
	plain = true
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1, plain
		case c == '\\':
			i++
			plain = false
		case c < ' ' || c >= utf8.RuneSelf:
			plain = false
		}
	}
	return 0, false
}

// skip passes over a value that is no string.
func (s *scanner) skip() bool {
	depth := 0
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			n, _ := quoted(s.rest[i:])
			if n == 0 {
				return false
			}
			i += n - 1
		case c == '[' || c == '{':
			depth++
		case depth > 0 && (c == ']' || c == '}'):
			depth--
		case depth == 0 && (c == ',' || c == '}'):
			value := s.rest[:i]
			s.rest = s.rest[i:]
			return json.Valid(value)
		}
	}
	return false
}
