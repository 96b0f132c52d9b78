package message

import (
	"bytes"
	"math"
)

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
func isSpace(c byte) bool { return isBlank(c) || c == '\r' || c == '\n' }

func trimLeft(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	return b
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func trim(b []byte) []byte { return trimRight(trimLeft(b)) }

// word returns what precedes the first white space, and what follows that.
func word(b []byte) (first, rest []byte) {
	for i, c := range b {
		if isSpace(c) {
			return b[:i], trimLeft(b[i:])
		}
	}
	return b, nil
}

// number reads digits, and returns what follows them. It returns -1 if there is none, or if the
// number is out of range.
func number(b []byte) (n int, rest []byte) {
	i := 0
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		if n = n*10 + int(b[i]-'0'); n > math.MaxUint32 {
			return -1, b
		}
		i++
	}
	if i == 0 {
		return -1, b
	}
	return n, b[i:]
}

// equalFold compares b to a word in lower case.
func equalFold(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i, c := range b {
		if lower(c) != word[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// before returns what precedes the first of stops.
func before(b []byte, stops string) []byte {
	if i := bytes.IndexAny(b, stops); i >= 0 {
		return b[:i]
	}
	return b
}

// quoted returns the length of the quoted string with which b begins; all of b if it has no end.
func quoted(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// unquote returns what is between quotes. Like FreeSWITCH it drops all quotes at the beginning,
// and ends at the next: escapes do not count.
func unquote(b []byte) []byte {
	if len(b) == 0 || b[0] != '"' {
		return trimRight(before(b, `"`))
	}
	for len(b) > 0 && b[0] == '"' {
		b = b[1:]
	}
	return before(b, `"`)
}

// tokens are the bytes of a token (RFC 3261, section 25.1).
var tokens = func() (t [256]bool) {
	for c := '0'; c <= 'z'; c++ {
		t[c] = c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c
	}
	for _, c := range "-.!%*_+`'~" {
		t[c] = true
	}
	return t
}()

func isToken(b []byte) bool {
	for _, c := range b {
		if !tokens[c] {
			return false
		}
	}
	return len(b) > 0
}
