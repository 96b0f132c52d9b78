package esl

import (
	"bufio"
	"bytes"
	"cmp"
	"hash/maphash"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"freeswitch-security/engine/regex"
)

// Merge reads recorded streams of one switch as one: whole frames of events and log
// records, in the order of the times that the switch gave them. The streams may have
// been recorded side by side, on several connections, or one after the other. A frame
// that several of them hold is read once. A stream that does not begin with a frame
// continues the one before it.
//
// zone is that of the stamps of log records. Trap: in the hour that it has twice a
// year, records may come before the events of their time. An error that ends a
// [Reader] ends its stream, and is returned after all frames.
func Merge(zone *time.Location, streams []io.Reader) io.Reader {
	m := &merger{zone: zone, seed: maphash.MakeSeed(), first: map[uint64]*part{}, most: maxSeen}
	var whole []io.Reader
	for _, r := range streams {
		start := bufio.NewReader(r)
		head, _ := start.Peek(80) // an error comes again when it is read
		if last := len(whole) - 1; last >= 0 && !frameStart.Use().Match(head) {
			whole[last] = io.MultiReader(whole[last], start)
			continue
		}
		whole = append(whole, start)
	}
	for _, r := range whole {
		m.parts = append(m.parts, &part{frames: newFrames(r), taken: true})
	}
	return m
}

// frameStart is the start of a frame that a switch sends: the type, or that of an
// event, the length. Where a recording was divided between the two lines, the rest
// begins with the type.
var frameStart = regex.New(`^Content-(Type: (?:auth|command|api|log|text/disconnect|text/rude)|Length: \d+\nContent-Type: text/event-)`)

// maxSeen bounds the frames that are kept. Stamps cannot bound them: they may go back,
// and one far ahead would drop all before it.
const maxSeen = 1 << 18

// A merger returns the frames of several streams.
type merger struct {
	zone  *time.Location
	parts []*part // that have not ended
	out   []byte  // rest of the frame at hand
	end   error   // the first that ended a part

	seed  maphash.Seed
	first map[uint64]*part // which part had a frame first, by the hash of its id
	order []uint64         // keys of first, the oldest first
	most  int              // keys
}

// A part is one of the streams, and its next frame.
type part struct {
	frames *frames
	frame  frame
	taken  bool   // the frame was returned
	at     int64  // time of the frame, in µs since 1970; that of the one before if it has none
	number int64  // of an event, which a switch counts; math.MaxInt64 for other frames
	id     string // the same in every recording; "" if not known
}

// Read returns frames, and then the first error of a part.
func (m *merger) Read(p []byte) (int, error) {
	for len(m.out) == 0 {
		next := m.earliest()
		if next == nil {
			return 0, cmp.Or(m.end, io.EOF)
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

// earliest returns the part with the next frame; nil at the end.
func (m *merger) earliest() (next *part) {
	m.parts = slices.DeleteFunc(m.parts, func(p *part) bool {
		if p.taken {
			if err := p.advance(m.zone); err != nil {
				if !p.frames.ended(err) && m.end == nil {
					m.end = err
				}
				return true
			}
		}
		if next == nil || p.before(next) {
			next = p
		}
		return false
	})
	return next
}

// before compares frames. The clock of the switch has ticks of 20 ms. In one tick,
// events come in the order of their numbers, and then records.
func (p *part) before(other *part) bool {
	return cmp.Or(cmp.Compare(p.at, other.at), cmp.Compare(p.number, other.number)) < 0
}

// advance reads the part's next report.
func (p *part) advance(zone *time.Location) (err error) {
	for {
		if p.frame, err = p.frames.next(); err != nil {
			return err
		}
		if p.frame.kind.isReport() {
			p.taken = false
			p.identify(zone)
			return nil
		}
	}
}

// recordStamp begins every log record, in the local time of the switch.
const recordStamp = "2006-01-02 15:04:05.000000"

// inMerge are the headers of an event by which frames are ordered and told apart.
var inMerge = newHeaderSet([]string{"Event-Date-Timestamp", "Core-UUID", "Event-Sequence"})

// identify sets the time and the id of the frame: the number of an event, the text of
// a record. A frame without a time has no id.
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
	p.frame.each(inMerge, func(name string, value []byte) {
		switch name {
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

// isNew reports whether no other part had the frame before. A switch may report the same
// twice, and then each of its streams has it twice.
func (m *merger) isNew(p *part) bool {
	if p.id == "" {
		return true
	}
	id := maphash.String(m.seed, p.id)
	if first, known := m.first[id]; known {
		return first == p
	}
	m.first[id] = p
	m.order = append(m.order, id)
	if len(m.order) > m.most {
		delete(m.first, m.order[0])
		m.order = m.order[1:]
	}
	return true
}

// raw returns the frame as it was sent. Of a frame of unknown type there is no body.
func (f *frame) raw() []byte {
	if f.kind == kindOther {
		return []byte("Content-Type: unknown\n\n")
	}
	return slices.Concat(f.head, []byte("\n"), f.body)
}
