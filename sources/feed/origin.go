package feed

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// An origin is where a list comes from. It is not safe for concurrent use.
type origin interface {
	// fetch reads the list. An answer may come with an error: then it holds what was
	// read before the error.
	fetch(ctx context.Context) (answer, error)

	// accepted says that the bans follow the last answer. Until then the origin must
	// not answer that nothing has changed since.
	accepted()
}

// An answer is what a fetch returns.
type answer struct {
	kind answerKind
	list list
	size int // bytes that were read, unpacked
}

type answerKind uint8

const (
	nothing answerKind = iota // no list was read
	whole                     // these targets are listed, and no others
	same                      // the list has not changed
	more                      // the list has not changed but for these further targets
	part                      // these targets are listed; nothing is known of others
)

// A laterError is a failure after which the origin asks to be left alone.
type laterError struct {
	error
	after time.Duration
}

// open returns the origin of a feed.
func (s *source) open() origin {
	switch {
	case s.path != "":
		return &file{config: &s.config}
	case s.isAPIBAN():
		return &apiban{client: s.client()}
	}
	return &page{client: s.client()}
}

// whole reads a body that holds the whole list.
func (c *config) whole(body []byte) (answer, error) {
	l, err := read(body, c.format, c.bounds)
	if err != nil {
		return answer{}, err
	}
	return answer{kind: whole, list: *l, size: len(body)}, nil
}

// readBounded reads all of r, unpacked if it is gzip data. More than most bytes are an
// error.
func readBounded(r io.Reader, most int) ([]byte, error) {
	body, err := readAll(r, most)
	if err != nil || !bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		return body, err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(body))
	if err == nil {
		body, err = readAll(unpacked, most)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("unpack: it ends too early")
	}
	return body, err
}

func readAll(r io.Reader, most int) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err == nil && len(body) > most {
		return nil, tooLong(most)
	}
	return body, err
}

func tooLong(most int) error { return fmt.Errorf("more than %d bytes (max_bytes)", most) }
