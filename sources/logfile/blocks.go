package logfile

import (
	"bytes"
	"context"
	"io"
)

// A block is a piece of the recording that can be decoded by itself: it begins
// where a record begins, and the messages in it are whole.
type block struct {
	limits
	lead  []byte // what stands before data, and behind it: as much as is looked at around a line
	data  []byte
	trail []byte
	read  int64 // how much of the recording was read when it was full
	plan  *plan

	// What the decoder makes of it.
	findings []finding
	lines    int64
	skipped  int64
	doubted  int64
	known    bool          // a line in it has a header
	year     int           // of the last line that told one, where years are needed; 0: none did
	done     chan struct{} // has room for one
}

// blocks divides a recording into blocks. The lines in them are whole but for
// those that are too long to be looked at: they are cut off where that is plain,
// so that a line of any length takes no more memory.
type blocks struct {
	limits
	r    io.Reader
	size int // how many bytes are read at a time

	carry    []byte // what was read behind the last block
	lead     []byte // the end of the last block
	started  bool   // the first line break was seen, and crlf is known
	skipping bool   // inside a line that is too long, behind what is kept of it
	dropped  byte   // the last byte of it so far
	end      error  // why there is nothing more to read: io.EOF or an error
	bytes    int64
}

// longest is how long a line may be, with its "\r", to be kept whole.
func (b *blocks) longest() int { return b.maxLine + 1 }

// overlap is how far back from the end of what was read the beginning of a
// record is looked for. It has room for a message that is as long as one can be
// before it is refused (its first line and one more than the two further lines
// that FreeSWITCH writes), and for a line that was not read to its end. So where
// no record begins in it, the block may end behind any line.
func (b *blocks) overlap() int { return 5 * (b.longest() + 2) }

// newBlock makes a block with the room that next needs.
func (b *blocks) newBlock() *block {
	return &block{
		lead: make([]byte, 0, b.before()), data: make([]byte, 0, b.size+b.overlap()+b.behind()+1), trail: make([]byte, 0, b.behind()),
		done: make(chan struct{}, 1),
	}
}

// next fills the block and reports whether anything was left to fill it with.
// The rest of a line that an error of reading cut off is left out: what is there
// of an address may be another address.
func (b *blocks) next(ctx context.Context, into *block) bool {
	data := append(into.data[:0], b.carry...)
	b.carry = b.carry[:0]
	for b.end == nil {
		data = b.read(ctx, data)
		if b.skipping || b.end != nil {
			continue
		}
		edge := len(data) - b.behind() // what is behind it is looked at with what is before
		if at := b.lastRecord(data, edge); at > 0 {
			b.fill(into, data[:at], data[at:])
			return true
		}
		if edge < b.overlap() {
			continue
		}
		at := bytes.LastIndexByte(data[:edge], '\n') + 1
		if edge-at <= b.longest() {
			b.fill(into, data[:at], data[at:])
			return true
		}
		b.fillCut(into, data, at+b.longest()+1)
		return true
	}
	if b.end != io.EOF {
		data = data[:bytes.LastIndexByte(data, '\n')+1]
	}
	b.fill(into, data, nil)
	return len(data) > 0
}

// fillCut puts data into the block up to a place in a line that is too long, whose
// rest is left out.
func (b *blocks) fillCut(into *block, data []byte, at int) {
	var carry []byte
	if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
		carry = data[at+i+1:]
	} else {
		b.skipping, b.dropped = true, data[len(data)-1]
	}
	b.fill(into, append(data[:at], '\n'), carry)
}

// fill puts data into the block and keeps carry for the next one.
func (b *blocks) fill(into *block, data, carry []byte) {
	into.limits, into.data, into.read = b.limits, data, b.bytes
	b.carry = append(b.carry, carry...)
	into.lead = append(into.lead[:0], b.lead...)
	into.trail = append(into.trail[:0], carry[:min(len(carry), b.behind())]...)
	if b.piece > 0 {
		b.lead = append(b.lead, data[max(0, len(data)-b.before()):]...)
		b.lead = append(b.lead[:0], b.lead[max(0, len(b.lead)-b.before()):]...)
	}
}

// read appends what it reads to data, up to size bytes of it.
func (b *blocks) read(ctx context.Context, data []byte) []byte {
	old := len(data)
	buf := data[old : old+b.size]
	n := 0
	for n < len(buf) && b.end == nil {
		if b.end = ctx.Err(); b.end != nil {
			break
		}
		var got int
		got, b.end = b.r.Read(buf[n:])
		n += got
	}
	b.bytes += int64(n)
	data = data[:old+n]
	if b.skipping {
		return b.skip(data)
	}
	if i := bytes.IndexByte(data, '\n'); !b.started && i >= 0 {
		b.started, b.crlf = true, i > 0 && data[i-1] == '\r'
	}
	return data
}

// skip leaves out the rest of a line that is too long.
func (b *blocks) skip(data []byte) []byte {
	i := bytes.IndexByte(data, '\n')
	if i > 0 {
		b.dropped = data[i-1]
	}
	if i < 0 {
		if len(data) > 0 {
			b.dropped = data[len(data)-1]
		}
		return data[:0]
	}
	b.skipping = false
	if !b.started {
		b.started, b.crlf = true, b.dropped == '\r'
	}
	return data[:copy(data, data[i+1:])]
}

// lastRecord finds the last line in the overlap before edge that begins a record; 0
// if there is none.
func (b *blocks) lastRecord(data []byte, edge int) int {
	low := max(0, edge-b.overlap())
	for end := edge; end > low; {
		at := bytes.LastIndexByte(data[low:end], '\n')
		if at < 0 {
			return 0
		}
		at += low
		if line, _ := b.cut(data[at+1:]); beginsRecord(line) {
			return at + 1
		}
		end = at
	}
	return 0
}
