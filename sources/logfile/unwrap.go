package logfile

import (
	"bytes"
	"sort"
	"time"

	"freeswitch-security/sources/logfile/carrier"
	"freeswitch-security/sources/logfile/lines"
	"freeswitch-security/sources/logfile/tail"
)

// A chunkUnwrapper turns the chunks of a file with a carrier into chunks of plain lines.
type chunkUnwrapper struct {
	lines.Splitter
	head    []byte           // of the file
	carrier *carrier.Carrier // nil: the file is plain
	others  bool             // messages of other programs are kept
	crlf    bool             // FreeSWITCH's lines end in "\r\n"

	before  []byte // the end of what was done with, as in the file
	resumed carrier.Unwrapper
	log     []byte // the plain lines of what was done with, then those of the chunk
	from    int    // where the chunk's begin
	marks   []mark // a mark for each line of the chunk, and one for its end
}

// A mark is a place between two lines of the file.
type mark struct {
	raw, plain int // in bytes, from the beginning of the chunk
	carrier.Unwrapper
}

// recognise finds out the carrier of the file that begins with head.
func (c *consumer) recognise(head []byte) {
	f := &c.carried
	if bytes.Equal(head, f.head) {
		return
	}
	f.head = append(f.head[:0], head...)
	f.carrier = carrier.Recognise(head)
	c.setCarrier(f.carrier)
	if f.carrier != nil {
		_, f.crlf = f.plain(head)
	}
}

// plain returns the plain lines of lines of the file, and how they end.
func (f *chunkUnwrapper) plain(data []byte) (log []byte, crlf bool) {
	u := f.carrier.Unwrapper(f.MaxLine, f.others)
	log = f.appendAll(&u, nil, data)
	first, _, _ := bytes.Cut(log, []byte{'\n'})
	return log, bytes.HasSuffix(first, []byte{'\r'})
}

// appendAll appends the plain lines of lines of the file.
func (f *chunkUnwrapper) appendAll(u *carrier.Unwrapper, log, data []byte) []byte {
	for len(data) > 0 {
		var line string
		line, data = f.Cut(data)
		log = u.Append(log, line)
	}
	return u.Flush(log)
}

// unwrap returns a chunk of the plain lines of a chunk. They are valid until pass. wait
// is how long the rest of a divided line may take.
func (f *chunkUnwrapper) unwrap(chunk tail.Chunk, wait time.Duration) tail.Chunk {
	u := f.resume(&chunk)
	f.marks = f.marks[:0]
	length := chunk.To - chunk.From
	for rest := chunk.Log[chunk.From:chunk.To]; len(rest) > 0; {
		line, behind := f.Cut(rest)
		if u.Interrupts(line) {
			f.log = u.Flush(f.log)
		}
		if !u.Pending() {
			f.marks = append(f.marks, mark{length - len(rest), len(f.log) - f.from, u})
		}
		rest = behind
		f.log = u.Append(f.log, line)
	}
	if last := &f.marks[len(f.marks)-1]; chunk.Final || last.raw == 0 && chunk.Waited >= wait || length-last.raw > maxHeld {
		f.log = u.Flush(f.log)
	}
	if !u.Pending() {
		f.marks = append(f.marks, mark{length, len(f.log) - f.from, u})
	}
	plain := chunk
	plain.From, plain.To, plain.CRLF, plain.Written = f.from, len(f.log), f.crlf, false // a carrier divides messages
	if partial := chunk.Log[chunk.To:]; len(partial) > 0 {
		if f.log = u.AppendUnfinished(f.log, f.Line(partial)); len(f.log) == plain.To {
			f.log = append(f.log, partial...) // its form is not known yet
		}
	}
	plain.Log = f.log
	return plain
}

// maxHeld bounds the parts of one line that are held back, in bytes.
const maxHeld = 1 << 20

// resume returns the unwrapper that goes on at the beginning of a chunk. The plain
// lines before it are in log then.
func (f *chunkUnwrapper) resume(chunk *tail.Chunk) (u carrier.Unwrapper) {
	raw := chunk.Log[:chunk.From]
	if chunk.At > 0 && len(raw) > 0 && bytes.HasSuffix(f.before, raw) {
		return f.resumed
	}
	if chunk.At > int64(len(raw)) {
		raw = raw[bytes.IndexByte(raw, '\n')+1:] // its first line may be a part of one
	}
	u = f.carrier.Unwrapper(f.MaxLine, f.others)
	f.log = f.appendAll(&u, f.log[:0], raw)
	f.from = len(f.log)
	return u
}

// pass turns the verdict on the plain lines of a chunk into one on the chunk, and
// keeps what the next one goes on from: before bytes at most.
func (f *chunkUnwrapper) pass(chunk *tail.Chunk, v tail.Verdict, before int, wait time.Duration) tail.Verdict {
	i := sort.Search(len(f.marks), func(i int) bool { return f.marks[i].plain > v.Done }) - 1
	done := &f.marks[i]
	if v.Done = done.raw; v.Wait == 0 && v.Done < chunk.To-chunk.From {
		v.Wait = wait
	}
	end := chunk.From + done.raw
	f.before = append(f.before[:0], chunk.Log[max(0, end-before):end]...)
	f.resumed = done.Unwrapper
	end = f.from + done.plain
	start := 0
	if end > before {
		start = end - before
		start += bytes.IndexByte(f.log[start:end], '\n') + 1
	}
	f.log = f.log[:copy(f.log, f.log[start:end])]
	f.from = len(f.log)
	return v
}
