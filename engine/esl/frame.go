package esl

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Limits of a frame, in bytes. A full channel event has 3 to 10 kB, and an answer
// that lists 100,000 registrations some 40 MB.
const (
	maxHead   = 64 << 10 // header lines
	maxBody   = 16 << 20
	maxAnswer = 64 << 20 // body of an answer to an api command
)

// A kind is the Content-Type of a frame.
type kind int

const (
	kindOther       kind = iota // unknown, and skipped by its length
	kindAuthRequest             // asks for the password
	kindReply                   // to a command
	kindAnswer                  // to an api command
	kindJSON                    // event
	kindPlain                   // event in lines
	kindRecord                  // of the log
	kindNotice                  // of disconnection
	kindRejection               // by the access list
)

var kinds = map[string]kind{
	"auth/request":           kindAuthRequest,
	"command/reply":          kindReply,
	"api/response":           kindAnswer,
	"text/event-json":        kindJSON,
	"text/event-plain":       kindPlain,
	"log/data":               kindRecord,
	"text/disconnect-notice": kindNotice,
	"text/rude-rejection":    kindRejection,
}

// isReport reports whether frames of the kind are events, log records or unknown.
func (k kind) isReport() bool {
	return k == kindJSON || k == kindPlain || k == kindRecord || k == kindOther
}

// A frame is one unit of the protocol: header lines, an empty line and a body. Its
// bytes are valid until the next frame is read.
type frame struct {
	kind kind
	head []byte // "Name: value" lines, each with its line break
	body []byte // empty for kindOther
}

// field returns the value of a header; nil where there is none.
func (f *frame) field(name string) []byte {
	for line := range bytes.Lines(f.head) {
		if n, value := cutLine(line); string(n) == name {
			return value
		}
	}
	return nil
}

// cutLine splits "Name: value". The name is nil in a line without a colon.
func cutLine(line []byte) (name, value []byte) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return nil, nil
	}
	return name, bytes.TrimSpace(value)
}

// frames reads the frames of one stream.
type frames struct {
	buf    *bufio.Reader
	tail   tail
	head   []byte
	body   []byte
	secret string // left out of quotes
}

func newFrames(r io.Reader) *frames {
	f := &frames{tail: tail{r: r}}
	f.buf = bufio.NewReaderSize(&f.tail, maxHead)
	return f
}

// next returns the next frame. The error is io.EOF between two frames,
// io.ErrUnexpectedEOF in one, ErrProtocol in another kind of stream, and else that
// of the connection.
func (r *frames) next() (frame, error) {
	if err := r.readHead(); err != nil {
		return frame{}, err
	}
	f := frame{head: r.head}
	f.kind = kinds[string(f.field("Content-Type"))]
	length := 0
	if text := f.field("Content-Length"); text != nil {
		var err error
		length, err = strconv.Atoi(string(text))
		if err != nil || length < 0 || length > maxBody && !(f.kind == kindAnswer && length <= maxAnswer) {
			return frame{}, fmt.Errorf("%w: a frame with Content-Length %s", ErrProtocol, r.quote(text))
		}
	}
	if f.kind == kindOther {
		_, err := r.buf.Discard(length)
		return f, within(err)
	}
	var err error
	f.body, err = r.readBody(length)
	return f, err
}

// readHead reads header lines up to the empty line after them. It skips empty lines
// before the first, and counts them towards the limit.
func (r *frames) readHead() error {
	r.head = r.head[:0]
	for size := 0; ; {
		line, err := r.buf.ReadSlice('\n')
		size += len(line)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) || size > maxHead:
			return fmt.Errorf("%w: a header of more than %d kB", ErrProtocol, maxHead>>10)
		case errors.Is(err, io.EOF) && len(line)+len(r.head) > 0:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			if len(r.head) > 0 {
				return nil
			}
			continue
		}
		// Checked line by line: another protocol may send no more than a greeting.
		if !isHeader(line) {
			return fmt.Errorf("%w: it sends %q", ErrProtocol, r.quote(line))
		}
		r.head = append(append(r.head, line...), '\n')
	}
}

// isHeader reports whether a line has the form of a header: a name of letters,
// digits, - and _, and a colon.
func isHeader(line []byte) bool {
	name, _, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 {
		return false
	}
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// readBody reads a body. Its memory grows with what arrives, not with the claimed
// length.
func (r *frames) readBody(length int) ([]byte, error) {
	const first, kept = 16 << 10, 1 << 20
	if cap(r.body) > kept {
		r.body = nil
	}
	r.body = r.body[:0]
	for len(r.body) < length {
		have := len(r.body)
		step := min(length-have, max(have, first))
		r.body = slices.Grow(r.body, step)
		n, err := io.ReadFull(r.buf, r.body[have:have+step])
		r.body = r.body[:have+n]
		if err != nil {
			return r.body, within(err)
		}
	}
	return r.body, nil
}

// within turns the end of a stream into an end in a frame.
func within(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// notice returns the text of the disconnect notice at the end of the stream; nil if
// there is none. Trap: to a slow listener the switch writes it in the middle of a
// frame, so that it reads as the rest of that frame.
func (r *frames) notice() []byte {
	i := bytes.LastIndex(r.tail.last, []byte("Content-Type: text/disconnect-notice\n"))
	if i < 0 {
		return nil
	}
	_, text, _ := bytes.Cut(r.tail.last[i:], []byte("\n\n"))
	return text
}

// A tail counts the bytes that were read, and keeps the last ones.
type tail struct {
	r    io.Reader
	read int64
	last []byte
	idle func() // called before each read; nil: nothing is
}

func (t *tail) Read(p []byte) (int, error) {
	const size = 512 // a notice has some 150
	if t.idle != nil {
		t.idle()
	}
	n, err := t.r.Read(p)
	t.read += int64(n)
	t.last = append(t.last, p[max(0, n-size):n]...)
	if over := len(t.last) - size; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	return n, err
}

// ended reports whether an error of next is only the end of a recording, which may
// be in a frame, or in the notice that cuts a frame off.
func (r *frames) ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrProtocol) && r.notice() != nil
}

// quote makes the other side's bytes printable, without the password: a server may
// echo what it gets.
func (r *frames) quote(b []byte) string {
	text := string(b[:min(len(b), 1<<10)])
	if r.secret != "" {
		text = strings.ReplaceAll(text, r.secret, "[password]")
	}
	return Printable(text)
}
