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

// An origin is where a list comes from. It belongs to one goroutine.
type origin interface {
	// fetch looks at the list. An answer may come with an error: then it holds
	// what could be had before.
	fetch(ctx context.Context) (answer, error)

	// taken says that the last answer was believed and carried out. Until then
	// the origin must not answer that nothing has changed since.
	taken()
}

// An answer is what a look at an origin brought.
type answer struct {
	kind answerKind
	list *list // nil if there is none
	size int64 // bytes that were read, unpacked
}

type answerKind uint8

const (
	nothing answerKind = iota // no list was had
	whole                     // this is listed, and nothing else
	same                      // what was listed is listed still, and nothing else
	more                      // what was listed is listed still, and this as well
	part                      // this is listed; of the rest nothing is known
)

// A laterError is a failure after which the origin asks to be left alone.
type laterError struct {
	error
	after time.Duration
}

// open gives the origin of a feed.
func (s *source) open() origin {
	switch {
	case s.path != "":
		return &file{settings: &s.settings}
	case s.isAPIBAN():
		return &apiban{client: s.client(), pace: s.pace}
	}
	return &page{client: s.client()}
}

// readBounded reads all of r, unpacked if it is a gzip file, and fails where that
// is more than most bytes.
func readBounded(r io.Reader, most int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > most {
		return nil, tooLong(most)
	}
	if !bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		return body, nil
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	body, err = io.ReadAll(io.LimitReader(unpacked, most+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("unpack: it ends too early")
	case err != nil:
		return nil, fmt.Errorf("unpack: %w", err)
	case int64(len(body)) > most:
		return nil, tooLong(most)
	}
	return body, nil
}

func tooLong(most int64) error { return fmt.Errorf("more than %d bytes (max_bytes)", most) }
