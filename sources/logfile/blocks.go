package logfile

import (
	"bytes"
	"context"
	"io"

	"freeswitch-security/sources/logfile/pattern"
	"freeswitch-security/sources/logfile/record"
)

// A block is a part of the log that can be decoded by itself: it begins where a
// record begins, and the messages in it are whole.
type block struct {
	lead  []byte // what stands before data, as much as a judgement needs
	data  []byte
	trail []byte // what stands behind data, the same
	crlf  bool
	read  int64 // how much of the recording was read when it was full
	plan  *pattern.Plan

	// What the scanner finds.
	findings   []finding
	lines      int64
	skipped    int64
	doubted    int64
	recognised bool          // a line in it has a header
	year       int           // of the last line that has one, if years are needed; 0: none has
	done       chan struct{} // has room for one
}

// blocks divides a recording into blocks. Lines that are too long to be examined are
// cut off as soon as that is known, so that a line of any length takes no more memory.
type blocks struct {
	record.Lines
	before, behind int // how much of the log around a line a judgement needs, in bytes
	r              io.Reader
	size           int // how many bytes are read at a time

	carry    []byte // what was read behind the last block
	lead     []byte // the end of the last block
	started  bool   // the first line break was read, so that CRLF is known
	skipping bool   // inside a line that is too long, behind what is kept of it
	dropped  byte   // the last byte of it so far
	end      error  // why there is nothing more to read: io.EOF or an error
	bytes    int64
}

// longest is how long a line may be, with its "\r", to be kept whole.
func (b *blocks) longest() int { return b.MaxLine + 1 }

// overlap is how far back from the end of what was read the beginning of a record is
// searched for. It has room for the longest message (its first line and one more than
// the two further lines that FreeSWITCH writes) and for an unfinished line. If no
// record begins in it, the block may end behind any line.
func (b *blocks) overlap() int { return 5 * (b.longest() + 2) }

// newBlock makes a block with the room that next needs.
func (b *blocks) newBlock() *block {
	return &block{
		lead: make([]byte, 0, b.before), data: make([]byte, 0, b.size+b.overlap()+b.behind+1), trail: make([]byte, 0, b.behind),
		done: make(chan struct{}, 1),
	}
}

// next fills the block and reports whether there was anything to fill it with. After
// an error of reading, the line that it cut off is left out: its address may have
// lost its end.
func (b *blocks) next(ctx context.Context, into *block) bool {
	data := append(into.data[:0], b.carry...)
	b.carry = b.carry[:0]
	for b.end == nil {
		data = b.read(ctx, data)
		if b.skipping || b.end != nil {
			continue
		}
		edge := len(data) - b.behind // what is behind it is needed with what is before
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

// fillCut fills the block up to a place in a line that is too long, whose rest is
// left out.
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
	into.data, into.crlf, into.read = data, b.CRLF, b.bytes
	b.carry = append(b.carry, carry...)
	into.lead = append(into.lead[:0], b.lead...)
	into.trail = append(into.trail[:0], carry[:min(len(carry), b.behind)]...)
	b.lead = append(b.lead, data[max(0, len(data)-b.before):]...)
	b.lead = append(b.lead[:0], b.lead[max(0, len(b.lead)-b.before):]...)
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
		b.started, b.CRLF = true, i > 0 && data[i-1] == '\r'
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
		b.started, b.CRLF = true, b.dropped == '\r'
	}
	return data[:copy(data, data[i+1:])]
}

// lastRecord returns where the last line in the overlap before edge begins that begins
// a record; 0 if there is none.
func (b *blocks) lastRecord(data []byte, edge int) int {
	low := max(0, edge-b.overlap())
	for end := edge; end > low; {
		at := bytes.LastIndexByte(data[low:end], '\n')
		if at < 0 {
			return 0
		}
		at += low
		if line, _ := b.Cut(data[at+1:]); record.Begins(line) {
			return at + 1
		}
		end = at
	}
	return 0
}
