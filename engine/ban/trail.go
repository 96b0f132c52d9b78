package ban

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"
)

// A stored is a record in a [File].
type stored struct {
	Record Record // the evidence of its ban is in the trail
	Trail  *trail // of the ban; nil: it has none
	Texts  uint64 // the number of the texts of the trail
}

// A trail is the evidence of a ban in a [File], without accounts and texts: some 6 bytes for an
// event. Each event is two numbers: the microseconds after the event before, the first after the
// start of the ban, so that a shifted ban needs no other trail; and the index of its kind.
type trail struct {
	Kinds  []eventKind
	Events []int64
}

// An eventKind is what events of a trail have in common.
type eventKind struct {
	Event, Source, Address string // Address in bytes; "": the target's
}

// texts are the accounts and texts of a trail. They lie in a bucket of their own, by numbers that
// count up: what is given up first is the oldest.
type texts struct {
	Key    []byte // of the record
	Events []text
}

type text struct {
	User, Domain, Text string
	Proven, Lost       bool
}

// maxTexts bounds the texts in a file, together.
const maxTexts = 16 << 20

// newTrail returns the trail of the evidence of a ban.
func newTrail(b *Ban, evidence []Evidence) *trail {
	t, last := &trail{Events: make([]int64, 0, 2*len(evidence))}, b.Start
	for _, e := range evidence {
		kind := eventKind{Event: e.Event, Source: e.Source}
		if e.IP != b.Target.Prefix().Addr() {
			kind.Address = string(e.IP.AsSlice())
		}
		i := slices.Index(t.Kinds, kind)
		if i < 0 {
			i = len(t.Kinds)
			t.Kinds = append(t.Kinds, kind)
		}
		after := e.Time.Sub(last) / time.Microsecond
		last = last.Add(after * time.Microsecond)
		t.Events = append(t.Events, int64(after), int64(i))
	}
	return t
}

// evidence returns the evidence of the trail of a ban. kept may be nil.
func (t *trail) evidence(b *Ban, kept *texts) []Evidence {
	var all []Evidence
	at := b.Start
	for event := range slices.Chunk(t.Events, 2) {
		if len(event) < 2 || event[1] < 0 || event[1] >= int64(len(t.Kinds)) {
			break
		}
		kind := t.Kinds[event[1]]
		at = at.Add(time.Duration(event[0]) * time.Microsecond)
		e := Evidence{Time: at, Event: kind.Event, Source: kind.Source, IP: b.Target.Prefix().Addr(), Lost: true}
		if kind.Address != "" {
			e.IP, _ = netip.AddrFromSlice([]byte(kind.Address))
		}
		if i := len(all); kept != nil && i < len(kept.Events) {
			k := kept.Events[i]
			e.User, e.Domain, e.Text, e.Proven, e.Lost = k.User, k.Domain, k.Text, k.Proven, k.Lost
		}
		all = append(all, e)
	}
	return all
}

// shelf is where the texts of a file are: their numbers and how many bytes there are.
type shelf struct {
	oldest, next uint64
	bytes        int
}

// open finds out about the texts of a file.
func (s *shelf) open(key, value []byte) error {
	if len(key) == 8 {
		if s.bytes == 0 {
			s.oldest = binary.BigEndian.Uint64(key)
		}
		s.next = binary.BigEndian.Uint64(key) + 1
		s.bytes += len(value)
	}
	return nil
}

// keepTexts keeps the texts of the evidence of a ban, and gives up the oldest beyond maxTexts. It
// returns their number.
func (w *writer) keepTexts(record []byte, evidence []Evidence) (number uint64, err error) {
	s, bucket, all := w.shelf, w.texts, texts{Key: record, Events: make([]text, 0, len(evidence))}
	for _, e := range evidence {
		all.Events = append(all.Events, text{e.User, e.Domain, e.Text, e.Proven, e.Lost})
	}
	number = max(s.next, 1)
	s.next = number + 1
	key := numberKey(number)
	value, err := w.seal(key, &all)
	if err != nil {
		return 0, err
	}
	if err := bucket.Put(key, value); err != nil {
		return 0, err
	}
	for s.bytes += len(value); s.bytes > maxTexts && s.oldest < number; s.oldest++ {
		key := numberKey(s.oldest)
		s.bytes -= len(bucket.Get(key))
		if err := bucket.Delete(key); err != nil {
			return 0, err
		}
	}
	return number, nil
}

func numberKey(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }

// textsAt returns the texts of a record; nil if they were given up.
func textsAt(bucket *bbolt.Bucket, number uint64, record []byte) *texts {
	if bucket == nil {
		return nil
	}
	key := numberKey(number)
	value, err := unsealed(key, bucket.Get(key))
	var t texts
	if err != nil || msgpack.Unmarshal(value, &t) != nil || !bytes.Equal(t.Key, record) {
		return nil
	}
	return &t
}
