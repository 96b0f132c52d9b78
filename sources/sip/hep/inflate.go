package hep

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
)

// inflate returns a compressed payload as it was, if it is no longer than MaxPayload.
func inflate(b []byte) ([]byte, error) {
	var r io.Reader
	var err error
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		r, err = gzip.NewReader(bytes.NewReader(b))
	} else {
		r, err = zlib.NewReader(bytes.NewReader(b))
	}
	if err != nil {
		return nil, ErrCompressed
	}
	plain, err := io.ReadAll(io.LimitReader(r, MaxPayload+1))
	if err != nil || len(plain) > MaxPayload {
		return nil, ErrCompressed
	}
	return plain, nil
}
