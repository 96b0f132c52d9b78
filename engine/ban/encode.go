package ban

import (
	"cmp"

	"github.com/vmihailenco/msgpack/v5"
)

// What is written for each ban of a flood is encoded field by field: reflection takes four times as
// long. The form is that of the structs, which the library decodes.

// EncodeMsgpack encodes a record.
func (s *stored) EncodeMsgpack(e *msgpack.Encoder) error {
	r := &s.Record
	return cmp.Or(e.EncodeArrayLen(3), e.EncodeArrayLen(6), r.Ban.encode(e), e.EncodeInt(int64(r.Offences)),
		e.EncodeTime(r.Until), e.EncodeTime(r.Forget), e.EncodeTime(r.Grace), encode(e, r.Grant, r.Grant == nil), s.Trail.encode(e), e.EncodeUint(s.Texts))
}

// encode encodes what is rare.
func encode(e *msgpack.Encoder, value any, isNil bool) error {
	if isNil {
		return e.EncodeNil()
	}
	return e.Encode(value)
}

// encode encodes a ban without its evidence, which is in the trail.
func (b *Ban) encode(e *msgpack.Encoder) error {
	if b == nil {
		return e.EncodeNil()
	}
	return cmp.Or(e.EncodeArrayLen(12), e.EncodeString(b.Rule), e.EncodeString(b.Source), e.EncodeString(b.Author), e.EncodeString(b.Key),
		e.EncodeString(b.Reason), e.EncodeInt(int64(b.Offence)), e.EncodeInt(int64(b.Term)), e.EncodeTime(b.Start), e.EncodeTime(b.Until),
		e.EncodeInt(int64(b.Forget)), encode(e, b.Actions, b.Actions == nil), e.EncodeNil())
}

func (t *trail) encode(e *msgpack.Encoder) error {
	if t == nil {
		return e.EncodeNil()
	}
	err := cmp.Or(e.EncodeArrayLen(2), e.EncodeArrayLen(len(t.Kinds)))
	for i := range t.Kinds {
		k := &t.Kinds[i]
		err = cmp.Or(err, e.EncodeArrayLen(3), e.EncodeString(k.Event), e.EncodeString(k.Source), e.EncodeString(k.Address))
	}
	err = cmp.Or(err, e.EncodeArrayLen(len(t.Events)))
	for _, n := range t.Events {
		err = cmp.Or(err, e.EncodeInt(n))
	}
	return err
}

// EncodeMsgpack encodes texts.
func (t *texts) EncodeMsgpack(e *msgpack.Encoder) error {
	err := cmp.Or(e.EncodeArrayLen(2), e.EncodeBytes(t.Key), e.EncodeArrayLen(len(t.Events)))
	for i := range t.Events {
		k := &t.Events[i]
		err = cmp.Or(err, e.EncodeArrayLen(5), e.EncodeString(k.User), e.EncodeString(k.Domain), e.EncodeString(k.Text), e.EncodeBool(k.Proven), e.EncodeBool(k.Lost))
	}
	return err
}
