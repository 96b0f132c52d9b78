package tail

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"freeswitch-security/sources/logfile/lines"
)

const (
	// chunkLength is how many bytes of a file are read at a time.
	chunkLength = 128 << 10

	// firstLength is how many after silence: what is done with their events begins sooner.
	firstLength = 16 << 10

	// contextLength is how many bytes before a place in a file identify the place. A
	// line of FreeSWITCH has a time in microseconds, so another file hardly ever holds
	// the same bytes.
	contextLength = 256
)

// errTruncated says that a file no longer holds what was read from it.
var errTruncated = errors.New("file was truncated")

// A file is one file of the log that is read as it grows.
type file struct {
	file content
	info os.FileInfo // identifies the file: device and inode

	offset       int64  // behind the last byte that was read
	context      []byte // the last bytes before offset
	from         int64  // of the first byte that is not done with
	lines.Buffer        // what was read and is not dropped
	passed       int    // where in it the first byte stands that is not done with
	ended        bool   // the file ended at offset when that was reached
	head         []byte // the first bytes of the file

	grown     time.Time // when something was read last
	burst     time.Time // when it had grown by more than burstLength at a look
	due       time.Time // when the lines that are held back are offered again; zero: none are
	held      int64     // where the lines that are held back begin
	heldSince time.Time // zero: none were yet
	until     time.Time // when a rotated file is given up; zero: not read to its end since
	lost      bool      // it cannot be read

	copied bool // a copy of a file that was truncated, or a compressed file; it does not grow

	live *liveTail // the tail that reads it; nil: it is read by blocks
	pipe *pipe     // the lines of a pipe; nil: it is a regular file
}

// newFile reads a file from an offset on, with as much as wanted of what stands before.
// If the offset is in the middle of a line, the rest of the line is skipped.
func newFile(f content, info os.FileInfo, offset int64, before int) *file {
	_, archived := f.(*archive)
	t := &file{file: f, info: info, offset: offset, from: offset, copied: archived}
	if offset == 0 {
		return t
	}
	t.context = contextOf(f, offset)
	if bytes.HasSuffix(t.context, []byte{'\n'}) {
		t.Log = make([]byte, min(offset, int64(before)))
		t.passed, _ = f.ReadAt(t.Log, offset-int64(len(t.Log)))
	} else {
		t.Skip()
	}
	head := make([]byte, min(offset, chunkLength))
	n, _ := f.ReadAt(head, 0)
	t.Learn(head[:n])
	t.Learn(t.context)
	return t
}

// contextOf returns the bytes that identify a place in a file, fewer near its start
// and none if the file does not reach so far.
func contextOf(r io.ReaderAt, offset int64) []byte {
	buf := make([]byte, min(contextLength, offset))
	if n, _ := r.ReadAt(buf, offset-int64(len(buf))); n < len(buf) {
		return nil
	}
	return buf
}

// start returns the first bytes of the file.
func (t *file) start() []byte {
	if n := len(t.head); t.pipe == nil && n < HeadLength {
		t.head = slices.Grow(t.head, HeadLength-n)
		got, _ := t.file.ReadAt(t.head[n:HeadLength], int64(n))
		t.head = t.head[:n+got]
	}
	return t.head
}

// readBlock reads what the file has grown by, as far as buf has room for it and the
// context. end tells that this was all. The context is read again together with what
// follows it, because a file that was truncated and written again may be as long as
// before.
func (t *file) readBlock(buf []byte) (grew, end bool, err error) {
	if t.pipe != nil {
		n, more, err := t.pipe.take(buf)
		t.head = append(t.head, buf[:min(n, HeadLength-len(t.head))]...)
		t.extend(buf[:n])
		return n > 0, !more, err
	}
	known := len(t.context)
	n, err := t.file.ReadAt(buf, t.offset-int64(known))
	if err != nil && err != io.EOF {
		return false, false, err
	}
	if n < known || !bytes.Equal(buf[:known], t.context) {
		return false, false, errTruncated
	}
	if n == known {
		return false, true, nil
	}
	t.context = append(t.context[:0], buf[max(0, n-contextLength):n]...)
	t.extend(buf[known:n])
	t.ended = n < len(buf)
	return true, t.ended, nil
}

// written reports whether the last call of write to the file has ended with what was read. While the
// kernel copies what it writes, the file grows from page to page: a file that ends elsewhere ends as
// a call does.
func (t *file) written() bool {
	return t.ended && t.pipe == nil && !t.copied && t.offset%int64(os.Getpagesize()) != 0
}

// extend takes over what was read.
func (t *file) extend(fresh []byte) {
	t.offset += int64(len(fresh))
	old, skipping := len(t.Log), t.Skipping()
	t.Log = append(t.Log, fresh...)
	if t.Add(old); skipping {
		t.from = t.offset - int64(len(t.Log)-old)
	}
}

// close closes a file.
func (t *file) close() {
	t.stop()
	if t.pipe != nil {
		t.pipe.close()
	}
	t.file.Close()
}

// complete cuts off an unfinished line that is too long and returns where in the log
// the whole lines end.
func (t *file) complete(maxLine int) (end int, cut bool) {
	const lineBreak = 2
	end = max(t.passed, bytes.LastIndexByte(t.Log, '\n')+1)
	if len(t.Log)-end < maxLine+lineBreak {
		return end, false
	}
	t.Log = append(t.Log[:end+maxLine+lineBreak], '\n')
	t.Skip()
	return len(t.Log), true
}

// pass notes that n more bytes are done with, and drops all of them but as much as is
// wanted before the next ones.
func (t *file) pass(n, before int) {
	t.passed += n
	t.from += int64(n)
	if t.passed == len(t.Log) {
		t.from = t.offset // also behind what was cut off
	}
	if drop := t.passed - before; drop > 0 {
		t.Log = t.Log[:copy(t.Log, t.Log[drop:])]
		t.passed = before
	}
}

// rewind goes back to the start of a file that was truncated. What was not read
// before is in a copy of the file, if there is one. Until that is read, no position
// can be saved.
func (f *Follower) rewind(ctx context.Context, t *file) {
	f.saving.barred = true
	f.offer(ctx, t, true)
	f.Log.Info("log truncated", "file", t.file.Name())
	if rest := f.copyOf(t); rest != nil {
		for end := false; !end && ctx.Err() == nil; {
			_, end = f.drain(ctx, rest)
		}
		f.offer(ctx, rest, true)
		f.finish(rest)
	}
	if ctx.Err() == nil {
		*t = file{file: t.file, info: t.info, grown: t.grown, until: t.until}
		f.saving.barred = false
	}
}
