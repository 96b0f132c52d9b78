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
	"unicode"
)

// What a frame may be at most, in bytes. A full channel event has 3 to 10 kB, and an
// answer that lists 100,000 registrations some 40 MB.
const (
	maxHead   = 64 << 10 // its header lines
	maxBody   = 16 << 20 // its body
	maxAnswer = 64 << 20 // that of an answer to a command
)

// A kind is what a frame's Content-Type says.
type kind int

const (
	kindOther       kind = iota // unknown to us, and skipped by its length
	kindAuthRequest             // the switch asks for the password
	kindReply                   // its answer to a command
	kindAnswer                  // its answer to an api command
	kindJSON                    // an event
	kindPlain                   // an event in lines
	kindRecord                  // of its log
	kindNotice                  // that it will end the connection
	kindRejection               // by its access list
)

func kindOf(contentType []byte) kind {
	switch string(contentType) {
	case "auth/request":
		return kindAuthRequest
	case "command/reply":
		return kindReply
	case "api/response":
		return kindAnswer
	case "text/event-json":
		return kindJSON
	case "text/event-plain":
		return kindPlain
	case "log/data":
		return kindRecord
	case "text/disconnect-notice":
		return kindNotice
	case "text/rude-rejection":
		return kindRejection
	}
	return kindOther
}

// A frame is one unit of the protocol: header lines, an empty line and a body.
// Its bytes are good until the next frame is read.
type frame struct {
	kind kind
	head []byte // "Name: value" lines, each with its line break
	body []byte // empty for kindOther
}

// field returns the value of a header line, nil where there is none.
func (f *frame) field(name string) []byte {
	for line := range bytes.Lines(f.head) {
		if n, value := cutLine(line); string(n) == name {
			return value
		}
	}
	return nil
}

// cutLine splits "Name: value". The name is nil where the line has none.
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
	secret string // never quoted in an error
}

func newFrames(r io.Reader) *frames {
	f := &frames{tail: tail{r: r}}
	f.buf = bufio.NewReaderSize(&f.tail, maxHead)
	return f
}

// next returns the next frame. The error is io.EOF between two frames,
// io.ErrUnexpectedEOF within one, ErrProtocol where the stream is none of an
// event socket, and else the connection's own.
func (r *frames) next() (frame, error) {
	if err := r.readHead(); err != nil {
		return frame{}, err
	}
	f := frame{head: r.head}
	f.kind = kindOf(f.field("Content-Type"))
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

// readHead reads header lines up to the empty one that ends them. Empty lines
// before the first are passed over, as part of the block so far as its limit goes.
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
		// Judged line by line: another protocol's greeting may be all that ever comes.
		if !isHeader(line) {
			return fmt.Errorf("%w: it says %q", ErrProtocol, r.quote(line))
		}
		r.head = append(append(r.head, line...), '\n')
	}
}

// isHeader reports whether a line has a header's form: a name of letters, digits,
// - and _, and a colon.
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

// readBody reads a body, into memory that grows with what arrives: a length is
// only a claim.
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

// within turns an end of the stream into one within a frame.
func within(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// notice returns the disconnect notice with which the stream ends, "" if it does
// not. A switch that gives up a slow listener cuts a frame off in its middle and
// writes its notice right there, where it reads as the rest of that frame.
func (r *frames) notice() []byte {
	i := bytes.LastIndex(r.tail.last, []byte("Content-Type: text/disconnect-notice\n"))
	if i < 0 {
		return nil
	}
	_, text, _ := bytes.Cut(r.tail.last[i:], []byte("\n\n"))
	return text
}

// A tail remembers the last bytes that were read.
type tail struct {
	r    io.Reader
	last []byte
}

func (t *tail) Read(p []byte) (int, error) {
	const size = 512 // a notice has some 150
	n, err := t.r.Read(p)
	fresh := p[:n]
	if n > size {
		fresh = fresh[n-size:]
	}
	t.last = append(t.last, fresh...)
	if over := len(t.last) - size; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	return n, err
}

// quote makes text of the other side's bytes: bounded, printable, and without the
// password, which a server that echoes what it gets would have us print.
func (r *frames) quote(b []byte) string {
	const most = 200
	text := string(b[:min(len(b), 4*most)])
	if r.secret != "" {
		text = strings.ReplaceAll(text, r.secret, "[password]")
	}
	text = strings.Join(strings.Fields(text), " ")
	var quoted strings.Builder
	for _, c := range text {
		if quoted.Len() >= most {
			quoted.WriteRune('…')
			break
		}
		if !unicode.IsPrint(c) {
			c = unicode.ReplacementChar
		}
		quoted.WriteRune(c)
	}
	return quoted.String()
}
