package lines

import "bytes"

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
