package pcap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"freeswitch-security/sources/sip/packet"
)

// magics begin pcap files of both byte orders, with stamps in µs or ns, and pcapng files.
var magics = []string{"\xa1\xb2\xc3\xd4", "\xd4\xc3\xb2\xa1", "\xa1\xb2\x3c\x4d", "\x4d\x3c\xb2\xa1", magicNg}

const magicNg = "\x0a\x0d\x0d\x0a"

// Is reports whether a file that begins with head is a pcap or pcapng file.
func Is(head []byte) bool {
	for _, magic := range magics {
		if strings.HasPrefix(string(head[:min(len(head), 4)]), magic) {
			return true
		}
	}
	return false
}

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
	link    layers.LinkType // of a pcap file; the frames of a pcapng file have their own
	decoder decoder
	known   endpoints
	tcp     sequencer
	now     time.Time // of the last frame
	ended   error
}

// frames is a file of either format.
type frames interface {
	ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error)
}

// NewReader reads the head of a file, which may be compressed by gzip.
func NewReader(r io.Reader) (*Reader, error) {
	in := bufio.NewReaderSize(r, 1<<18)
	head, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	p := &Reader{known: endpoints{}}
	p.decoder.init()
	if string(head) == magicNg {
		p.frames, err = pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	} else if Is(head) || len(head) > 1 && head[0] == 0x1f && head[1] == 0x8b {
		var file *pcapgo.Reader
		if file, err = pcapgo.NewReader(in); err == nil {
			p.frames, p.link = file, file.LinkType()
		}
	} else {
		err = errors.New("neither pcap nor pcapng")
	}
	if err != nil {
		return nil, fmt.Errorf("read the head of the capture: %w", err)
	}
	return p, nil
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
		data, info, err := r.frames.ZeroCopyReadPacketData()
		if err != nil {
			r.ended = r.reason(err)
			r.tcp.drain(r.now)
			r.Counts.Lost = r.tcp.lost
			continue
		}
		link := r.link
		if len(info.AncillaryData) > 0 {
			link, _ = info.AncillaryData[0].(layers.LinkType)
		}
		r.Counts.Frames++
		r.Counts.Bytes += int64(len(data))
		r.now = info.Timestamp
		if r.take(p, r.decoder.decode(first(link, data), data, r.now)) {
			return nil
		}
	}
}

// take hands on what the decoder found: a datagram to p, a piece of a connection to r.tcp.
func (r *Reader) take(p *packet.Packet, transport gopacket.LayerType) bool {
	d := &r.decoder
	switch transport {
	case gopacket.LayerTypeFragment:
		r.Counts.Truncated++
	case layers.LayerTypeUDP:
		from, to := d.endpoints(uint16(d.udp.SrcPort), uint16(d.udp.DstPort))
		if !r.known.admits(from, to, d.udp.Payload) && !secure(from, to) {
			return false
		}
		if d.truncated {
			r.Counts.Truncated++
		}
		*p = packet.Packet{Time: r.now, From: from, To: to, Transport: packet.UDP, Payload: d.udp.Payload, Truncated: d.truncated}
		return true
	case layers.LayerTypeTCP:
		from, to := d.endpoints(uint16(d.tcp.SrcPort), uint16(d.tcp.DstPort))
		if !r.tcp.has(from, to) && !r.known.admits(from, to, d.tcp.Payload) {
			if secure(from, to) && len(d.tcp.Payload) > 0 {
				r.Counts.Encrypted++
			}
			return false
		}
		if d.truncated {
			r.Counts.Truncated++
			return false
		}
		r.tcp.take(from, to, &d.tcp, r.now)
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
