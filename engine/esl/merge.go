package esl

import (
	"bufio"
	"bytes"
	"errors"
	"hash/maphash"
	"io"
	"math"
	"regexp"
	"strconv"
	"time"
)

// Merge reads recorded streams of one switch as the one that they are parts of:
// whole frames of events and log records, in the order of the times that the switch
// gave them. The streams may have been recorded side by side, on connections of
// their own, or one after the other, and what several of them hold is read once. A
// stream that does not begin with a frame is the rest of the one before it. zone is
// that of the stamps of log records; in the hour that it has twice a year, they may come
// before the events of their time.
//
// What ends a [Reader] ends the stream in which it stands, and is told at the end.
func Merge(zone *time.Location, streams []io.Reader) io.Reader {
	return &merger{zone: zone, streams: streams, seed: maphash.MakeSeed(), read: map[copied]int{}, most: maxRead}
}

// frameStart is how a frame begins that a switch sends: with the type, or, that of an
// event, with the length. Where a recording was divided behind the first of these
// lines, the rest begins with the second.
var frameStart = regexp.MustCompile(`^Content-(Type: (?:auth|command|api|log|text/disconnect|text/rude)|Length: \d+\nContent-Type: text/event-)`)

// maxRead is how many frames are remembered, as the parts had them and as they were
// handed out. Stamps bound nothing: they may go back, and one that is far ahead would
// have all before it forgotten.
const maxRead = 1 << 18

// A merger hands out the frames of several streams.
type merger struct {
	zone    *time.Location
	streams []io.Reader // as they were given, until they are begun with
	parts   []*part     // that have not ended
	out     []byte      // what was not read yet of the frame at hand
	end     error       // the first that ended a part

	seed  maphash.Seed
	read  map[copied]int // how often, of the latest frames
	order []copied       // those in read, the oldest first
	most  int            // that are remembered
}

// A part is one of the streams, and its next frame.
type part struct {
	frames *frames
	frame  frame
	at     int64 // when the switch says that it happened, in µs since 1970; that of the one before where it does not say
	number int64 // of an event, which a switch counts; the highest there is for what has none
	id     string
	taken  bool // the frame was handed out
}

// A copied is a frame as one of the parts has it, or, for the part nil, as it was
// handed out.
type copied struct {
	part *part
	id   uint64
}

// Read hands out frames. Its error comes after everything that could be read.
func (m *merger) Read(p []byte) (int, error) {
	m.begin()
	for len(m.out) == 0 {
		next := m.earliest()
		if next == nil {
			if m.end != nil {
				return 0, m.end
			}
			return 0, io.EOF
		}
		next.taken = true
		if m.isNew(next) {
			m.out = next.frame.raw()
		}
	}
	n := copy(p, m.out)
	m.out = m.out[n:]
	return n, nil
}

// begin puts together the streams that are pieces of one.
func (m *merger) begin() {
	var whole []io.Reader
	for _, r := range m.streams {
		start := bufio.NewReader(r)
		head, _ := start.Peek(80) // an error comes again when it is read
		if last := len(whole) - 1; last >= 0 && !frameStart.Match(head) {
			whole[last] = io.MultiReader(whole[last], start)
			continue
		}
		whole = append(whole, start)
	}
	for _, r := range whole {
		m.parts = append(m.parts, &part{frames: newFrames(r), taken: true})
	}
	m.streams = nil
}

// earliest is the part whose frame is the next; nil at the end.
func (m *merger) earliest() (next *part) {
	running := m.parts[:0]
	for _, p := range m.parts {
		if p.taken {
			if err := p.advance(m.zone); err != nil {
				if !p.frames.over(err) && m.end == nil {
					m.end = err
				}
				continue
			}
		}
		running = append(running, p)
		if next == nil || p.before(next) {
			next = p
		}
	}
	clear(m.parts[len(running):])
	m.parts = running
	return next
}

// before reports whether a part's frame comes before that of another. The switch's
// clock has ticks of 20 ms; of one tick, events come in the order of their numbers,
// and then records, in whatever order the recordings are named.
func (p *part) before(other *part) bool {
	if p.at != other.at {
		return p.at < other.at
	}
	return p.number < other.number
}

// advance reads the part's next frame that a [Reader] makes something of.
func (p *part) advance(zone *time.Location) error {
	for {
		f, err := p.frames.next()
		if err != nil {
			return err
		}
		switch f.kind {
		case kindJSON, kindPlain, kindRecord, kindOther:
			p.frame, p.taken = f, false
			p.identify(zone)
			return nil
		}
	}
}

// recordStamp begins every record of the log, in the switch's local time.
const recordStamp = "2006-01-02 15:04:05.000000"

// identify sets when the frame happened, and by what it is known again in another
// recording: an event by its number, a record by its text. A frame without a time is
// not known again.
func (p *part) identify(zone *time.Location) {
	p.id, p.number = "", math.MaxInt64
	if p.frame.kind == kindRecord {
		text := p.frame.body
		at, err := time.ParseInLocation(recordStamp, string(text[:min(len(text), len(recordStamp))]), zone)
		if err == nil {
			p.at, p.id = at.UnixMicro(), string(bytes.TrimSpace(text))
		}
		return
	}
	var stamp, core, sequence string
	p.frame.each(func(name, value []byte) {
		switch string(name) {
		case "Event-Date-Timestamp":
			stamp = string(value)
		case "Core-UUID":
			core = string(value)
		case "Event-Sequence":
			sequence = string(value)
		}
	})
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return
	}
	p.at = at
	if number, err := strconv.ParseInt(sequence, 10, 64); err == nil {
		p.number, p.id = number, core+" "+sequence
	}
}

// isNew reports whether no other part has had the frame yet: a switch may say the
// same twice, and then each of its streams has it twice.
func (m *merger) isNew(p *part) bool {
	if p.id == "" {
		return true
	}
	id := maphash.String(m.seed, p.id)
	mine, all := copied{p, id}, copied{nil, id}
	m.count(mine)
	if m.read[mine] <= m.read[all] {
		return false
	}
	m.count(all)
	return true
}

// count remembers that a frame was read once more.
func (m *merger) count(c copied) {
	if m.read[c]++; m.read[c] > 1 {
		return
	}
	m.order = append(m.order, c)
	if len(m.order) > m.most {
		delete(m.read, m.order[0])
		m.order = m.order[1:]
	}
}

// raw is the frame as it was sent. Of one that nobody can read, there is only the
// head.
func (f *frame) raw() []byte {
	if f.kind == kindOther {
		return []byte("Content-Type: unknown\n\n")
	}
	return append(append(append(make([]byte, 0, len(f.head)+1+len(f.body)), f.head...), '\n'), f.body...)
}

// over reports whether an error of next is no more than the end of a recording, which
// may come in the middle of a frame.
func (r *frames) over(err error) bool {
	// What is left of a notice after the frame that it cut off took its beginning is no frame.
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrProtocol) && r.notice() != nil
}
