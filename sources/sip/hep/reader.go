package hep

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"math"

	"freeswitch-security/sources/sip/packet"
)

// A Reader reads packets of version 3 from a connection. It keeps at most 64 KB.
type Reader struct {
	r        *bufio.Reader
	key      string
	datagram []byte
}

// NewReader returns a Reader of r. The key is that of [Decode].
func NewReader(r io.Reader, key string) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, math.MaxUint16), key: key}
}

// Next reads the next packet into p, whose payload is valid until the next call. What [Decode]
// refuses is returned as its error, and the next call goes on behind it. Only where the bytes are
// not HEP the connection cannot be read any further: the error is a [FramingError]. An error of
// the connection is returned as it is; io.EOF: it ended between two packets.
func (r *Reader) Next(p *packet.Packet) error {
	if _, err := r.r.Discard(len(r.datagram)); err != nil {
		return err
	}
	r.datagram = nil
	header, err := r.r.Peek(headerSize)
	if err != nil {
		if err == io.EOF && len(header) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	length := int(binary.BigEndian.Uint16(header[4:]))
	if !bytes.HasPrefix(header, magic) || length < headerSize {
		return FramingError{}
	}
	r.datagram, err = r.r.Peek(length)
	if err != nil {
		if r.datagram = nil; err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	return Decode(r.datagram, r.key, p)
}

// Datagram returns the bytes of the packet that Next read last; nil if there is none.
func (r *Reader) Datagram() []byte { return r.datagram }

// A FramingError ends a connection: what follows is not HEP version 3, or a length is wrong.
type FramingError struct{}

func (FramingError) Error() string { return "HEP connection out of step: no HEP3 header; close it" }
