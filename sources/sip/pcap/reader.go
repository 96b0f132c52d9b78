package pcap

import (
	"errors"
	"fmt"
	"io"
	"net/netip"

	"freeswitch-security/sources/sip/packet"
)

// Counts says what a reader has seen.
type Counts struct {
	Frames    int64 // everything that was recorded
	Bytes     int64 // of the frames
	Truncated int64 // datagrams and pieces that were not recorded to their end
	Encrypted int64 // pieces of TLS connections to port 5061
	Lost      int64 // gaps in connections
}

// Notes says what was recorded and could not be read, and what to do about it.
func (c Counts) Notes() (notes []string) {
	for _, n := range []struct {
		count int64
		text  string
	}{
		{c.Truncated, "packets are cut off: record whole packets (tcpdump -s 0)"},
		{c.Encrypted, "pieces of TLS connections were not read: have the switch mirror their messages over HEP"},
		{c.Lost, "gaps in TCP connections: what they held was not recorded"},
	} {
		if n.count > 0 {
			notes = append(notes, fmt.Sprintf("%d %s", n.count, n.text))
		}
	}
	return notes
}

// A Reader reads one file. It is for one goroutine.
type Reader struct {
	Counts Counts

	frames  frames
	frame   frame
	decoder decoder
	known   endpoints
	tcp     sequencer
	ended   error
}

// NewReader reads the head of a file, which may be compressed by gzip.
func NewReader(r io.Reader) (*Reader, error) {
	frames, err := open(r)
	if err != nil {
		return nil, fmt.Errorf("read the head of the capture: %w", err)
	}
	return &Reader{frames: frames, known: endpoints{}}, nil
}

// Next reads the next packet with SIP, or with what was sent to a port of SIP. Its error is
// io.EOF at the end of the file. Any other error comes after everything that could be read.
func (r *Reader) Next(p *packet.Packet) error {
	for {
		if r.tcp.pop(p) {
			return nil
		}
		if r.ended != nil {
			return r.ended
		}
		before := r.frame.at
		if err := r.frames.next(&r.frame); err != nil {
			r.ended = r.reason(err)
			r.tcp.drain(before)
			r.Counts.Lost = r.tcp.lost
			continue
		}
		r.Counts.Frames++
		r.Counts.Bytes += int64(len(r.frame.data))
		if r.take(p, r.decoder.decode(&r.frame)) {
			return nil
		}
	}
}

// take hands on what the decoder found: a datagram to p, a piece of a connection to r.tcp.
func (r *Reader) take(p *packet.Packet, what found) bool {
	d := &r.decoder
	switch what {
	case torn:
		r.Counts.Truncated++
	case datagram:
		if !r.known.admits(d.from, d.to, d.payload) && !secure(d.from, d.to) {
			return false
		}
		if d.truncated {
			r.Counts.Truncated++
		}
		*p = packet.Packet{Time: r.frame.at, From: d.from, To: d.to, Transport: packet.UDP, Payload: d.payload, Truncated: d.truncated}
		return true
	case segment:
		if !r.tcp.has(d.from, d.to) && !r.known.admits(d.from, d.to, d.payload) {
			if secure(d.from, d.to) && len(d.payload) > 0 {
				r.Counts.Encrypted++
			}
			return false
		}
		if d.truncated {
			r.Counts.Truncated++
			return false
		}
		r.tcp.take(d, r.frame.at)
		r.Counts.Lost = r.tcp.lost
	}
	return false
}

// secure reports whether one end is the port of SIP over TLS.
func secure(from, to netip.AddrPort) bool { return from.Port() == 5061 || to.Port() == 5061 }

// reason says why the reading ends, in words.
func (r *Reader) reason(err error) error {
	switch {
	case err == io.EOF:
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the capture ends within a packet")
	}
	return fmt.Errorf("after %d packets: %w", r.Counts.Frames, err)
}
