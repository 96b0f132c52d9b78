package esl

import "io"

// A Reader reads a recorded stream: the bytes that a switch sent on one connection,
// from any frame on.
type Reader struct {
	frames  *frames
	skipped int64
}

// NewReader returns a reader of JSON events, plain events and log records, in any mix.
func NewReader(r io.Reader) *Reader { return &Reader{frames: newFrames(r)} }

// Next returns the next event or log record. It skips replies and notices, and
// counts the frames that cannot be decoded. It returns io.EOF at the end, also in a
// frame; ErrProtocol where r is another kind of stream; and else the error of r.
func (r *Reader) Next() (Message, error) {
	for {
		f, err := r.frames.next()
		if err != nil && r.frames.ended(err) {
			return Message{}, io.EOF
		}
		if err != nil {
			return Message{}, err
		}
		if m, ok := f.message(); ok {
			return m, nil
		}
		if f.kind.isReport() {
			r.skipped++
		}
	}
}

// Skipped returns how many frames could not be decoded: events that are not a JSON
// object, and unknown content types.
func (r *Reader) Skipped() int64 { return r.skipped }

// Bytes returns how many bytes were read.
func (r *Reader) Bytes() int64 { return r.frames.tail.read }
