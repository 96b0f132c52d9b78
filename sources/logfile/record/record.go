package record

import (
	"strconv"
	"strings"

	"freeswitch-security/engine/regex"
)

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

// trace is the head of a packet in a SIP trace:
//
//	recv 350 bytes from udp/[192.0.2.205]:44287 at 22:17:45.495001:
//	send 579 bytes to udp/[192.0.2.205]:44287 at 22:17:45.496463:
var trace = regex.New(`^(?:recv (\d{1,10}) bytes from|send \d{1,10} bytes to) \w{1,8}/\[`)

// IsTrace reports whether a line is the head of a packet in a SIP trace.
func IsTrace(line string) bool {
	return (strings.HasPrefix(line, "recv ") || strings.HasPrefix(line, "send ")) && trace.Use().MatchString(line)
}

// ReceivedLength returns the number of bytes of a received packet in a SIP trace, by
// its head.
func ReceivedLength(line string) (length int, ok bool) {
	if !strings.HasPrefix(line, "recv ") || !IsTrace(line) {
		return 0, false
	}
	length, err := strconv.Atoi(trace.Use().FindStringSubmatch(line)[1])
	return length, err == nil
}

// shapes are samples of what a line with a header begins with, and their forms.
var shapes = map[string]*regex.Late{
	"0000-00-00":                           regex.New(`^\d{4}-\d\d-\d\d`),
	"00000000-0000-0000-0000-000000000000": regex.New(`^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}`),
}

// MayBegin reports whether a last line without a line break could be the first part
// of a header, as the last line of a copied log usually is.
func MayBegin(line string) bool {
	for sample, form := range shapes {
		if line != "" && form.Use().MatchString(line+sample[min(len(line), len(sample)):]) {
			return true
		}
	}
	return false
}
