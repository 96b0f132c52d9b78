package ban

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
	"time"

	"freeswitch-security/engine/dbfile"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"
)

// A File is a [Store] in one file. What Save returned without an error survives a crash
// of the program and of the machine.
//
// It is a bbolt database of buckets, each created when something is first saved in it. The
// key of a record is the target: the family, address and length of a network, so that networks
// lie in the order in which they are saved, or the text of another kind. Its value is
// MessagePack after a checksum, half as long as JSON: length is what a flood of bans costs the
// disk. The texts of evidence are in a bucket of their own, see trail. Another one holds how
// far each source was read, in a form that only the source knows.
type File struct {
	db    *dbfile.File
	shelf shelf

	damaged int   // values that were found when it was opened
	first   error // what is wrong with the first of them
}

// The number in a name is that of the format.
var (
	recordsBucket   = []byte("records.6")
	textsBucket     = []byte("texts.1")
	positionsBucket = []byte("positions.2")
)

// lockPatience is the time that another process may take to release the file.
const lockPatience = time.Second

// OpenFile opens the file at path, and creates it if it is missing. The directory must
// exist. Errors are those of [dbfile.Open]; a file with a bucket of a name that it does not
// know is damaged, too.
func OpenFile(path string) (*File, error) {
	f, old := &File{}, false
	db, err := dbfile.Open(path, lockPatience, f.examine)
	if err != nil {
		return nil, err
	}
	f.db = db
	err = db.View(func(tx *bbolt.Tx) (err error) {
		old, err = outdated(tx)
		return err
	})
	if err == nil && old {
		if err = db.Update(f.upgrade); err == nil {
			if err = db.Close(); err == nil {
				return OpenFile(path) // the copies are examined
			}
		}
	}
	if err != nil {
		_ = db.Close() // it is given up
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// examine looks at a value while the file is opened.
func (f *File) examine(bucket, key, value []byte) {
	if bytes.Equal(bucket, formerRecords) || bytes.Equal(bucket, formerPositions) {
		return // other checksums; see upgrade
	}
	if err := damage(bucket, key, value); err != nil {
		f.damaged, f.first = f.damaged+1, cmp.Or(f.first, err)
	}
	if bytes.Equal(bucket, textsBucket) {
		f.shelf.open(key, value)
	}
}

// The buckets of the formats before: their checksums do not cover the keys, or are missing.
var (
	formerRecords   = []byte("records.5")
	formerPositions = []byte("positions.1")
)

// outdated reports whether a file has buckets of the formats before. Buckets of other names
// are damage.
func outdated(tx *bbolt.Tx) (is bool, err error) {
	err = tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
		switch {
		case b == nil:
			return fmt.Errorf("%w: %q is no bucket", dbfile.ErrDamaged, name)
		case bytes.Equal(name, formerRecords), bytes.Equal(name, formerPositions):
			is = true
		case !bytes.Equal(name, recordsBucket) && !bytes.Equal(name, textsBucket) && !bytes.Equal(name, positionsBucket):
			return fmt.Errorf("%w: unknown bucket %q", dbfile.ErrDamaged, name)
		}
		return nil
	})
	return is, err
}

// upgrade copies what is in buckets of the formats before.
func (f *File) upgrade(tx *bbolt.Tx) error {
	if old := tx.Bucket(formerRecords); old != nil {
		w, err := f.writer(tx)
		if err != nil {
			return err
		}
		err = old.ForEach(func(key, value []byte) error {
			if len(value) >= crc32.Size && binary.LittleEndian.Uint32(value) == checksum(nil, value[crc32.Size:]) {
				var r Record
				if msgpack.Unmarshal(value[crc32.Size:], &r) == nil && r.complete(key) == nil {
					return w.put(&r)
				}
			}
			return w.records.Put(key, bytes.Clone(value)) // it stays damaged
		})
		if err := cmp.Or(err, w.endSheet(), tx.DeleteBucket(formerRecords)); err != nil {
			return err
		}
	}
	if old := tx.Bucket(formerPositions); old != nil {
		b, err := tx.CreateBucketIfNotExists(positionsBucket)
		if err != nil {
			return err
		}
		err = old.ForEach(func(key, value []byte) error { return b.Put(key, sealed(key, value)) })
		return cmp.Or(err, tx.DeleteBucket(formerPositions))
	}
	return nil
}

// New reports whether the file holds no records, not even none: it was created now, or nothing
// was ever saved in it.
func (f *File) New() (isNew bool) {
	_ = f.db.View(func(tx *bbolt.Tx) error {
		isNew = tx.Bucket(recordsBucket) == nil
		return nil
	})
	return isNew
}

// Rescue copies what can be read of another file, which is damaged.
func (f *File) Rescue(damaged *File) error {
	err := f.db.Update(func(tx *bbolt.Tx) error {
		return damaged.all(func(bucket, key, value []byte) error {
			b, err := tx.CreateBucketIfNotExists(bucket)
			if err != nil || damage(bucket, key, value) != nil {
				return err
			}
			return b.Put(key, value)
		})
	})
	f.shelf = damaged.shelf
	return err
}

// Verify returns what was damaged when the file was opened: how many values, and the first of them.
func (f *File) Verify() error {
	if f.first == nil {
		return nil
	}
	return fmt.Errorf("%w: %d values cannot be read, the first: %w", dbfile.ErrDamaged, f.damaged, f.first)
}

// each passes the keys and values of a bucket that may be missing, in a transaction of a view.
func each(view func(func(*bbolt.Tx) error) error, bucket []byte, do func(key, value []byte) error) error {
	return view(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(bucket); b != nil {
			return b.ForEach(do)
		}
		return nil
	})
}

// all passes the keys and values of all buckets.
func (f *File) all(do func(bucket, key, value []byte) error) error {
	return f.db.ViewAll(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(key, value []byte) error { return do(name, key, value) })
		})
	})
}

// damage returns what is wrong with a value; nil if it is as it was saved.
func damage(bucket, key, value []byte) error {
	if _, err := unsealed(key, value); err != nil {
		return fmt.Errorf("%s %x: %w", bucket, key, err)
	}
	return nil
}

// Close releases the file.
func (f *File) Close() error { return f.db.Close() }

// Save writes the records in one transaction.
func (f *File) Save(records []Record) error {
	before := f.shelf
	err := f.db.Update(func(tx *bbolt.Tx) error {
		w, err := f.writer(tx)
		for i := 0; i < len(records) && err == nil; i++ {
			err = w.put(&records[i])
		}
		if err == nil {
			err = w.endSheet()
		}
		return err
	})
	if err != nil {
		f.shelf = before
	}
	return err
}

// A writer writes records in a transaction.
type writer struct {
	tx      *bbolt.Tx
	records *bbolt.Bucket
	shelf   *shelf
	value   bytes.Buffer
	encoder *msgpack.Encoder
	sheet   bytes.Buffer // of texts
	onSheet *msgpack.Encoder
	events  []text // room of keepTexts
	stored  stored // room of put
	trail   trail  // likewise
	arena   []byte // room for keys and values, which bbolt keeps until the transaction ends
}

func (f *File) writer(tx *bbolt.Tx) (*writer, error) {
	records, err := tx.CreateBucketIfNotExists(recordsBucket)
	if err != nil {
		return nil, err
	}
	records.FillPercent = fill
	w := &writer{tx: tx, records: records, shelf: &f.shelf}
	w.encoder, w.onSheet = newEncoder(&w.value), newEncoder(&w.sheet)
	return w, nil
}

// put writes a record. A ban whose evidence is nil keeps the one that it has in the file.
func (w *writer) put(r *Record) (err error) {
	key, s := recordKey(r.Target), &w.stored
	*s = stored{Record: *r}
	switch {
	case r.Empty():
		return w.records.Delete(key)
	case r.Ban != nil && r.Ban.Evidence == nil:
		if old, err := decodeRecord(key, w.records.Get(key)); err == nil {
			s.Trail, s.Texts = old.Trail, old.Texts
		}
	case r.Ban != nil && len(r.Ban.Evidence) > 0:
		evidence := r.Ban.Evidence[max(0, len(r.Ban.Evidence)-maxEvidence):]
		s.Trail = &w.trail
		s.Trail.set(r.Ban, evidence)
		if s.Texts, err = w.keepTexts(key, evidence); err != nil {
			return err
		}
	}
	value, err := w.seal(key, s)
	if err != nil {
		return err
	}
	return w.records.Put(key, value)
}

// seal encodes a value, and adds its checksum.
func (w *writer) seal(key []byte, value msgpack.CustomEncoder) ([]byte, error) {
	w.value.Reset()
	if err := value.EncodeMsgpack(w.encoder); err != nil {
		return nil, err
	}
	size := crc32.Size + w.value.Len()
	if cap(w.arena)-len(w.arena) < size {
		w.arena = make([]byte, 0, max(size, 1<<16))
	}
	start := len(w.arena)
	w.arena = appendSealed(w.arena, key, w.value.Bytes())
	return w.arena[start:len(w.arena):len(w.arena)], nil
}

func newEncoder(to io.Writer) *msgpack.Encoder {
	e := msgpack.NewEncoder(to)
	e.UseArrayEncodedStructs(true)
	e.UseCompactInts(true)
	return e
}

// Evidence returns the evidence of a ban that was saved.
func (f *File) Evidence(b *Ban) (all []Evidence) {
	key := recordKey(b.Target)
	_ = f.db.View(func(tx *bbolt.Tx) error {
		if bucket := tx.Bucket(recordsBucket); bucket != nil {
			if r, err := decodeRecord(key, bucket.Get(key)); err == nil && r.Trail != nil {
				all = r.Trail.evidence(b, textsAt(tx.Bucket(textsBucket), r.Texts, key))
			}
		}
		return nil
	})
	return all
}

// Load passes every record, but those that [File.Verify] finds. The error says which are not
// damaged, and cannot be decoded all the same; the others are passed. A ban is valid until the next one.
func (f *File) Load(pass func(Record)) error {
	d, bad, first := decoder{brief: true}, 0, error(nil)
	err := each(f.db.ViewAll, recordsBucket, func(key, value []byte) error {
		value, err := unsealed(key, value)
		if err != nil {
			return nil
		}
		if s, err := d.record(key, value); err == nil {
			pass(s.Record)
		} else {
			bad, first = bad+1, cmp.Or(first, fmt.Errorf("record %x: %w", key, err))
		}
		return nil
	})
	if first != nil && err == nil {
		err = fmt.Errorf("%d records cannot be decoded, the first: %w", bad, first)
	}
	return err
}

func decodeRecord(key, value []byte) (s stored, err error) {
	if value, err = unsealed(key, value); err == nil {
		s, err = new(decoder).record(key, value)
	}
	return s, err
}

// complete adds what is not in the value of a record.
func (r *Record) complete(key []byte) error {
	if r.Target = targetOf(key); !r.Target.IsValid() || r.Ban != nil && (r.Ban.Offence < 1 || r.Ban.Term <= 0) {
		return errors.New("not the record of a target")
	}
	if b := r.Ban; b != nil {
		b.Target, b.Start, b.Until = r.Target, b.Start.UTC(), b.Until.UTC()
		for i := range b.Evidence { // of the format before
			b.Evidence[i].Time = b.Evidence[i].Time.UTC()
		}
	}
	if r.Grant != nil {
		r.Grant.Target = r.Target
	}
	return nil
}

// Each value begins with a checksum of the key and of the rest. A damaged key is a ban of
// another target; a length in damaged MessagePack can ask for more memory than there is, which
// ends the process.
var checksums = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, checksums), checksums, value)
}

func sealed(key, value []byte) []byte { return appendSealed(nil, key, value) }

func appendSealed(to, key, value []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(to, checksum(key, value)), value...)
}

func unsealed(key, value []byte) ([]byte, error) {
	if len(value) < crc32.Size || binary.LittleEndian.Uint32(value) != checksum(key, value[crc32.Size:]) {
		return nil, errors.New("wrong checksum")
	}
	return value[crc32.Size:], nil
}

// SavePositions makes the positions of sources durable.
func (f *File) SavePositions(positions map[string][]byte) error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(positionsBucket)
		if err != nil {
			return err
		}
		for source, position := range positions {
			if err := bucket.Put([]byte(source), sealed([]byte(source), position)); err != nil {
				return err
			}
		}
		return nil
	})
}

// LoadPositions returns the positions of sources, by their references, but those that
// [File.Verify] finds.
func (f *File) LoadPositions() (map[string][]byte, error) {
	positions := map[string][]byte{}
	err := each(f.db.View, positionsBucket, func(source, position []byte) error {
		if position, err := unsealed(source, position); err == nil {
			positions[string(source)] = bytes.Clone(position)
		}
		return nil
	})
	return positions, err
}

// keyOther is the first byte of the key of an endpoint or an account; its text follows.
// That of a network is the bits of its family: 32 or 128.
const keyOther = 0xff

func recordKey(target Target) []byte {
	network, ok := target.Network()
	if !ok {
		return append([]byte{keyOther}, target.String()...)
	}
	key, _ := network.AppendBinary([]byte{byte(network.Addr().BitLen())}) // it never fails
	return key
}

// targetOf reads a key. It returns the zero Target if that is not the key of a target.
func targetOf(key []byte) (target Target) {
	if len(key) > 0 && key[0] == keyOther {
		target, _ = ParseTarget(string(key[1:]))
		return target
	}
	var network netip.Prefix
	if err := network.UnmarshalBinary(key[min(1, len(key)):]); err == nil && network == network.Masked() {
		target = Network(network)
	}
	return target
}

// fill is how much of a page is used when it is split. The bans of a flood are in the
// order of their addresses within a commit: no later one would use the room.
const fill = 0.6

// EncodeMsgpack writes the term as a number: its text would take three allocations.
func (t Term) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeInt(int64(t)) }

// DecodeMsgpack reads what EncodeMsgpack wrote.
func (t *Term) DecodeMsgpack(d *msgpack.Decoder) error {
	n, err := d.DecodeInt64()
	*t = Term(n)
	return err
}
