package webhook

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/dbfile"

	"go.etcd.io/bbolt"
)

// A spool is a copy of a queue in a file. Invariant: what write returned for without an
// error survives a crash of the program and of the machine.
//
// It is a bbolt database of one bucket. The key of a notification is its number, the
// value is the time when it was queued and its JSON. One more key holds the queue's
// state.
type spool struct{ db *dbfile.File }

var (
	bucket   = []byte("notifications.2") // the number is the version of the format
	stateKey = []byte("state")           // shorter than a number
)

// spoolName is the name of the file in the action's directory.
const spoolName = "notifications.db"

// lockPatience is how long another process, or the action that a reload has
// replaced, may take to close the file.
const lockPatience = 2 * time.Second

// openSpool opens the file in dir, which must exist, and fills an empty queue from it.
// Errors are those of [dbfile.Open].
func openSpool(dir string, q *queue) (*spool, error) {
	db, err := dbfile.Open(filepath.Join(dir, spoolName), lockPatience, nil)
	if err != nil {
		return nil, err
	}
	s := &spool{db}
	if err := s.load(q); err != nil {
		_ = db.Close() // reading has failed already
		return nil, err
	}
	return s, nil
}

// A step is what one change of the queue means for the notifications in the file.
type step struct {
	clear bool // remove everything first
	put   []entry
	gone  []entry
}

// everything is the step that replaces the file by the queue.
func (q *queue) everything() step {
	st := step{clear: true, put: slices.Clone(q.waiting)}
	for _, g := range q.Groups {
		st.put = append(st.put, g.entries...)
	}
	return st
}

// write makes a step durable, and the state that the queue has after it.
func (s *spool) write(q *queue, st step) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		if st.clear && tx.Bucket(bucket) != nil {
			if err := tx.DeleteBucket(bucket); err != nil {
				return err
			}
		}
		b, err := tx.CreateBucketIfNotExists(bucket)
		if err != nil {
			return err
		}
		// In this order: an entry may be new and dropped at once.
		for _, e := range st.put {
			value := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(e.json)), uint64(e.queued.UnixNano()))
			err = errors.Join(err, b.Put(entryKey(e.seq), append(value, e.json...)))
		}
		for _, e := range st.gone {
			err = errors.Join(err, b.Delete(entryKey(e.seq)))
		}
		state, _ := json.Marshal(q.state) // plain values can always be written
		return errors.Join(err, b.Put(stateKey, state))
	})
}

func entryKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// load fills an empty queue from the file. An unreadable notification is removed and
// counts as lost. Without a readable state, the notifications form other groups.
func (s *spool) load(q *queue) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucket)
		if err != nil {
			return err
		}
		var stored state
		if json.Unmarshal(b.Get(stateKey), &stored) == nil {
			q.state = stored
		}
		var bad [][]byte
		err = b.ForEach(func(key, value []byte) error {
			if bytes.Equal(key, stateKey) {
				return nil
			}
			if e, ok := toEntry(key, value); ok {
				q.restore(e)
			} else {
				bad = append(bad, key)
			}
			return nil
		})
		for _, key := range bad {
			err = errors.Join(err, b.Delete(key))
			q.Lost++
		}
		q.Groups = slices.DeleteFunc(q.Groups, func(g *group) bool { return len(g.entries) == 0 })
		return err
	})
}

// toEntry reads a notification. It copies the value, which the file owns.
func toEntry(key, value []byte) (entry, bool) {
	var c ban.Change
	if len(key) != 8 || len(value) < 8 || json.Unmarshal(value[8:], &c) != nil {
		return entry{}, false
	}
	queued := time.Unix(0, int64(binary.BigEndian.Uint64(value)))
	return entry{seq: binary.BigEndian.Uint64(key), queued: queued, json: bytes.Clone(value[8:])}, true
}

// restore puts an entry where it was. Entries come in the order of their numbers.
func (q *queue) restore(e entry) {
	q.Last = max(q.Last, e.seq)
	for _, g := range q.Groups {
		if g.First <= e.seq && e.seq <= g.Last {
			g.entries = append(g.entries, e)
			return
		}
	}
	q.waiting = append(q.waiting, e)
	q.bytes += len(e.json)
}
