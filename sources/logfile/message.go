package logfile

import (
	"bytes"
	"strings"
	"unsafe"
)

// A message is a line with a header and the lines that follow it, up to the next
// record. Where FreeSWITCH itself writes no further lines, there is something in
// the message that a caller wrote, with a line break in it, and then the first
// line is not what it seems.

// furtherLines are the messages of several lines, by how their first one begins.
var furtherLines = []struct {
	begins string
	lines  []pattern
}{
	{"Can't find user [", []pattern{
		fixedText(`You must define a domain called '<domain>' in your directory and add a user with the id="<user>" attribute`),
		fixedText("and you must configure your device to use the proper domain in its authentication credentials."),
	}},
}

func fixedText(line string) pattern {
	p, problems := compile("", line)
	if len(problems) > 0 {
		panic("logfile: built-in text " + line + ": " + problems[0].detail)
	}
	return p
}

// expected gives the further lines that FreeSWITCH writes after a first one.
func expected(msg string) []pattern {
	for _, f := range furtherLines {
		if strings.HasPrefix(msg, f.begins) {
			return f.lines
		}
	}
	return nil
}

// beginsRecord reports whether a line is the first of something that FreeSWITCH
// wrote, rather than a further line of the message before it. A caller who can
// write such a line at column 0 can write a whole header as well, so that
// nothing is lost by believing it.
func beginsRecord(line string) bool {
	if line == "" {
		return false
	}
	switch c := line[0]; {
	case c < ' ' && c != '\t' && c != '\r', c > '~':
		// Nothing begins so that was meant to be read: the log is damaged here. A
		// caller's folded line begins with a blank.
		return true
	case uuidLength(line) > 0:
		return true
	case c == 'r' || c == 's':
		return isTrace(line)
	case c == 'D':
		// Written without a header, and without the UUID if the log has uuid=false.
		return strings.HasPrefix(line, "Dialplan: ")
	case c == 'E':
		return strings.HasPrefix(line, "EXECUTE ")
	}
	_, ok := parseHeader(line)
	return ok
}

// isTrace recognises the head of a packet in a SIP trace:
//
//	recv 350 bytes from udp/[192.0.2.205]:44287 at 22:17:45.495001:
//	send 579 bytes to udp/[192.0.2.205]:44287 at 22:17:45.496463:
func isTrace(line string) bool {
	direction := " bytes from "
	rest, ok := strings.CutPrefix(line, "recv ")
	if !ok {
		direction = " bytes to "
		if rest, ok = strings.CutPrefix(line, "send "); !ok {
			return false
		}
	}
	n := 0
	for n < len(rest) && n < 10 && isDigit(rest[n]) {
		n++
	}
	if rest, ok = strings.CutPrefix(rest[n:], direction); n == 0 || !ok {
		return false
	}
	n = 0
	for n < len(rest) && n < 8 && isWord(rest[n]) {
		n++
	}
	return n > 0 && strings.HasPrefix(rest[n:], "/[")
}

// explained reports whether every further line of a message is one that
// FreeSWITCH writes after its first line msg. rest is the input behind that
// line. A prefixed message ends at the next prefix, whoever wrote that line.
func (l *limits) explained(msg string, rest []byte, prefixed bool) bool {
	want := expected(msg)
	for len(rest) > 0 {
		var line string
		finished := bytes.IndexByte(rest, '\n') >= 0
		line, rest = l.cut(rest)
		if beginsRecord(line) || !finished && mayBeginRecord(line) || l.isDamage(line) {
			return true
		}
		if prefixed {
			if _, n := parsePrefix(line); n > 0 {
				return true
			}
		}
		if len(want) == 0 || len(line) > l.maxLine || want[0].match(line, &match{}) != matches {
			return false
		}
		want = want[1:]
	}
	return true
}

// mayBeginRecord reports whether a last line without a line break could be the
// first part of a header, as the last line of a copied log mostly is.
func mayBeginRecord(line string) bool {
	const date, uuid = "dddd-dd-dd", "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	return line != "" && (hasShape(line, date) || hasShape(line, uuid))
}

// hasShape compares a line with a shape, as far as both go: d is a digit, x a
// hexadecimal one, anything else itself.
func hasShape(line, shape string) bool {
	for i := range min(len(line), len(shape)) {
		c := line[i]
		switch shape[i] {
		case 'd':
			if !isDigit(c) {
				return false
			}
		case 'x':
			if !isDigit(c) && (c < 'a' || c > 'f') {
				return false
			}
		default:
			if c != shape[i] {
				return false
			}
		}
	}
	return true
}

// isDamage reports whether a line is too long to have been written by anybody. A
// caller's folded line, however long, begins with a blank.
func (l *limits) isDamage(line string) bool {
	return len(line) > l.maxLine && line[0] != ' ' && line[0] != '\t'
}

// limits says how the input is divided into lines.
type limits struct {
	maxLine int  // the longest line that is looked at, in bytes
	crlf    bool // lines end in "\r\n"
	piece   int  // the unit of how much around a line is looked at, in bytes; 0: nothing
}

// cut takes the first line off the input.
func (l *limits) cut(data []byte) (line string, rest []byte) {
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		return l.line(data), nil
	}
	return l.line(data[:end]), data[end+1:]
}

// line gives the bytes of a line, without its line break, as a string. The
// string is only valid as long as the bytes are not written to.
//
// A "\r" is part of the line, unless all lines of the recording end in it: a
// forged line is often cut off by a line break of SIP, which is "\r\n".
func (l *limits) line(data []byte) string {
	if l.crlf {
		data = bytes.TrimSuffix(data, []byte{'\r'})
	}
	return unsafe.String(unsafe.SliceData(data), len(data))
}
