package ban

import (
	"bytes"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// A decoder reads records as encode.go writes them, field by field: at a start with very many bans,
// reflection takes most of the time. The library decodes what has another form.
type decoder struct {
	rest  []byte
	odd   bool  // the form is another one: what was read is void
	last  Ban   // its words are used again
	brief bool  // the trail is not decoded, and a ban is valid until the next one
	kept  Ban   // in brief
	some  trail // that is not decoded
}

// record returns the record of a key. It keeps nothing of the value, which is without its checksum.
func (d *decoder) record(key, value []byte) (s stored, err error) {
	d.rest, d.odd = value, false
	if s = d.stored(); d.odd {
		s, err = ofOtherForm(value)
	}
	if err == nil {
		err = s.Record.complete(key)
	}
	if b := s.Record.Ban; err == nil && b != nil {
		if d.last = *b; s.Trail == nil {
			b.Evidence = []Evidence{}
		}
	}
	return s, err
}

// ofOtherForm is a function of its own so that what record returns takes no memory.
func ofOtherForm(value []byte) (s stored, err error) {
	err = msgpack.Unmarshal(value, &s)
	return s, err
}

func (d *decoder) stored() (s stored) {
	d.fields(3)
	d.fields(6)
	s.Record = Record{Ban: d.ban(), Offences: int(d.int()), Until: d.time(), Forget: d.time(), Grace: d.time()}
	d.null() // a grant is rare
	switch {
	case !d.brief:
		s.Trail, s.Texts = d.trail(), uint64(d.int())
	case !d.isNull():
		s.Trail = &d.some
	}
	return s
}

func (d *decoder) ban() *Ban {
	if d.isNull() {
		return nil
	}
	d.fields(12)
	last, b := &d.last, &d.kept
	if !d.brief {
		b = new(Ban)
	}
	*b = Ban{
		Rule: d.string(last.Rule), Source: d.string(last.Source), Author: d.string(last.Author), Key: d.string(last.Key), Reason: d.string(last.Reason),
		Offence: int(d.int()), Term: Term(d.int()), Start: d.time(), Until: d.time(), Forget: time.Duration(d.int()), Actions: d.strings(),
	}
	d.null() // the evidence is in the trail
	return b
}

func (d *decoder) trail() *trail {
	if d.isNull() {
		return nil
	}
	d.fields(2)
	t := &trail{Kinds: make([]eventKind, d.length())}
	for i := range t.Kinds {
		d.fields(3)
		t.Kinds[i] = eventKind{d.string(""), d.string(""), d.string("")}
	}
	t.Events = make([]int64, d.length())
	for i := range t.Events {
		t.Events[i] = d.int()
	}
	return t
}

// texts reads texts of a sheet. It returns nil if they are those of another record.
func (d *decoder) texts(record []byte) *texts {
	d.fields(2)
	t := &texts{Key: record}
	wanted := bytes.Equal(d.bytes(), record)
	for range d.length() {
		d.fields(5)
		user, domain, line := d.bytes(), d.bytes(), d.bytes()
		proven, lost := d.bool(), d.bool()
		if wanted {
			t.Events = append(t.Events, text{string(user), string(domain), string(line), proven, lost})
		}
	}
	if !wanted {
		return nil
	}
	return t
}

func (d *decoder) bool() bool {
	c := d.code()
	d.odd = d.odd || c != msgpcode.True && c != msgpcode.False
	return c == msgpcode.True
}

// number reads bytes as a number.
func (d *decoder) number(size int) (n uint64) {
	if size > len(d.rest) {
		d.odd, d.rest = true, nil
		return 0
	}
	for _, c := range d.rest[:size] {
		n = n<<8 | uint64(c)
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) code() byte { return byte(d.number(1)) }

// isNull reads a null, if there is one.
func (d *decoder) isNull() bool {
	is := len(d.rest) > 0 && d.rest[0] == msgpcode.Nil
	if is {
		d.rest = d.rest[1:]
	}
	return is
}

func (d *decoder) null() { d.odd = d.odd || !d.isNull() }

func (d *decoder) int() int64 {
	switch c := d.code(); {
	case msgpcode.IsFixedNum(c):
		return int64(int8(c))
	case c >= msgpcode.Uint8 && c <= msgpcode.Uint64:
		return int64(d.number(1 << (c - msgpcode.Uint8)))
	case c >= msgpcode.Int8 && c <= msgpcode.Int64:
		size := 1 << (c - msgpcode.Int8)
		unused := 64 - 8*size
		return int64(d.number(size)<<unused) >> unused
	}
	d.odd = true
	return 0
}

// length reads the length of an array. Each element has a byte at least.
func (d *decoder) length() (n int) {
	switch c := d.code(); {
	case msgpcode.IsFixedArray(c):
		n = int(c & msgpcode.FixedArrayMask)
	case c == msgpcode.Array16:
		n = int(d.number(2))
	case c == msgpcode.Array32:
		n = int(d.number(4))
	default:
		d.odd = true
	}
	if n > len(d.rest) {
		d.odd, n = true, 0
	}
	return n
}

// fields reads the length of an array that stands for a struct.
func (d *decoder) fields(n int) { d.odd = d.length() != n || d.odd }

// bytes reads a string, or bytes, which are part of what is decoded.
func (d *decoder) bytes() []byte {
	size := 0
	switch c := d.code(); {
	case msgpcode.IsFixedString(c):
		size = int(c & msgpcode.FixedStrMask)
	case c >= msgpcode.Str8 && c <= msgpcode.Str32:
		size = int(d.number(1 << (c - msgpcode.Str8)))
	case c >= msgpcode.Bin8 && c <= msgpcode.Bin32:
		size = int(d.number(1 << (c - msgpcode.Bin8)))
	default:
		d.odd = true
	}
	if size > len(d.rest) {
		d.odd, size = true, 0
	}
	text := d.rest[:size]
	d.rest = d.rest[size:]
	return text
}

// string reads a string; it is last, if it is equal.
func (d *decoder) string(last string) string {
	text := d.bytes()
	if string(text) == last {
		return last
	}
	return string(text)
}

// strings reads a list that may be null.
func (d *decoder) strings() []string {
	if d.isNull() {
		return nil
	}
	all := make([]string, d.length())
	for i := range all {
		all[i] = d.string("")
	}
	return all
}

// timeType is the type of the extension.
const timeType = 0xff

func (d *decoder) time() (t time.Time) {
	size := 0
	switch d.code() {
	case msgpcode.FixExt4:
		size = 4
	case msgpcode.FixExt8:
		size = 8
	case msgpcode.Ext8:
		size = int(d.code())
	}
	d.odd = d.code() != timeType || d.odd
	switch size {
	case 4:
		t = time.Unix(int64(d.number(4)), 0)
	case 8:
		n := d.number(8)
		t = time.Unix(int64(n&(1<<34-1)), int64(n>>34))
	case 12:
		nanoseconds := d.number(4)
		t = time.Unix(int64(d.number(8)), int64(nanoseconds))
	default:
		d.odd = true
	}
	if t.IsZero() {
		return t.UTC()
	}
	return t
}
