package ban

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

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

// texts are the accounts and texts of a trail. They lie in a bucket of their own, on sheets with numbers that
// count up: what is given up first is the oldest. A sheet is texts one after the other. For a flood of bans, a value
// for each would cost as much as its record.
type texts struct {
	Key    []byte // of the record
	Events []text
}

type text struct {
	User, Domain, Text string
	Proven, Lost       bool
}

const (
	// maxTexts bounds the texts in a file, together.
	maxTexts = 16 << 20
	// sheetSize is how long a sheet is, in bytes, before the next one begins. All of it is read for one text.
	sheetSize = 8 << 10
)

// set makes it the trail of the evidence of a ban.
func (t *trail) set(b *Ban, evidence []Evidence) {
	t.Kinds, t.Events = t.Kinds[:0], t.Events[:0]
	last := b.Start
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

// shelf is where the texts of a file are: the numbers of the sheets and how many bytes there are.
type shelf struct {
	oldest, next uint64
	bytes        int
}

// open finds out about the texts of a file.
func (s *shelf) open(key, value []byte) {
	if len(key) == 8 {
		if s.bytes == 0 {
			s.oldest = binary.BigEndian.Uint64(key)
		}
		s.next = binary.BigEndian.Uint64(key) + 1
		s.bytes += len(value)
	}
}

// keepTexts puts the texts of the evidence of a ban on a sheet, and returns its number.
func (w *writer) keepTexts(record []byte, evidence []Evidence) (number uint64, err error) {
	all := texts{Key: record, Events: w.events[:0]}
	for _, e := range evidence {
		all.Events = append(all.Events, text{e.User, e.Domain, e.Text, e.Proven, e.Lost})
	}
	w.events = all.Events
	number = max(w.shelf.next, 1)
	if err = all.EncodeMsgpack(w.onSheet); err == nil && w.sheet.Len() >= sheetSize {
		err = w.endSheet()
	}
	return number, err
}

// endSheet writes the sheet, and gives up the oldest ones beyond maxTexts.
func (w *writer) endSheet() error {
	if w.sheet.Len() == 0 {
		return nil
	}
	bucket, err := w.tx.CreateBucketIfNotExists(textsBucket)
	if err != nil {
		return err
	}
	bucket.FillPercent = 1
	s, number := w.shelf, max(w.shelf.next, 1)
	s.next = number + 1
	key := numberKey(number)
	value := sealed(key, w.sheet.Bytes())
	w.sheet.Reset()
	if err := bucket.Put(key, value); err != nil {
		return err
	}
	for s.bytes += len(value); s.bytes > maxTexts && s.oldest < number; s.oldest++ {
		key := numberKey(s.oldest)
		s.bytes -= len(bucket.Get(key))
		if err := bucket.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

func numberKey(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }

// textsAt returns the texts of a record on a sheet; nil if they were given up.
func textsAt(bucket *bbolt.Bucket, number uint64, record []byte) *texts {
	if bucket == nil {
		return nil
	}
	key := numberKey(number)
	sheet, err := unsealed(key, bucket.Get(key))
	if err != nil {
		return nil
	}
	d := decoder{rest: sheet}
	for len(d.rest) > 0 && !d.odd {
		t := d.texts(record)
		if t != nil && !d.odd {
			return t
		}
	}
	return nil
}
