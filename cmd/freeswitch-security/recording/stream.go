package recording

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"freeswitch-security/engine/regex"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/readahead"
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

	file    io.Closer
	path    string    // of the current file
	current io.Reader // nil: the next file is to be opened
	ready   []byte    // complete lines, or a piece of a long one, that Read has not returned yet
	tail    []byte    // what was read behind them: the beginning of a line
	midline bool      // what was read before the tail does not end a line
	broken  bool      // the file before could not be read to its end
	buffer  []byte    // what ready is a part of

	began      string // first time stamp of the latest file that has one
	beganPath  string // that file
	disordered error  // the first file that is older than the file before it

	empty  []string // paths of empty files
	failed []error
}

// maxHeld bounds the incomplete line that is held back, in bytes. No source reads longer lines.
const maxHeld = 128 << 10

// Read never fails: a failure ends one file, not the stream. It reads into p itself if there is room
// for a line of any length.
func (r *Stream) Read(p []byte) (int, error) {
	for len(r.ready) == 0 {
		switch {
		case r.current == nil && len(r.paths) > 0:
			r.next()
		case r.current == nil && len(r.tail) == 0:
			return 0, io.EOF
		case r.current == nil:
			r.ready, r.tail = r.tail, nil
		case len(p) > maxHeld:
			if n := r.fill(p); n > 0 {
				return n, nil
			}
		default:
			if r.buffer == nil {
				r.buffer = make([]byte, 2*maxHeld)
			}
			r.ready = r.buffer[:r.fill(r.buffer)]
		}
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// fill reads on in the current file, up to the end of a line. into has room for the tail and more.
func (r *Stream) fill(into []byte) int {
	held := copy(into, r.tail)
	n, err := r.current.Read(into[held:])
	n += held
	end := bytes.LastIndexByte(into[:n], '\n') + 1
	if n-end >= maxHeld {
		end = n
	}
	r.tail = append(r.tail[:0], into[end:n]...)
	if end > 0 {
		r.midline = into[end-1] != '\n'
	}
	if err != nil {
		r.close(err)
	}
	return end
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
	r.tail, r.broken = nil, true
}

// lineStart matches the beginning of a log line: a time, perhaps after the UUID of a call.
var lineStart = regex.New(`^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12} )?` +
	`((\d{4}-)?\d\d-\d\d[ T]|[A-Z][a-z]{2} [ \d]\d )\d\d:\d\d:\d\d`)

// next opens the next file, and puts the incomplete line of the file before in front of it.
func (r *Stream) next() {
	r.path, r.paths = r.paths[0], r.paths[1:]
	opened := r.open()
	if opened == nil {
		return
	}
	r.compareBegin(opened)
	head, _ := opened.Peek(80) // Read returns the error again
	if (len(r.tail) > 0 || r.midline) && (r.broken || lineStart.Use().Match(head)) {
		r.tail = append(r.tail, '\n')
	}
	r.broken = false
	r.current = opened
}

// unzipped is how many parts of a file are decompressed ahead, so that the goroutine that does it, on
// which all others depend, waits for none.
const unzipped = 8

// open opens the file at path, and decompresses gzip. It returns nil if there is nothing to read.
func (r *Stream) open() *bufio.Reader {
	var in io.Reader = r.stdin
	r.file = io.NopCloser(nil)
	if r.path != "-" {
		f, err := os.Open(r.path)
		if err != nil {
			r.fail(err)
			return nil
		}
		in, r.file = f, f
	}
	head := bufio.NewReaderSize(&counted{in, &r.taken}, 1<<16)
	magic, err := head.Peek(2)
	if bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unzip, err := gzip.NewReader(head)
		if err == nil {
			ahead, _ := readahead.NewReaderSize(unzip, unzipped, 256<<10) // fails only if there is none
			r.file = both{ahead, r.file}
			return bufio.NewReaderSize(ahead, 1<<16)
		}
		if errors.Is(err, gzip.ErrHeader) {
			err = errors.New("begins like a gzip file and is not one")
		}
		r.fail(err)
	} else if len(magic) > 0 {
		return head
	} else if errors.Is(err, io.EOF) {
		r.empty = append(r.empty, r.path)
	} else {
		r.fail(err)
	}
	r.file.Close()
	return nil
}

// stop closes the current file, which need not be at its end.
func (r *Stream) stop() {
	if r.current != nil {
		r.file.Close()
	}
}

// A both closes what reads ahead, and then what it reads.
type both struct{ ahead, file io.Closer }

func (b both) Close() error { return errors.Join(b.ahead.Close(), b.file.Close()) }

// fail records why the file at path could not be read to its end.
func (r *Stream) fail(err error) {
	if _, named := errors.AsType[*os.PathError](err); !named {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("is truncated: the end of the compressed data is missing")
		}
		err = fmt.Errorf("%s: %w", inputName(r.path), err)
	}
	r.failed = append(r.failed, err)
}

// inputName is the name of an input in messages.
func inputName(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

// stat returns the size of the files, compressed as they are (0: unknown), and the time of the
// last write to any of them.
func (r *Stream) stat() (size int64, newest time.Time) {
	known := true
	for _, path := range r.paths {
		info, err := os.Stat(path)
		if path == "-" {
			newest = time.Now()
		} else if err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		if known = known && err == nil && info.Mode().IsRegular(); known {
			size += info.Size()
		}
	}
	if !known {
		size = 0
	}
	return size, newest
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
