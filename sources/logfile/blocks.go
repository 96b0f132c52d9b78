package logfile

import (
	"bytes"
	"io"

	"freeswitch-security/sources/logfile/lines"
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
	done       chan struct{} // has room for one
}

// blocks divides a recording into blocks. Lines that are too long to be examined are
// cut off as soon as that is known, so that a line of any length takes no more memory.
type blocks struct {
	lines.Buffer
	before, behind int // how much of the log around a line a judgement needs, in bytes
	r              io.Reader
	size           int // how many bytes are read at a time

	carry []byte // the end of the last block, and what was read behind it
	from  int    // where in carry the next block begins
	end   error  // why there is nothing more to read: io.EOF or an error
	bytes int64
}

// longest is how long a line may be, with its "\r", to be kept whole.
func (b *blocks) longest() int { return b.MaxLine + 1 }

// overlap is how far back from the end of what was read the beginning of a record is
// searched for. It has room for the longest message (its first line and one more than
// the two further lines that FreeSWITCH writes) and for an unfinished line. If no
// record begins in it, the block may end behind any line.
func (b *blocks) overlap() int { return 5 * (b.longest() + 2) }

// next fills the block and reports whether there was anything to fill it with. After
// an error of reading, the line that it cut off is left out: its address may have
// lost its end.
func (b *blocks) next(into *block) bool {
	if into.log == nil { // a short recording needs one block of those that there are
		into.log = make([]byte, 0, b.before+b.size+b.overlap()+b.behind+1)
	}
	b.Log = append(into.log[:0], b.carry...)
	for b.end == nil {
		b.read()
		if b.Skipping() || b.end != nil {
			continue
		}
		edge := len(b.Log) - b.behind // what is behind it is needed with what is before
		if at := b.lastRecord(edge); at > b.from {
			return b.divide(into, at)
		}
		if edge-b.from < b.overlap() {
			continue
		}
		at := bytes.LastIndexByte(b.Log[:edge], '\n') + 1
		if edge-at > b.longest() {
			at += b.longest() + 2
			b.cutOff(at - 1)
		}
		return b.divide(into, at)
	}
	if b.end != io.EOF {
		b.Log = b.Log[:bytes.LastIndexByte(b.Log, '\n')+1]
	}
	return b.divide(into, len(b.Log))
}

// cutOff leaves out the rest of a line that is too long, from a place on.
func (b *blocks) cutOff(at int) {
	var behind []byte
	if i := bytes.IndexByte(b.Log[at:], '\n'); i >= 0 {
		behind = b.Log[at+i+1:]
	} else {
		b.Skip()
	}
	b.Log = append(append(b.Log[:at], '\n'), behind...)
}

// divide makes a block of what was read up to a place, carries over what the next one
// needs, and reports whether the block holds anything.
func (b *blocks) divide(into *block, to int) bool {
	into.log, into.from, into.to, into.crlf, into.read = b.Log, b.from, to, b.CRLF, b.bytes
	lead := max(0, to-b.before)
	b.carry, b.from = append(b.carry[:0], b.Log[lead:]...), to-lead
	return to > into.from
}

// read reads up to size bytes, and more than half of them where there are so many.
func (b *blocks) read() {
	old := len(b.Log)
	buf := b.Log[old : old+b.size]
	n := 0
	for n <= len(buf)/2 && b.end == nil {
		var got int
		got, b.end = b.r.Read(buf[n:])
		n += got
	}
	b.bytes += int64(n)
	b.Log = b.Log[:old+n]
	b.Add(old)
}

// lastRecord returns where the last line in the overlap before edge begins that begins
// a record; 0 if there is none.
func (b *blocks) lastRecord(edge int) int {
	low := max(b.from, edge-b.overlap())
	for end := edge; end > low; {
		at := bytes.LastIndexByte(b.Log[low:end], '\n')
		if at < 0 {
			return 0
		}
		at += low
		if line, _ := b.Cut(b.Log[at+1:]); record.Begins(line) {
			return at + 1
		}
		end = at
	}
	return 0
}
