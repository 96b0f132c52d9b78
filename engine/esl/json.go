package esl

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"unicode/utf8"
)

// eachJSON reads an event that is a JSON object, and calls put with its strings that are wanted.
//
// It accepts what encoding/json accepts, which a fuzz target checks. encoding/json
// would build a map of boxed values first; this finds the tokens, and leaves to
// encoding/json only those that are wanted and more than plain ASCII.
func eachJSON(text []byte, wanted *headerSet, put func(name string, value []byte)) bool {
	s := scanner{rest: text}
	if !s.take('{') {
		return false
	}
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return false
		}
		token, plain := s.str()
		if token == nil || !s.take(':') {
			return false
		}
		name := unquote(token, plain)
		switch token, plain = s.str(); {
		case token == nil:
			if !s.skip() {
				return false
			}
		default:
			if found := wanted.find(name); found != "" {
				put(found, unquote(token, plain))
			}
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

// str returns the next token in its quotes, and whether it is plain; nil if it is no string.
func (s *scanner) str() (token []byte, plain bool) {
	s.space()
	n, plain := quoted(s.rest)
	if n == 0 {
		return nil, false
	}
	token, s.rest = s.rest[:n], s.rest[n:]
	return token, plain
}

// unquote returns what a string stands for.
func unquote(token []byte, plain bool) []byte {
	if plain {
		return token[1 : len(token)-1]
	}
	text, rest := make([]byte, 0, len(token)), token[1:len(token)-1]
	for {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 && utf8.Valid(rest) {
			return append(text, rest...)
		}
		if i < 0 || rest[i+1] == 'u' || !utf8.Valid(rest[:i]) {
			var whole string
			_ = json.Unmarshal(token, &whole) // quoted has checked it
			return []byte(whole)
		}
		text = append(append(text, rest[:i]...), escaped[rest[i+1]])
		rest = rest[i+2:]
	}
}

// escaped are the characters that an escape sequence of two bytes stands for.
var escaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// quoted returns the length of the string at the start of b, 0 if there is none, and
// whether it is plain: without escapes and non-ASCII.
func quoted(b []byte) (n int, plain bool) {
	if len(b) == 0 || b[0] != '"' {
		return 0, false
	}
	plain = true
	for i := 1; ; i++ {
		for i+8 <= len(b) {
			mark := special(binary.LittleEndian.Uint64(b[i:]))
			i += bits.TrailingZeros64(mark) / 8 // 8 if there is none
			if mark != 0 {
				break
			}
		}
		if i >= len(b) {
			return 0, false
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, plain
		case c == '\\':
			size := escape(b[i:])
			if size == 0 {
				return 0, false
			}
			i += size - 1
			plain = false
		case c < ' ':
			return 0, false
		case c >= utf8.RuneSelf:
			plain = false
		}
	}
}

// special returns a word whose lowest set bit, if any, is in the first byte of w that is not
// plain: a quote, a backslash, a control character or non-ASCII.
func special(w uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^ones*'"', w^ones*'\\'
	return ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*' ')&^w | w) & highs
}

// escape returns the length of the escape sequence at the start of b, 0 if it is invalid.
func escape(b []byte) int {
	switch {
	case len(b) < 2:
	case escaped[b[1]] != 0:
		return 2
	case b[1] == 'u' && len(b) >= 6:
		for _, c := range b[2:6] {
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// skip skips a value that is not a string, such as the array of a repeated header.
func (s *scanner) skip() bool {
	if rest := (scanner{s.rest}); rest.strings() {
		*s = rest
		return true
	}
	decoder := json.NewDecoder(bytes.NewReader(s.rest))
	var value json.RawMessage
	if decoder.Decode(&value) != nil {
		return false
	}
	s.rest = s.rest[decoder.InputOffset():]
	return true
}

// strings skips an array of strings, if it is the next value.
func (s *scanner) strings() bool {
	if !s.take('[') {
		return false
	}
	for first := true; !s.take(']'); first = false {
		if !first && !s.take(',') {
			return false
		}
		if token, _ := s.str(); token == nil {
			return false
		}
	}
	return true
}
