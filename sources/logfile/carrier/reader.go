package carrier

import (
	"bufio"
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
	c := Recognise(head)
	if c == nil {
		// What was read stands in front of the rest, which is not copied once more.
		head = append([]byte(nil), head...)
		if err != nil {
			return &prefixed{head, failed{err}}, nil
		}
		return &prefixed{head, r}, nil
	}
	return &reader{from: b, Unwrapper: c.Unwrapper(maxLine, others)}, c
}

// A prefixed reader reads a head, then the rest.
type prefixed struct {
	head []byte
	rest io.Reader
}

func (p *prefixed) Read(into []byte) (n int, err error) {
	if len(p.head) == 0 {
		return p.rest.Read(into)
	}
	n = copy(into, p.head)
	p.head = p.head[n:]
	return n, nil
}

// A failed reader returns an error.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

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
