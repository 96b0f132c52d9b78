package logfile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"
)

const (
	// chunk is how many bytes of a file are read at a time.
	chunk = 128 << 10

	// contextLength is how many bytes before a place in a file tell whether it is
	// still the same place. A line of FreeSWITCH bears a time in microseconds, so
	// that they are hardly ever found in another file.
	contextLength = 256
)

// errRewritten says that a file does not hold any more what was read from it.
var errRewritten = errors.New("file was truncated")

// A tail is one file of the log that is read as it grows.
type tail struct {
	file *os.File
	info os.FileInfo // tells the file from others: device and inode

	offset  int64  // behind the last byte that was read
	context []byte // the last bytes before offset
	from    int64  // of the first byte that was not handed on
	pending []byte // what was read from there on; empty while skipping

	crlf     bool // lines end in "\r\n"
	started  bool // the first line break was seen, and crlf is known
	skipping bool // inside a line that is too long

	grown   time.Time     // when something was read last
	held    time.Duration // how long after that the last message is due; 0: none is held back
	open    int64         // of the first line that may yet turn out to be forged
	opened  time.Time     // since when it has been waited for
	doubted bool          // it is what is held back
	until   time.Time     // when a file that was rotated away is given up; zero: not read to its end since
	lost    bool          // it cannot be read

	copied bool // made by somebody of a file that was truncated; it has an end
}

// newTail reads a file from an offset on. If that is in the middle of a line, its
// rest is skipped.
func newTail(file *os.File, info os.FileInfo, offset int64) *tail {
	t := &tail{file: file, info: info, offset: offset, from: offset}
	if offset == 0 {
		return t
	}
	t.context = before(file, offset)
	t.skipping = !bytes.HasSuffix(t.context, []byte{'\n'})
	head := make([]byte, chunk)
	n, _ := file.ReadAt(head[:min(chunk, offset)], 0)
	t.learn(head[:n], 0)
	return t
}

// before gives the bytes that tell a place in a file, fewer near its start and
// none if the file does not reach so far.
func before(r io.ReaderAt, offset int64) []byte {
	buf := make([]byte, min(contextLength, offset))
	if n, _ := r.ReadAt(buf, offset-int64(len(buf))); n < len(buf) {
		return nil
	}
	return buf
}

// read takes in what the file has grown by, as far as buf has room for it and the
// context; end tells that this was all. It reads the context again together with what follows it: a file that
// was truncated and written anew may be as long as before.
func (t *tail) read(buf []byte) (grew, end bool, err error) {
	known := len(t.context)
	n, err := t.file.ReadAt(buf, t.offset-int64(known))
	if err != nil && err != io.EOF {
		return false, false, err
	}
	if n < known || !bytes.Equal(buf[:known], t.context) {
		return false, false, errRewritten
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

// take adds what was read to what is pending; last is the byte before it.
func (t *tail) take(fresh []byte, last byte) {
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
	t.pending = append(t.pending, fresh...)
}

// learn finds out from the first line how lines end.
func (t *tail) learn(data []byte, last byte) {
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

// complete cuts off a pending line that is too long and says up to where there
// are whole lines.
func (t *tail) complete(maxLine int) (end int, cut bool) {
	const lineBreak = 2
	end = bytes.LastIndexByte(t.pending, '\n') + 1
	if len(t.pending)-end < maxLine+lineBreak {
		return end, false
	}
	t.pending = append(t.pending[:end+maxLine+lineBreak], '\n')
	t.skipping = true
	return len(t.pending), true
}

// pass drops the first n bytes of what is pending, which were handed on.
func (t *tail) pass(n int) {
	t.from += int64(n)
	t.pending = t.pending[:copy(t.pending, t.pending[n:])]
	if len(t.pending) == 0 {
		t.from = t.offset // also behind what was cut off
	}
}

// restart has the file read from its start.
func (t *tail) restart() {
	*t = tail{file: t.file, info: t.info, grown: t.grown, until: t.until}
}

// rewind goes back to the start of a file that was truncated. What was not read
// before that stands in a copy of it, if somebody made one. Until that is read, no
// position tells how far the log was.
func (f *follower) rewind(ctx context.Context, t *tail) {
	f.saving.barred = true
	f.digest(ctx, t, true)
	f.log.Info("log was truncated", "file", t.file.Name())
	if rest := f.copyOf(t); rest != nil {
		for end := false; !end && ctx.Err() == nil; {
			_, end = f.drain(ctx, rest)
		}
		f.digest(ctx, rest, true)
		f.finish(rest)
	}
	if ctx.Err() == nil {
		t.restart()
		f.saving.barred = false
	}
}

// giveUp stops reading a file. If it still stands at the path, it is opened anew
// and read on from there.
func (f *follower) giveUp(t *tail, err error) {
	t.lost = true
	if !t.copied {
		f.absent.note(f, err)
	}
}
