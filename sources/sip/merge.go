package sip

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"time"

	"freeswitch-security/sources/sip/packet"
)

// merge reads several recordings as one, in the order of time: hosts record side by side, and
// a recording is cut into files. Replay takes the packets; as a reader it is the recordings in turn.
func (s *source) merge(recordings []io.Reader) io.Reader {
	m := &merged{Reader: io.MultiReader(recordings...)}
	for _, r := range recordings {
		m.parts = append(m.parts, &part{from: r, key: s.key})
	}
	return m
}

type merged struct {
	io.Reader
	parts  []*part // that have not ended
	latest *part   // whose packet was returned last
	failed error   // of the parts that ended
	notes  []string
}

// A part is one recording, and its next packet.
type part struct {
	from io.Reader
	key  string
	capture
	packet.Packet
}

// Next returns the earliest packet. The error of one recording comes when all have ended.
func (m *merged) Next(p *packet.Packet) error {
	if m.latest == nil {
		for _, part := range slices.Clone(m.parts) {
			m.advance(part)
		}
	} else {
		m.advance(m.latest)
	}
	if len(m.parts) == 0 {
		return cmp.Or(m.failed, io.EOF)
	}
	m.latest = m.parts[0]
	for _, part := range m.parts[1:] {
		if part.Time.Before(m.latest.Time) {
			m.latest = part
		}
	}
	*p = m.latest.Packet
	return nil
}

// advance reads the next packet of a part, or removes the part.
func (m *merged) advance(p *part) {
	var err error
	if p.capture == nil {
		p.capture, err = openCapture(p.from, p.key, time.Time{})
	}
	if err == nil {
		err = p.Next(&p.Packet)
	}
	if err == nil {
		return
	}
	m.notes = append(m.notes, notes(p.capture)...)
	m.parts = slices.DeleteFunc(m.parts, func(other *part) bool { return other == p })
	if !errors.Is(err, io.EOF) {
		m.failed = errors.Join(m.failed, err)
	}
}
