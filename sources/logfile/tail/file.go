package tail

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"
)

const (
	// chunkLength is how many bytes of a file are read at a time.
	chunkLength = 128 << 10

	// contextLength is how many bytes before a place in a file identify the place. A
	// line of FreeSWITCH has a time in microseconds, so another file hardly ever holds
	// the same bytes.
	contextLength = 256
)

// errTruncated says that a file no longer holds what was read from it.
var errTruncated = errors.New("file was truncated")

// A file is one file of the log that is read as it grows.
type file struct {
	file *os.File
	info os.FileInfo // identifies the file: device and inode

	offset  int64  // behind the last byte that was read
	context []byte // the last bytes before offset
	from    int64  // of the first byte that is not done with
	log     []byte // what was read and is not dropped
	passed  int    // where in it the first byte stands that is not done with

	crlf     bool // lines end in "\r\n"
	started  bool // the first line break was read, so that crlf is known
	skipping bool // inside a line that is too long

	grown     time.Time // when something was read last
	due       time.Time // when the lines that are held back are offered again; zero: none are
	held      int64     // where the lines that are held back begin
	heldSince time.Time // zero: none were yet
	until     time.Time // when a rotated file is given up; zero: not read to its end since
	lost      bool      // it cannot be read

	copied bool // a copy of a file that was truncated; it does not grow
}

// newFile reads a file from an offset on, with as much as wanted of what stands before.
// If the offset is in the middle of a line, the rest of the line is skipped.
func newFile(f *os.File, info os.FileInfo, offset int64, before int) *file {
	t := &file{file: f, info: info, offset: offset, from: offset}
	if offset == 0 {
		return t
	}
	t.context = contextOf(f, offset)
	t.skipping = !bytes.HasSuffix(t.context, []byte{'\n'})
	if !t.skipping {
		t.log = make([]byte, min(offset, int64(before)))
		t.passed, _ = f.ReadAt(t.log, offset-int64(len(t.log)))
	}
	head := make([]byte, chunkLength)
	n, _ := f.ReadAt(head[:min(chunkLength, offset)], 0)
	t.learn(head[:n], 0)
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

// read reads what the file has grown by, as far as buf has room for it and the
// context. end tells that this was all. The context is read again together with what
// follows it, because a file that was truncated and written again may be as long as
// before.
func (t *file) read(buf []byte) (grew, end bool, err error) {
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
	last := byte(0)
	if known > 0 {
		last = t.context[known-1]
	}
	t.context = append(t.context[:0], buf[max(0, n-contextLength):n]...)
	t.offset += int64(n - known)
	t.take(buf[known:n], last)
	return true, n < len(buf), nil
}

// take adds what was read to the log. last is the byte before it.
func (t *file) take(fresh []byte, last byte) {
	t.learn(fresh, last)
	if t.skipping {
		i := bytes.IndexByte(fresh, '\n')
		if i < 0 {
			t.from = t.offset
			return
		}
		t.skipping = false
		fresh = fresh[i+1:]
		t.from = t.offset - int64(len(fresh))
	}
	t.log = append(t.log, fresh...)
}

// learn finds out from the first line how lines end.
func (t *file) learn(data []byte, last byte) {
	if t.started {
		return
	}
	i := bytes.IndexByte(data, '\n')
	if i < 0 {
		return
	}
	if i > 0 {
		last = data[i-1]
	}
	t.started, t.crlf = true, last == '\r'
}

// complete cuts off an unfinished line that is too long and returns where in the log
// the whole lines end.
func (t *file) complete(maxLine int) (end int, cut bool) {
	const lineBreak = 2
	end = max(t.passed, bytes.LastIndexByte(t.log, '\n')+1)
	if len(t.log)-end < maxLine+lineBreak {
		return end, false
	}
	t.log = append(t.log[:end+maxLine+lineBreak], '\n')
	t.skipping = true
	return len(t.log), true
}

// pass notes that n more bytes are done with, and drops all of them but as much as is
// wanted before the next ones.
func (t *file) pass(n, before int) {
	t.passed += n
	t.from += int64(n)
	if t.passed == len(t.log) {
		t.from = t.offset // also behind what was cut off
	}
	if drop := t.passed - before; drop > 0 {
		t.log = t.log[:copy(t.log, t.log[drop:])]
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

// giveUp stops reading a file. If it is still at the path, it is opened again and
// read on from there.
func (f *Follower) giveUp(t *file, err error) {
	t.lost = true
	if !t.copied {
		f.absent(err)
	}
}
