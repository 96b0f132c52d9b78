package logfile

import (
	"bytes"
	"context"
	"io"

	"freeswitch-security/sources/logfile/pattern"
	"freeswitch-security/sources/logfile/record"
)

// A block is a part of the log that can be decoded by itself: log[from:to] begins
// where a record begins, and the messages in it are whole. What stands around it in
// log is there for judgements.
type block struct {
	log      []byte
	from, to int
	crlf     bool
	read     int64 // how much of the recording was read when it was full
	plan     *pattern.Plan

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

	carry    []byte // the end of the last block, and what was read behind it
	from     int    // where in carry the next block begins
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
	return &block{log: make([]byte, 0, b.before+b.size+b.overlap()+b.behind+1), done: make(chan struct{}, 1)}
}

// next fills the block and reports whether there was anything to fill it with. After
// an error of reading, the line that it cut off is left out: its address may have
// lost its end.
func (b *blocks) next(ctx context.Context, into *block) bool {
	log, from := append(into.log[:0], b.carry...), b.from
	for b.end == nil {
		log = b.read(ctx, log)
		if b.skipping || b.end != nil {
			continue
		}
		edge := len(log) - b.behind // what is behind it is needed with what is before
		if at := b.lastRecord(log, from, edge); at > from {
			return b.fill(into, log, from, at)
		}
		if edge-from < b.overlap() {
			continue
		}
		at := bytes.LastIndexByte(log[:edge], '\n') + 1
		if edge-at > b.longest() {
			at += b.longest() + 1
			log = b.cutOff(log, at)
			at++
		}
		return b.fill(into, log, from, at)
	}
	if b.end != io.EOF {
		log = log[:bytes.LastIndexByte(log, '\n')+1]
	}
	return b.fill(into, log, from, len(log))
}

// cutOff leaves out the rest of a line that is too long, from a place on.
func (b *blocks) cutOff(log []byte, at int) []byte {
	i := bytes.IndexByte(log[at:], '\n')
	if i < 0 {
		b.skipping, b.dropped = true, log[len(log)-1]
		return append(log[:at], '\n')
	}
	return append(append(log[:at], '\n'), log[at+i+1:]...)
}

// fill makes a block of log[from:to], carries over what the next one needs, and
// reports whether the block holds anything.
func (b *blocks) fill(into *block, log []byte, from, to int) bool {
	into.log, into.from, into.to, into.crlf, into.read = log, from, to, b.CRLF, b.bytes
	lead := max(0, to-b.before)
	b.carry, b.from = append(b.carry[:0], log[lead:]...), to-lead
	return to > from
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
		return data[:old+b.skip(data[old:])]
	}
	if i := bytes.IndexByte(data, '\n'); !b.started && i >= 0 {
		b.started, b.CRLF = true, i > 0 && data[i-1] == '\r'
	}
	return data
}

// skip leaves out the rest of a line that is too long, and returns how much is left.
func (b *blocks) skip(data []byte) int {
	i := bytes.IndexByte(data, '\n')
	end := i
	if i < 0 {
		end = len(data)
	}
	if end > 0 {
		b.dropped = data[end-1]
	}
	if i < 0 {
		return 0
	}
	b.skipping = false
	if !b.started {
		b.started, b.CRLF = true, b.dropped == '\r'
	}
	return copy(data, data[i+1:])
}

// lastRecord returns where the last line in the overlap before edge begins that begins
// a record; 0 if there is none.
func (b *blocks) lastRecord(log []byte, from, edge int) int {
	low := max(from, edge-b.overlap())
	for end := edge; end > low; {
		at := bytes.LastIndexByte(log[low:end], '\n')
		if at < 0 {
			return 0
		}
		at += low
		if line, _ := b.Cut(log[at+1:]); record.Begins(line) {
			return at + 1
		}
		end = at
	}
	return 0
}
