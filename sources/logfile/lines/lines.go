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

// A Buffer collects what is read of a log. It learns from the first line how lines
// end, and leaves out the rest of a line that is too long.
type Buffer struct {
	Splitter
	Log []byte

	learned  bool // the first line break was read, so that CRLF is known
	skipping bool // inside a line whose rest is left out
	last     byte // the last byte that was read
}

// Add takes over Log[from:], which was just read.
func (b *Buffer) Add(from int) {
	fresh := b.Log[from:]
	b.Learn(fresh)
	if !b.skipping {
		return
	}
	i := bytes.IndexByte(fresh, '\n')
	if b.skipping = i < 0; b.skipping {
		i = len(fresh) - 1
	}
	b.Log = b.Log[:from+copy(fresh, fresh[i+1:])]
}

// Learn finds out how lines end, from data that follows what was read before.
func (b *Buffer) Learn(data []byte) {
	if b.learned || len(data) == 0 {
		return
	}
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		if i > 0 {
			b.last = data[i-1]
		}
		b.learned, b.CRLF = true, b.last == '\r'
	}
	b.last = data[len(data)-1]
}

// Skip leaves out the rest of the line that what was read ends in.
func (b *Buffer) Skip() { b.skipping = true }

// Skipping reports whether the rest of a line is being left out.
func (b *Buffer) Skipping() bool { return b.skipping }
