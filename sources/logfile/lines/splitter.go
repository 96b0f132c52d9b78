package lines

import (
	"bytes"
	"unsafe"
)

// A Splitter says how input is divided into lines.
type Splitter struct {
	MaxLine int  // the longest line that is examined, in bytes
	CRLF    bool // lines end in "\r\n"
}

// Cut takes the first line off the input.
func (s *Splitter) Cut(data []byte) (line string, rest []byte) {
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		return s.Line(data), nil
	}
	return s.Line(data[:end]), data[end+1:]
}

// Line returns the bytes of a line, without its line break, as a string. The
// string is valid only until the bytes are written to.
//
// A "\r" is part of the line unless all lines of the input end in it: a line break
// of SIP, which often cuts off a forged line, is "\r\n".
func (s *Splitter) Line(data []byte) string {
	if s.CRLF {
		data = bytes.TrimSuffix(data, []byte{'\r'})
	}
	return unsafe.String(unsafe.SliceData(data), len(data))
}

// TooLong reports whether a line is too long to be examined.
func (s *Splitter) TooLong(line string) bool { return len(line) > s.MaxLine }
