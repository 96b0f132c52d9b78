package recording

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"sync/atomic"
	"time"
)

// A Stream reads files in turn, decompressed, as one: a line that one file ends in the middle of
// continues in the next, unless the next begins with a line of its own. Each file is opened when
// the file before it ends.
//
// A file that cannot be read to its end does not prevent the next from being read; failed says
// why. Its last line is discarded, because a truncated address may be another address.
type Stream struct {
	paths []string
	stdin io.Reader    // what the path "-" stands for
	taken atomic.Int64 // bytes read from the files, compressed as they are

	current  *bufio.Reader // nil: the next file is to be opened
	file     io.Closer
	lastPath string

	buf     []byte
	from    int // buf[from:whole] can be returned
	whole   int // buf[whole:filled] is an incomplete line
	filled  int
	midline bool // the bytes released last do not end a line
	broken  bool // the file before could not be read to its end

	began      string // first time stamp of the latest file that has one
	beganPath  string // that file
	disordered error  // the first file that is older than the file before it

	empty  []string // paths of empty files
	failed []error
}

// maxHeld bounds the incomplete line that is held back, in bytes. No source reads longer lines.
const maxHeld = 128 << 10

// Read never fails: a failure ends one file, not the stream.
func (r *Stream) Read(p []byte) (int, error) {
	for r.from == r.whole {
		if !r.more() {
			return 0, io.EOF
		}
	}
	n := copy(p, r.buf[r.from:r.whole])
	r.from += n
	return n, nil
}

// more fills the buffer again once all complete lines are returned. It reports false at the end.
func (r *Stream) more() bool {
	if r.buf == nil {
		r.buf = make([]byte, maxHeld)
	}
	r.filled = copy(r.buf, r.buf[r.whole:r.filled])
	r.from, r.whole = 0, 0
	if r.current == nil {
		if len(r.paths) == 0 {
			r.release(r.filled)
			return r.filled > 0
		}
		r.lastPath, r.paths = r.paths[0], r.paths[1:]
		r.open()
		if (r.filled > 0 || r.midline) && r.current != nil && (r.broken || beginsLine(r.current)) {
			r.endLine()
		}
		if r.current != nil {
			r.compareBegin()
		}
		return true
	}
	n, err := r.current.Read(r.buf[r.filled:])
	r.filled += n
	if end := bytes.LastIndexByte(r.buf[:r.filled], '\n') + 1; end > 0 {
		r.release(end)
	} else if r.filled == len(r.buf) {
		r.release(r.filled)
	}
	if err != nil {
		r.close(err)
	}
	return true
}

// release makes buf[:n] available to Read.
func (r *Stream) release(n int) {
	if n > 0 {
		r.whole, r.midline = n, r.buf[n-1] != '\n'
	}
}

// endLine ends the last line of the file before. A full buffer is released at once, so there is
// room for the byte.
func (r *Stream) endLine() {
	r.buf[r.filled] = '\n'
	r.filled++
	r.release(r.filled)
	r.broken = false
}

// close ends the current file for the reason err.
func (r *Stream) close(err error) {
	r.file.Close()
	r.current = nil
	if errors.Is(err, io.EOF) {
		return
	}
	if errors.Is(err, gzip.ErrHeader) {
		err = errors.New("the compressed data are followed by other data")
	}
	r.fail(err)
	r.filled = r.whole
	r.broken = true
}

// lineStart matches the beginning of a log line: a time, perhaps after the UUID of a call.
var lineStart = regexp.MustCompile(`^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12} )?` +
	`((\d{4}-)?\d\d-\d\d[ T]|[A-Z][a-z]{2} [ \d]\d )\d\d:\d\d:\d\d`)

// beginsLine reports whether r is at the beginning of a log line.
func beginsLine(r *bufio.Reader) bool {
	head, _ := r.Peek(80) // Read returns the error again
	return lineStart.Match(head)
}

// open opens the file at lastPath, and decompresses gzip.
func (r *Stream) open() {
	var in io.Reader = r.stdin
	r.file = io.NopCloser(nil)
	if r.lastPath != "-" {
		f, err := os.Open(r.lastPath)
		if err != nil {
			r.fail(err)
			return
		}
		if info, err := f.Stat(); err == nil && info.IsDir() {
			f.Close()
			r.fail(errors.New("is a directory; name the log file in it"))
			return
		}
		in, r.file = f, f
	}
	head := bufio.NewReaderSize(&counted{in, &r.taken}, 1<<16)
	magic, err := head.Peek(2)
	switch {
	case len(magic) == 0 && errors.Is(err, io.EOF):
		r.empty = append(r.empty, r.lastPath)
		r.file.Close()
	case len(magic) == 0:
		r.fail(err)
		r.file.Close()
	case bytes.Equal(magic, []byte{0x1f, 0x8b}):
		unzip, err := gzip.NewReader(head)
		if errors.Is(err, gzip.ErrHeader) {
			err = errors.New("begins like a gzip file and is not one")
		}
		if err != nil {
			r.fail(err)
			r.file.Close()
			return
		}
		r.current = bufio.NewReaderSize(unzip, 1<<16)
	default:
		r.current = head
	}
}

// fail records why the file at lastPath could not be read to its end.
func (r *Stream) fail(err error) {
	var path *os.PathError
	if errors.As(err, &path) {
		r.failed = append(r.failed, err) // names the file itself
		return
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("is truncated: the end of the compressed data is missing")
	}
	r.failed = append(r.failed, fmt.Errorf("%s: %w", inputName(r.lastPath), err))
}

// inputName is the name of an input in messages.
func inputName(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

// modTime returns the time of the last write to any of the files.
func (r *Stream) modTime() time.Time {
	var newest time.Time
	for _, path := range r.paths {
		if path == "-" {
			return time.Now()
		}
		if info, err := os.Stat(path); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest
}

// size returns the size of the files, compressed as they are; 0 if it is unknown.
func (r *Stream) size() int64 {
	var total int64
	for _, path := range r.paths {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return 0
		}
		total += info.Size()
	}
	return total
}

// counted counts the bytes read through it.
type counted struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
