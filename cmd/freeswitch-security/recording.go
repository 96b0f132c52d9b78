package main

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

// A recording reads files one after the other, decompressed, as one stream: a
// line that one file ends in the middle of goes on in the next, unless the next
// begins with a line of its own. It opens each file when it comes to it.
//
// A file that cannot be read, or not to its end, does not keep the next from
// being read: what was wrong stands in failed. Of a file that breaks off, the
// last line is left out, since what is there of an address may be another one.
type recording struct {
	paths []string
	stdin io.Reader
	taken atomic.Int64 // bytes taken from the files as they are, for the progress bar

	current  *bufio.Reader // nil: the next file is to be opened
	file     io.Closer
	lastPath string

	buf     []byte
	from    int // buf[from:whole] may be handed out
	whole   int // buf[whole:filled] is the beginning of a line
	filled  int
	midline bool // what was released last is not the end of a line
	broken  bool // the file before could not be read to its end

	began      string // the first stamp of the latest file that has one
	beganPath  string // that file
	disordered error  // the first file that is older than the one before it

	empty  []string // paths of empty files
	failed []error
}

// longestHeld is how much of a line is held back until its end has come. No
// source looks at longer ones.
const longestHeld = 128 << 10

// Read reads on. It never fails: a failure ends one file, not the recording.
func (r *recording) Read(p []byte) (int, error) {
	for r.from == r.whole {
		if !r.more() {
			return 0, io.EOF
		}
	}
	n := copy(p, r.buf[r.from:r.whole])
	r.from += n
	return n, nil
}

// more reads a piece into the buffer, after all that was whole in it has been
// handed out, and reports whether there was any more to read or to hand out.
func (r *recording) more() bool {
	if r.buf == nil {
		r.buf = make([]byte, longestHeld)
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

// release lets buf[:n] be handed out.
func (r *recording) release(n int) {
	if n > 0 {
		r.whole, r.midline = n, r.buf[n-1] != '\n'
	}
}

// endLine ends the line that the file before ended in the middle of. There is
// room for it: a full buffer is released at once.
func (r *recording) endLine() {
	r.buf[r.filled] = '\n'
	r.filled++
	r.release(r.filled)
	r.broken = false
}

// close ends the current file for the reason err.
func (r *recording) close(err error) {
	r.file.Close()
	r.current = nil
	if errors.Is(err, io.EOF) {
		return
	}
	if errors.Is(err, gzip.ErrHeader) {
		err = errors.New("something follows the compressed data that is none")
	}
	r.fail(err)
	r.filled = r.whole
	r.broken = true
}

// lineStart is how a line of a log begins: with a time, or with the UUID of the
// call that FreeSWITCH puts in front of it.
var lineStart = regexp.MustCompile(`^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12} )?` +
	`((\d{4}-)?\d\d-\d\d[ T]|[A-Z][a-z]{2} [ \d]\d )\d\d:\d\d:\d\d`)

// beginsLine reports whether r stands at the beginning of a line, which it would
// not if the log had been divided in the middle of one.
func beginsLine(r *bufio.Reader) bool {
	head, _ := r.Peek(80) // a shorter file is all there; an error comes again when it is read
	return lineStart.Match(head)
}

// open opens the file at lastPath, decompressing it if it is compressed.
func (r *recording) open() {
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
			err = errors.New("begins like a gzip file and is none")
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

// fail notes why the file at lastPath could not be read, or not to its end.
func (r *recording) fail(err error) {
	var path *os.PathError
	if errors.As(err, &path) {
		r.failed = append(r.failed, err) // names the file itself
		return
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("is cut off: the compressed data lack their end")
	}
	r.failed = append(r.failed, fmt.Errorf("%s: %w", inputName(r.lastPath), err))
}

// emptiness names the files that were empty.
func (r *recording) emptiness() []error {
	var errs []error
	for _, path := range r.empty {
		errs = append(errs, fmt.Errorf("%s is empty", inputName(path)))
	}
	return errs
}

// inputName is how messages call an input.
func inputName(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

// modTime is when the newest of the files was last written to.
func (r *recording) modTime() time.Time {
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

// size is how many bytes the files have, as they are; 0 where that is not known.
func (r *recording) size() int64 {
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

// counted counts what is read through it.
type counted struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
