package sip

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/sources/sip/hep"
	"freeswitch-security/sources/sip/packet"
	"freeswitch-security/sources/sip/pcap"
)

// A capture is the packets of one recording in their order. The packet is valid until the
// next call. The error is io.EOF at the end.
type capture interface {
	Next(p *packet.Packet) error
}

// Replay reads a recording: HEP datagrams, each behind its length (4 bytes, big-endian), a
// pcap or pcapng file, or the text of SIP messages. Lines counts packets.
func (s *source) Replay(ctx context.Context, rec plugin.Recording, want map[string]bool, emit func(*event.Event) error) (plugin.Stats, error) {
	var stats plugin.Stats
	packets, err := s.recorded(rec)
	if err != nil {
		return stats, fmt.Errorf("read %s: %w", rec.Name, err)
	}
	table := s.newTable(want, nil)
	isText := false
	switch c := packets.(type) {
	case *texts:
		isText, table, stats.Recognised = true, s.textTable(want), c.isSIP
	case *recordedWire:
		stats.Recognised = true // by its head, even if it holds no SIP
	}
	var failed error
	put := func(e *event.Event) {
		if failed == nil {
			failed = emit(e)
		}
	}
	for p := new(packet.Packet); ctx.Err() == nil; {
		err := packets.Next(p)
		if err != nil {
			stats.Note = strings.Join(notes(packets), "; ")
		}
		if errors.Is(err, io.EOF) {
			return stats, nil
		}
		if err != nil {
			return stats, fmt.Errorf("read %s: %w", rec.Name, err)
		}
		stats.Lines++
		stats.Bytes += int64(len(p.Payload))
		stats.Recognised = stats.Recognised || !isText
		if table.Take(p, put); failed != nil {
			return stats, failed
		}
	}
	return stats, ctx.Err()
}

// recorded opens a recording.
func (s *source) recorded(rec plugin.Recording) (capture, error) {
	if merged, ok := rec.R.(*merged); ok {
		return merged, nil
	}
	return openCapture(rec.R, s.key, rec.ModTime)
}

// openCapture opens one recording by its first bytes. A text without times is of the time at.
func openCapture(r io.Reader, key string, at time.Time) (capture, error) {
	ahead := bufio.NewReaderSize(r, 4*maxDatagram)
	head, _ := ahead.Peek(4) // Read returns the error again
	switch {
	case pcap.Is(head):
		wire, err := pcap.NewReader(ahead)
		return &recordedWire{wire, key}, err
	case len(head) == 4 && head[0] == 0: // a length, which is small
		return &datagrams{r: ahead, key: key}, nil
	default:
		return readTexts(ahead, at), nil
	}
}

// recordedWire reads a pcap or pcapng file, and the HEP datagrams in it.
type recordedWire struct {
	*pcap.Reader
	key string
}

// Next skips HEP datagrams that are not SIP.
func (w *recordedWire) Next(p *packet.Packet) error {
	for {
		err := w.Reader.Next(p)
		if err != nil || p.Transport != packet.UDP || !pcap.IsHEP(p.Payload) {
			return err
		}
		if err = hep.Decode(p.Payload, w.key, p); err == nil || errors.Is(err, hep.ErrKey) {
			return err
		}
	}
}

// notes says what a capture that has ended holds and was not read.
func notes(c capture) []string {
	switch c := c.(type) {
	case *recordedWire:
		return c.Counts.Notes()
	case *merged:
		return c.notes
	}
	return nil
}

// datagrams reads HEP datagrams, each behind its length.
type datagrams struct {
	r    *bufio.Reader
	key  string
	held int   // bytes of the datagram returned last
	read int64 // bytes before it
}

// Next skips what is not SIP. A datagram that is cut off at the end of the recording is left out.
func (d *datagrams) Next(p *packet.Packet) error {
	for {
		d.r.Discard(d.held) // the last Peek had them all
		d.read += int64(d.held)
		d.held = 0
		head, err := d.r.Peek(4)
		if err != nil {
			return err
		}
		length := binary.BigEndian.Uint32(head)
		if length > maxDatagram {
			return fmt.Errorf("byte %d: a length of %d bytes: it is no recording of HEP datagrams, or a damaged one", d.read, length)
		}
		datagram, err := d.r.Peek(4 + int(length))
		if err != nil {
			return err
		}
		d.held = len(datagram)
		switch err := hep.Decode(datagram[4:], d.key, p); {
		case err == nil:
			return nil
		case errors.Is(err, hep.ErrKey):
			return fmt.Errorf("byte %d: %w", d.read, err)
		case d.read == 0 && !errors.Is(err, hep.ErrNotSIP):
			return fmt.Errorf("it does not begin with a HEP datagram: %w", err)
		}
	}
}
