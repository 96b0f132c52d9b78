package carrier

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// headLength is by how many bytes of a recording its carrier is recognised.
const headLength = 16 << 10

// longestRaw bounds a line of a carrier, in longest lines: JSON writes a byte as six.
const longestRaw = 8

// Open recognises the carrier of a recording and returns a reader of FreeSWITCH's
// lines. A plain recording is read as it is. It reads the head.
func Open(r io.Reader, maxLine int, others bool) (io.Reader, *Carrier) {
	b := bufio.NewReaderSize(r, headLength)
	head, err := b.Peek(headLength)
	switch c := Recognise(head); {
	case c != nil:
		return &reader{from: b, Unwrapper: c.Unwrapper(maxLine, others)}, c
	case err != nil:
		return b, nil // it holds all there is
	}
	return io.MultiReader(bytes.NewReader(head), r), nil
}

// A reader unwraps what it reads.
type reader struct {
	Unwrapper
	from *bufio.Reader
	line []byte // the line that is read
	out  []byte // what was unwrapped
	next int    // what was read of it
	err  error
}

func (r *reader) Read(into []byte) (n int, err error) {
	for r.next == len(r.out) {
		if r.err != nil {
			return 0, r.err
		}
		r.out, r.next = r.out[:0], 0
		r.fill()
	}
	n = copy(into, r.out[r.next:])
	r.next += n
	return n, nil
}

// fill unwraps the next line. The rest of one that is too long is left out, and a
// line that an error cuts off.
func (r *reader) fill() {
	r.line = r.line[:0]
	for {
		part, err := r.from.ReadSlice('\n')
		if room := longestRaw*r.maxLine - len(r.line); room > 0 {
			r.line = append(r.line, part[:min(len(part), room)]...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		r.err = err
		break
	}
	line, whole := strings.CutSuffix(string(r.line), "\n")
	switch {
	case whole:
		r.out = r.Append(r.out, line)
	case r.err == io.EOF:
		r.out = r.AppendUnfinished(r.out, line)
	}
	if r.err == io.EOF {
		r.out = r.Flush(r.out)
	}
}
