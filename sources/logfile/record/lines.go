package record

import (
	"bytes"
	"unsafe"
)

// Lines says how input is divided into lines.
type Lines struct {
	MaxLine int  // the longest line that is examined, in bytes
	CRLF    bool // lines end in "\r\n"
}

// Cut takes the first line off the input.
func (l *Lines) Cut(data []byte) (line string, rest []byte) {
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		return l.Line(data), nil
	}
	return l.Line(data[:end]), data[end+1:]
}

// Line returns the bytes of a line, without its line break, as a string. The
// string is valid only until the bytes are written to.
//
// A "\r" is part of the line unless all lines of the input end in it: a line break
// of SIP, which often cuts off a forged line, is "\r\n".
func (l *Lines) Line(data []byte) string {
	if l.CRLF {
		data = bytes.TrimSuffix(data, []byte{'\r'})
	}
	return unsafe.String(unsafe.SliceData(data), len(data))
}

// TooLong reports whether a line is too long to be examined.
func (l *Lines) TooLong(line string) bool { return len(line) > l.MaxLine }

// IsDamage reports whether a line is too long to be part of a message. A folded
// line of an attacker, however long, begins with white space.
func (l *Lines) IsDamage(line string) bool {
	return l.TooLong(line) && line[0] != ' ' && line[0] != '\t'
}
