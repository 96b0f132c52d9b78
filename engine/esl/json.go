package esl

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// eachJSON reads an event that is a JSON object, and calls put with its strings.
//
// It accepts what encoding/json accepts, which a fuzz target checks. encoding/json
// would build a map of boxed values first; this finds the tokens, and leaves to
// encoding/json only those that are more than plain ASCII.
func eachJSON(text []byte, put func(name, value []byte)) bool {
	s := scanner{rest: text}
	if !s.take('{') {
		return false
	}
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return false
		}
		name, ok := s.str()
		if !ok || !s.take(':') {
			return false
		}
		if value, ok := s.str(); ok {
			put(name, value)
		} else if !s.skip() {
			return false
		}
	}
	s.space()
	return len(s.rest) == 0
}

// A scanner finds the tokens of a JSON text.
type scanner struct{ rest []byte }

func (s *scanner) space() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\n' || s.rest[0] == '\t' || s.rest[0] == '\r') {
		s.rest = s.rest[1:]
	}
}

// take skips one byte of punctuation, if it is the next.
func (s *scanner) take(c byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// str returns the next token unquoted, if it is a string.
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

// quoted returns the length of the string at the start of b, 0 if there is none, and
// whether it is plain: without escapes, control characters and non-ASCII.
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

// skip skips a value that is not a string, such as the array of a repeated header.
func (s *scanner) skip() bool {
	decoder := json.NewDecoder(bytes.NewReader(s.rest))
	var value json.RawMessage
	if decoder.Decode(&value) != nil {
		return false
	}
	s.rest = s.rest[decoder.InputOffset():]
	return true
}
