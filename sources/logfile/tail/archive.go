package tail

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"
)

const (
	// maxUnpacked bounds how much is read of all compressed files together, in bytes of text.
	// It takes some fifteen seconds, in which the file at the path is not read.
	maxUnpacked = 2 << 30

	// windowLength is how much of a compressed file is in memory, in bytes: room for what
	// is recalled, and for what is read at a time.
	windowLength = RecallLength + 2*chunkLength
)

// compressions are the formats of compressed files, by how the files begin.
var compressions = []struct {
	magic  string
	unpack func(io.Reader) (io.Reader, error)
}{
	{"\x1f\x8b", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{"BZh", func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }},
	{"\xfd7zXZ", unsupported},
	{"\x28\xb5\x2f\xfd", unsupported}, // zstd
}

func unsupported(io.Reader) (io.Reader, error) {
	return nil, errors.New("xz and zstd are not supported: use gzip (compresscmd of logrotate)")
}

// A content is the text of a file of the log, unpacked if it is compressed.
type content interface {
	io.ReaderAt
	io.Closer
	Name() string
}

// An archive is the content of a compressed file. It is read from its start to its end:
// of what was read, only the end can be read again, and the first bytes.
type archive struct {
	*os.File // as it is stored
	unpack   func(io.Reader) (io.Reader, error)
	r        io.Reader
	head     []byte // its first bytes
	window   []byte // what was read last
	end      int64  // where the window ends
	err      error  // why there is nothing more to read
	left     *int64 // of maxUnpacked
	log      *slog.Logger
}

// contentOf returns the content of a file.
func (f *Follower) contentOf(file *os.File) content {
	start := make([]byte, 5)
	n, _ := file.ReadAt(start, 0)
	for _, c := range compressions {
		if bytes.HasPrefix(start[:n], []byte(c.magic)) {
			return &archive{File: file, unpack: c.unpack, left: &f.unpackable, log: f.Log}
		}
	}
	return file
}

// rewind goes back to the start, and takes no memory until it is read again.
func (a *archive) rewind() { a.r, a.window, a.end, a.err = nil, nil, 0, nil }

// ReadAt reads what the window has, and the first bytes. It reads on as far as needed.
func (a *archive) ReadAt(p []byte, at int64) (n int, err error) {
	for a.err == nil && a.end < at+int64(len(p)) {
		a.readOn()
	}
	start := a.end - int64(len(a.window))
	switch {
	case at >= start && at < a.end:
		n = copy(p, a.window[at-start:])
	case at < int64(len(a.head)):
		n = copy(p, a.head[at:])
	}
	if n < len(p) {
		err = io.EOF
	}
	return n, err
}

// readOn moves the window on.
func (a *archive) readOn() {
	if a.r == nil {
		if _, a.err = a.Seek(0, io.SeekStart); a.err == nil {
			a.r, a.err = a.unpack(bufio.NewReader(a.File))
		}
	}
	if len(a.window)+chunkLength > windowLength {
		a.window = a.window[:copy(a.window, a.window[chunkLength:])]
	}
	a.window = slices.Grow(a.window, chunkLength)
	to := a.window[len(a.window) : len(a.window)+chunkLength]
	n := 0
	for n < len(to) && a.err == nil {
		var got int
		got, a.err = a.r.Read(to[n:])
		n += got
	}
	a.window, a.end = a.window[:len(a.window)+n], a.end+int64(n)
	if a.head == nil {
		a.head = bytes.Clone(to[:min(n, contextLength)])
	}
	if *a.left -= int64(n); *a.left < 0 && a.err == nil {
		a.err = errTooMuch
	}
	if a.err != nil && a.err != io.EOF {
		a.log.Warn("compressed log not readable; the rest of it is skipped", "file", a.Name(), "err", a.err)
	}
}

var errTooMuch = errors.New("the compressed files together hold more than 2 GiB of text")

// findArchived returns the compressed file that a bookmark of a position is in. It looks
// first into the one that begins last, but not after the last stamp that was read.
func (b *bookmark) findArchived(candidates []candidate, last time.Time) *candidate {
	var archived []*candidate
	for i := range candidates {
		if c := &candidates[i]; c.archive() != nil && !c.first.After(last.Add(disorder)) {
			archived = append(archived, c)
		}
	}
	slices.SortStableFunc(archived, func(x, y *candidate) int {
		return cmp.Or(y.first.Compare(x.first), y.info.ModTime().Compare(x.info.ModTime()))
	})
	for _, c := range archived {
		c.archive().rewind() // another bookmark may have been searched for, nearer to its end
		if b.Length >= shortestCopy && b.in(c.file) {
			return c
		}
	}
	return nil
}

// archive returns the candidate's content if it is compressed.
func (c *candidate) archive() *archive {
	a, _ := c.file.(*archive)
	return a
}
