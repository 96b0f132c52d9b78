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
// It is a bbolt database of two buckets. In that of the notifications the key is the
// number, and the value is the time when the notification was queued and its JSON; the
// bucket's sequence is the number of the latest notification. In that of the groups the
// key is the id.
type spool struct{ db *dbfile.File }

// The number is the version of the format.
var (
	entriesBucket = []byte("notifications.1")
	groupsBucket  = []byte("groups.1")
	lostKey       = []byte("lost") // in the bucket of the groups, whose ids are longer
)

// spoolName is the name of the file in the action's directory.
const spoolName = "notifications.db"

// lockPatience is how long another process, or the action that a reload has
// replaced, may take to close the file.
const lockPatience = 2 * time.Second

// openSpool opens the file in dir, which must exist. Errors are those of
// [dbfile.Open].
func openSpool(dir string) (*spool, error) {
	db, err := dbfile.Open(filepath.Join(dir, spoolName), lockPatience)
	if err != nil {
		return nil, err
	}
	return &spool{db}, nil
}

// A step is what one change of the queue means for the file.
type step struct {
	clear  bool // remove everything first
	put    []entry
	gone   []entry
	formed []*group
	ended  *group // gone with its entries
}

// everything is the step that replaces the file by the queue.
func (q *queue) everything() step {
	st := step{clear: true, put: slices.Clone(q.waiting), formed: q.groups}
	for _, g := range q.groups {
		st.put = append(st.put, g.entries...)
	}
	return st
}

// write makes a step durable, and the counters that the queue has after it.
func (s *spool) write(q *queue, st step) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{entriesBucket, groupsBucket} {
			if st.clear && tx.Bucket(name) != nil {
				if err := tx.DeleteBucket(name); err != nil {
					return err
				}
			}
		}
		entries, groups, err := buckets(tx)
		if err != nil {
			return err
		}
		if st.ended != nil {
			st.gone = append(st.gone, st.ended.entries...)
			err = groups.Delete([]byte(st.ended.id))
		}
		// In this order: an entry may be new and dropped at once.
		for _, e := range st.put {
			value := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(e.json)), uint64(e.queued.UnixNano()))
			err = errors.Join(err, entries.Put(entryKey(e.seq), append(value, e.json...)))
		}
		for _, e := range st.gone {
			err = errors.Join(err, entries.Delete(entryKey(e.seq)))
		}
		for _, g := range st.formed {
			value, _ := json.Marshal(storedGroup{ // plain values can always be written
				First: g.entries[0].seq, Last: g.entries[len(g.entries)-1].seq, Formed: g.formed.UTC(), Lost: g.lost,
			})
			err = errors.Join(err, groups.Put([]byte(g.id), value))
		}
		return errors.Join(err, entries.SetSequence(q.last), groups.Put(lostKey, binary.BigEndian.AppendUint64(nil, uint64(q.lost))))
	})
}

func buckets(tx *bbolt.Tx) (entries, groups *bbolt.Bucket, err error) {
	if entries, err = tx.CreateBucketIfNotExists(entriesBucket); err != nil {
		return nil, nil, err
	}
	groups, err = tx.CreateBucketIfNotExists(groupsBucket)
	return entries, groups, err
}

func entryKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// A storedGroup is the value of a group in the file.
type storedGroup struct {
	First, Last uint64 // the numbers of its entries
	Formed      time.Time
	Lost        int
}

// load fills an empty queue from the file. An unreadable notification is removed and
// counts as lost.
func (s *spool) load(q *queue) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		entries, groups, err := buckets(tx)
		if err != nil {
			return err
		}
		if lost := groups.Get(lostKey); len(lost) == 8 {
			q.lost = int(binary.BigEndian.Uint64(lost))
		}
		q.last = entries.Sequence()
		stored := loadGroups(groups)
		var bad [][]byte
		err = entries.ForEach(func(key, value []byte) error {
			if e, ok := toEntry(key, value); ok {
				q.last = max(q.last, e.seq)
				q.restore(e, stored)
			} else {
				bad = append(bad, key)
			}
			return nil
		})
		for _, key := range bad {
			err = errors.Join(err, entries.Delete(key))
			q.lost++
		}
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

// loadedGroup is a group as it was stored, and what of it has been restored.
type loadedGroup struct {
	storedGroup
	id       string
	restored *group
}

// loadGroups reads the groups. The entries of an unreadable one will form another.
func loadGroups(groups *bbolt.Bucket) (all []*loadedGroup) {
	_ = groups.ForEach(func(key, value []byte) error { // it returns only errors of this function
		g := loadedGroup{id: string(key)}
		if g.id != string(lostKey) && json.Unmarshal(value, &g.storedGroup) == nil {
			all = append(all, &g)
		}
		return nil
	})
	return all
}

// restore puts an entry where it was. Entries come in the order of their numbers.
func (q *queue) restore(e entry, stored []*loadedGroup) {
	for _, g := range stored {
		if e.seq < g.First || e.seq > g.Last {
			continue
		}
		if g.restored == nil {
			g.restored = &group{id: g.id, formed: g.Formed, lost: g.Lost}
			q.groups = append(q.groups, g.restored)
		}
		g.restored.entries = append(g.restored.entries, e)
		return
	}
	q.waiting = append(q.waiting, e)
	q.bytes += len(e.json)
}
