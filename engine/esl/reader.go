package esl

import "io"

// A Reader reads a recorded stream: the bytes that a switch sent on one
// connection, from any frame on.
type Reader struct {
	frames  *frames
	skipped int64
}

// NewReader returns a reader of r, which is JSON or plain events, log records, or
// all of them in turn.
func NewReader(r io.Reader) *Reader { return &Reader{frames: newFrames(r)} }

// Next returns the next event or log record. Replies and notices are passed over,
// and so are frames that cannot be read, which are counted. It returns io.EOF at
// the end, and after a frame that is cut off; ErrProtocol where r is no such
// stream, or goes on as none; and else the error of r.
func (r *Reader) Next() (Message, error) {
	for {
		f, err := r.frames.next()
		if err != nil && r.frames.over(err) {
			return Message{}, io.EOF
		}
		if err != nil {
			return Message{}, err
		}
		if m, ok := f.message(); ok {
			return m, nil
		}
		switch f.kind {
		case kindOther, kindJSON, kindPlain:
			r.skipped++
		}
	}
}

// Skipped returns how many frames could not be read: events that are no JSON
// object, and content types that are not known.
func (r *Reader) Skipped() int64 { return r.skipped }

// message makes a message of an event or log record.
func (f *frame) message() (Message, bool) {
	m := Message{Headers: make(map[string]string, 32), Record: f.kind == kindRecord}
	ok := f.each(func(name, value []byte) {
		if string(name) == bodyName {
			m.Body = string(value)
			return
		}
		m.Headers[string(name)] = string(value)
	})
	return m, ok
}
