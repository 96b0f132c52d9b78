package message

import (
	"bytes"
	"unicode"
)

// A Kind says what a packet is.
type Kind uint8

// The kinds.
const (
	Garbage   Kind = iota
	Request        // of SIP, or meant to be: Parse says what is wrong with it
	Answer         // of SIP
	KeepAlive      // an empty packet, blanks, NULs, STUN, a short word
	Web            // a request of HTTP
	TLS            // TLS or DTLS
)

// IsSIP reports whether Parse is to read the packet.
func (k Kind) IsSIP() bool { return k == Request || k == Answer }

// maxKeepAlive is the length of the longest word that phones send to keep a NAT open.
const maxKeepAlive = 8

// Classify says what a datagram, or the first piece of a connection, is.
func Classify(b []byte) Kind {
	text := bytes.TrimLeft(b, " \t\r\n\x00")
	if isSTUN(b) || len(text) == 0 || isShortWord(text) {
		return KeepAlive
	}
	if isTLS(b) {
		return TLS
	}
	line := text[:lineEnd(text)]
	if len(line) >= 8 && equalFold(line[:8], "sip/2.0 ") {
		return Answer
	}
	first, rest := word(line)
	switch {
	case !isToken(first) || len(rest) == 0:
	case endsWithProtocol(line, "http/"):
		return Web
	case endsWithProtocol(line, "sip/") || hasSIPScheme(rest):
		return Request
	}
	if hasSIPHeader(text) {
		return Request
	}
	return Garbage
}

func lineEnd(b []byte) int {
	if i := bytes.IndexAny(b, "\r\n\x00"); i >= 0 {
		return i
	}
	return len(b)
}

// isShortWord reports whether b is a keep-alive such as "hello", "jaK" and "0": letters and
// digits, without a line.
func isShortWord(b []byte) bool {
	b = bytes.TrimRight(b, " \t\r\n\x00")
	if len(b) > maxKeepAlive {
		return false
	}
	return len(b) == 1 || !bytes.ContainsFunc(b, func(r rune) bool { return r > 'z' || !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// isSTUN reports whether b is a message of STUN (RFC 5389), or of its older form without the
// magic cookie (RFC 3489).
func isSTUN(b []byte) bool {
	if len(b) < 20 || b[0] > 1 {
		return false
	}
	length := int(b[2])<<8 | int(b[3])
	return string(b[4:8]) == "\x21\x12\xa4\x42" || length == len(b)-20 && length%4 == 0 && b[1]&^0x10 <= 2 && b[1] != 0
}

// isTLS reports whether b begins with a record of TLS or DTLS: its type and its version.
func isTLS(b []byte) bool {
	if len(b) < 3 || b[0] < 20 || b[0] > 23 {
		return false
	}
	return b[1] == 3 && b[2] <= 4 || b[1] == 0xfe && b[2] >= 0xfc
}

// endsWithProtocol reports whether the last word of a line begins with this name.
func endsWithProtocol(line []byte, name string) bool {
	last := line[bytes.LastIndexByte(line, ' ')+1:]
	return len(last) < len(line) && len(last) > len(name) && equalFold(last[:len(name)], name)
}

func hasSIPScheme(b []byte) bool {
	colon := bytes.IndexByte(b, ':')
	return colon > 0 && (equalFold(b[:colon], "sip") || equalFold(b[:colon], "sips") || equalFold(b[:colon], "tel"))
}

// hasSIPHeader reports whether a line of b, but the first, is a header that Parse knows. It is
// so for a piece from the middle of a message.
func hasSIPHeader(b []byte) bool {
	for _, b, ok := bytes.Cut(b, newLine); ok; _, b, ok = bytes.Cut(b, newLine) {
		if colon := bytes.IndexByte(b[:min(len(b), maxName+1)], ':'); colon > 0 && headerOf(b[:colon]) != hOther {
			return true
		}
	}
	return false
}

var newLine = []byte("\n")
