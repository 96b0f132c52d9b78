package record

import "strings"

// Begins reports whether a line is the first line of a record rather than a further
// line of the message before it. An attacker who can write such a line at the first
// byte can write a whole header too, so accepting it loses nothing.
func Begins(line string) bool {
	if line == "" {
		return false
	}
	switch c := line[0]; {
	case c < ' ' && c != '\t' && c != '\r', c > '~':
		// The log is damaged here: no text begins with such a byte, and a folded line
		// of an attacker begins with a blank.
		return true
	case UUIDLength(line) > 0:
		return true
	case c == 'r' || c == 's':
		return IsTrace(line)
	case c == 'D':
		// FreeSWITCH writes it without a header, and with uuid=false without a UUID.
		return strings.HasPrefix(line, "Dialplan: ")
	case c == 'E':
		return strings.HasPrefix(line, "EXECUTE ")
	}
	_, ok := ParseHeader(line)
	return ok
}

// IsTrace recognises the head of a packet in a SIP trace:
//
//	recv 350 bytes from udp/[192.0.2.205]:44287 at 22:17:45.495001:
//	send 579 bytes to udp/[192.0.2.205]:44287 at 22:17:45.496463:
func IsTrace(line string) bool {
	direction := " bytes from "
	rest, ok := strings.CutPrefix(line, "recv ")
	if !ok {
		direction = " bytes to "
		if rest, ok = strings.CutPrefix(line, "send "); !ok {
			return false
		}
	}
	n := 0
	for n < len(rest) && n < 10 && IsDigit(rest[n]) {
		n++
	}
	if rest, ok = strings.CutPrefix(rest[n:], direction); n == 0 || !ok {
		return false
	}
	n = skipWord(rest[:min(len(rest), 8)], 0)
	return n > 0 && strings.HasPrefix(rest[n:], "/[")
}

// ReceivedLength returns the number of bytes of a received packet in a SIP trace, by
// the head that [IsTrace] recognises.
func ReceivedLength(line string) (length int, ok bool) {
	if !strings.HasPrefix(line, "recv ") || !IsTrace(line) {
		return 0, false
	}
	for i := len("recv "); IsDigit(line[i]); i++ {
		length = length*10 + int(line[i]-'0')
	}
	return length, true
}

// MayBegin reports whether a last line without a line break could be the first part
// of a header, as the last line of a copied log usually is.
func MayBegin(line string) bool {
	const date, uuid = "dddd-dd-dd", "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	return line != "" && (hasShape(line, date) || hasShape(line, uuid))
}

// hasShape compares a line with a shape up to the end of the shorter one. In the
// shape, d is a digit, x a lower-case hexadecimal digit, and - itself.
func hasShape(line, shape string) bool {
	for i := range min(len(line), len(shape)) {
		c := line[i]
		ok := c == '-'
		switch shape[i] {
		case 'd':
			ok = IsDigit(c)
		case 'x':
			ok = IsDigit(c) || c >= 'a' && c <= 'f'
		}
		if !ok {
			return false
		}
	}
	return true
}
