package webhook

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"path/filepath"
	"time"

	"freeswitch-security/engine/dbfile"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// A spool is a copy of a queue in a file: what write returned for without an error
// survives a crash of the program and of the machine.
//
// It is a bbolt database of two buckets. In that of the notices the key is the
// number, so that they lie in their order, and the value when the notice was
// queued and its JSON; the bucket's sequence is the number of the latest notice,
// which may be gone already. In that of the groups the key is the id.
type spool struct{ db *dbfile.File }

// The number is that of the format.
var (
	noticesBucket = []byte("notices.1")
	groupsBucket  = []byte("groups.1")
	lostKey       = []byte("lost") // among the groups, whose ids are longer
)

// spoolName is the name of the file in the action's directory.
const spoolName = "notices.db"

// lockPatience is how long another process, or the action that a reload has
// replaced, may take to let go of the file.
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
	put    []entry // new
	gone   []entry
	formed *group
	ended  *group // gone with its entries
}

// write makes a step durable, and what the queue counts after it.
func (s *spool) write(q *queue, st step) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		notices, groups, err := buckets(tx)
		if err != nil {
			return err
		}
		if st.ended != nil {
			st.gone = append(st.gone, st.ended.entries...)
			if err := groups.Delete([]byte(st.ended.id)); err != nil {
				return err
			}
		}
		// In this order: an entry may be new and have to go at once.
		if err := putAll(notices, st.put); err != nil {
			return err
		}
		for _, e := range st.gone {
			if err := notices.Delete(noticeKey(e.seq)); err != nil {
				return err
			}
		}
		if st.formed != nil {
			if err := putGroup(groups, st.formed); err != nil {
				return err
			}
		}
		return putCounts(notices, groups, q)
	})
}

// rewrite replaces all that is in the file by the queue.
func (s *spool) rewrite(q *queue) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{noticesBucket, groupsBucket} {
			if err := tx.DeleteBucket(name); err != nil && !errors.Is(err, bolterrors.ErrBucketNotFound) {
				return err
			}
		}
		notices, groups, err := buckets(tx)
		if err != nil {
			return err
		}
		for _, g := range q.groups {
			if err := errors.Join(putAll(notices, g.entries), putGroup(groups, g)); err != nil {
				return err
			}
		}
		if err := putAll(notices, q.waiting); err != nil {
			return err
		}
		return putCounts(notices, groups, q)
	})
}

func buckets(tx *bbolt.Tx) (notices, groups *bbolt.Bucket, err error) {
	if notices, err = tx.CreateBucketIfNotExists(noticesBucket); err != nil {
		return nil, nil, err
	}
	groups, err = tx.CreateBucketIfNotExists(groupsBucket)
	return notices, groups, err
}

func noticeKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func putAll(notices *bbolt.Bucket, entries []entry) error {
	for _, e := range entries {
		value := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(e.notice)), uint64(e.queued.UnixNano()))
		if err := notices.Put(noticeKey(e.seq), append(value, e.notice...)); err != nil {
			return err
		}
	}
	return nil
}

// A storedGroup is the value of a group in the file.
type storedGroup struct {
	First, Last uint64 // the numbers of its entries
	Formed      time.Time
	Lost        int
}

func putGroup(groups *bbolt.Bucket, g *group) error {
	value, err := json.Marshal(storedGroup{
		First: g.entries[0].seq, Last: g.entries[len(g.entries)-1].seq, Formed: g.formed.UTC(), Lost: g.lost,
	})
	if err != nil {
		return err
	}
	return groups.Put([]byte(g.id), value)
}

func putCounts(notices, groups *bbolt.Bucket, q *queue) error {
	if err := notices.SetSequence(q.last); err != nil {
		return err
	}
	return groups.Put(lostKey, binary.BigEndian.AppendUint64(nil, uint64(q.lost)))
}

// load fills an empty queue with what the file holds. What in it is no notice
// counts as lost.
func (s *spool) load(q *queue) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		notices, groups, err := buckets(tx)
		if err != nil {
			return err
		}
		if lost := groups.Get(lostKey); len(lost) == 8 {
			q.lost = int(binary.BigEndian.Uint64(lost))
		}
		q.last = notices.Sequence()
		stored := loadGroups(groups)
		var bad [][]byte
		err = notices.ForEach(func(key, value []byte) error {
			if e, ok := toEntry(key, value); ok {
				q.last = max(q.last, e.seq)
				q.restore(e, stored)
			} else {
				bad = append(bad, key)
			}
			return nil
		})
		for _, key := range bad {
			err = errors.Join(err, notices.Delete(key))
			q.lost++
		}
		return err
	})
}

// toEntry reads a notice. It copies: the file's memory ends with the transaction.
func toEntry(key, value []byte) (entry, bool) {
	var n Notice
	if len(key) != 8 || len(value) < 8 || json.Unmarshal(value[8:], &n) != nil {
		return entry{}, false
	}
	queued := time.Unix(0, int64(binary.BigEndian.Uint64(value)))
	return entry{seq: binary.BigEndian.Uint64(key), queued: queued, notice: bytes.Clone(value[8:])}, true
}

// groupRange is a group as it was stored, and what of it was found again.
type groupRange struct {
	storedGroup
	id    string
	found *group
}

// loadGroups reads the groups. The entries of one that cannot be read wait to be
// put into another.
func loadGroups(groups *bbolt.Bucket) (all []*groupRange) {
	_ = groups.ForEach(func(key, value []byte) error { // which fails only if this does
		r := groupRange{id: string(key)}
		if r.id != string(lostKey) && json.Unmarshal(value, &r.storedGroup) == nil {
			all = append(all, &r)
		}
		return nil
	})
	return all
}

// restore puts an entry where it was. They come in the order of their numbers.
func (q *queue) restore(e entry, stored []*groupRange) {
	for _, r := range stored {
		if e.seq < r.First || e.seq > r.Last {
			continue
		}
		if r.found == nil {
			r.found = &group{id: r.id, formed: r.Formed, lost: r.Lost}
			q.groups = append(q.groups, r.found)
		}
		r.found.entries = append(r.found.entries, e)
		return
	}
	q.waiting = append(q.waiting, e)
	q.bytes += len(e.notice)
}
