package ban

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"time"

	"freeswitch-security/engine/dbfile"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"
)

// A File is a [Store] in one file. What Save returned without an error survives a crash
// of the program and of the machine.
//
// It is a bbolt database of two buckets. The key of a record is the target: the family,
// address and length of a network, so that networks lie in the order in which they are
// saved, or the text of another kind. Its value is MessagePack after a checksum, half as
// long as JSON: length is what a flood of bans costs the disk. The other bucket holds
// how far each source was read, in a form that only the source knows.
type File struct{ db *dbfile.File }

// The number in a name is that of the format.
var (
	recordsBucket   = []byte("records.5")
	positionsBucket = []byte("positions.1")
)

// lockPatience is the time that another process may take to release the file.
const lockPatience = time.Second

// OpenFile opens the file at path, and creates it if it is missing. The directory must
// exist. Errors are those of [dbfile.Open].
func OpenFile(path string) (*File, error) {
	db, err := dbfile.Open(path, lockPatience)
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{recordsBucket, positionsBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		_ = db.Close() // it is given up
		return nil, err
	}
	return &File{db}, nil
}

// Close releases the file.
func (f *File) Close() error { return f.db.Close() }

// Save writes the records in one transaction.
func (f *File) Save(records []Record) error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(recordsBucket)
		bucket.FillPercent = fill
		var value bytes.Buffer
		encoder := msgpack.NewEncoder(&value)
		encoder.UseArrayEncodedStructs(true)
		for _, r := range records {
			key := recordKey(r.Target)
			if r.Empty() {
				if err := bucket.Delete(key); err != nil {
					return err
				}
				continue
			}
			if r.Ban != nil && len(r.Ban.Evidence) > maxStoredEvidence {
				b := *r.Ban
				b.Evidence = b.Evidence[len(b.Evidence)-maxStoredEvidence:]
				r.Ban = &b
			}
			value.Reset()
			if err := encoder.Encode(&r); err != nil {
				return err
			}
			// bbolt keeps the bytes until the transaction ends.
			if err := bucket.Put(key, sealed(value.Bytes())); err != nil {
				return err
			}
		}
		return nil
	})
}

// Load passes every record to each. A record that cannot be read is in the error; the
// others are passed all the same.
func (f *File) Load(each func(Record)) error {
	var bad []error
	err := f.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(recordsBucket).ForEach(func(key, value []byte) error {
			r, err := decodeRecord(key, value)
			if err != nil {
				bad = append(bad, fmt.Errorf("record %x: %w", key, err))
				return nil
			}
			each(r)
			return nil
		})
	})
	return errors.Join(append(bad, err)...)
}

func decodeRecord(key, value []byte) (r Record, err error) {
	value, err = unsealed(value)
	if err == nil {
		err = msgpack.Unmarshal(value, &r)
	}
	if err != nil {
		return r, err
	}
	if r.Target = targetOf(key); !r.Target.IsValid() || r.Ban != nil && (r.Ban.Offence < 1 || r.Ban.Term <= 0) {
		return r, errors.New("not the record of a target")
	}
	if b := r.Ban; b != nil {
		b.Target, b.Start, b.Until = r.Target, b.Start.UTC(), b.Until.UTC()
		for i := range b.Evidence {
			b.Evidence[i].Time = b.Evidence[i].Time.UTC()
		}
	}
	if r.Grant != nil {
		r.Grant.Network = r.Target.Prefix()
	}
	return r, nil
}

// Each value begins with a checksum of the rest: a length in damaged MessagePack can ask
// for more memory than there is, which ends the process.
var checksums = crc32.MakeTable(crc32.Castagnoli)

func sealed(value []byte) []byte {
	out := make([]byte, 0, crc32.Size+len(value))
	return append(binary.LittleEndian.AppendUint32(out, crc32.Checksum(value, checksums)), value...)
}

func unsealed(value []byte) ([]byte, error) {
	if len(value) < crc32.Size || binary.LittleEndian.Uint32(value) != crc32.Checksum(value[crc32.Size:], checksums) {
		return nil, errors.New("wrong checksum")
	}
	return value[crc32.Size:], nil
}

// SavePositions makes the positions of sources durable.
func (f *File) SavePositions(positions map[string][]byte) error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		for source, position := range positions {
			if err := tx.Bucket(positionsBucket).Put([]byte(source), position); err != nil {
				return err
			}
		}
		return nil
	})
}

// LoadPositions returns the positions of sources, by their references.
func (f *File) LoadPositions() (map[string][]byte, error) {
	positions := map[string][]byte{}
	err := f.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(positionsBucket).ForEach(func(source, position []byte) error {
			positions[string(source)] = bytes.Clone(position)
			return nil
		})
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
const fill = 0.9

// maxStoredEvidence bounds the evidence of a ban that is kept: the newest.
const maxStoredEvidence = 20

// EncodeMsgpack writes the term as a number: its text would take three allocations.
func (t Term) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeInt(int64(t)) }

// DecodeMsgpack reads what EncodeMsgpack wrote.
func (t *Term) DecodeMsgpack(d *msgpack.Decoder) error {
	n, err := d.DecodeInt64()
	*t = Term(n)
	return err
}
