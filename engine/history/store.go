package history

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"freeswitch-security/engine/dbfile"

	"go.etcd.io/bbolt"
)

// A store is a history's file: a bucket for each ring, with spans by their number, one for the incidents,
// by target, and one value with the names. A changed byte is a wrong count, and no more.
type store struct {
	file  *dbfile.File
	names int // saved
}

var (
	namesBucket     = []byte("names")
	incidentsBucket = []byte("incidents")
	ringBuckets     = [...][]byte{[]byte("minutes"), []byte("hours"), []byte("top hours"), []byte("top days")}
)

// counterRings is how many of the rings have counters, by the numbers of names.
const counterRings = 2

// lockPatience is the time that another process may take to release the file.
const lockPatience = time.Second

// Open fills the history from the file at path, and saves it there from now on. Errors are those of
// [dbfile.Open]. It must be called before anything is counted.
func (h *History) Open(path string) error {
	file, err := dbfile.Open(path, lockPatience, nil)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := file.ViewAll(h.load); err != nil {
		_ = file.Close() // it is given up
		return fmt.Errorf("%s: %w", path, err)
	}
	h.stored, h.incidents.saved, h.incidents.dirty = &store{file, len(h.names.all)}, map[string]bool{}, map[string]bool{}
	for name := range h.incidents.all {
		h.incidents.saved[name] = true
	}
	return nil
}

func (h *History) load(tx *bbolt.Tx) error {
	if b := tx.Bucket(namesBucket); b != nil {
		var all []Name
		if json.Unmarshal(b.Get(namesBucket), &all) == nil {
			for _, name := range all[:min(len(all), maxNames+maxOthers)] {
				h.names.put(name)
			}
		}
	}
	for i, spans := range h.spans() {
		if i < counterRings && len(h.names.all) == 0 {
			continue // counters without their names, which are damaged, would count for others
		}
		if b := tx.Bucket(ringBuckets[i]); b != nil {
			err := b.ForEach(func(key, value []byte) error {
				if len(key) == 8 {
					spans[int64(binary.BigEndian.Uint64(key))] = slices.Clone(value)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	b := tx.Bucket(incidentsBucket)
	if b == nil {
		return nil
	}
	return b.ForEach(func(key, value []byte) error {
		var i Incident
		if json.Unmarshal(value, &i) == nil && i.Target == string(key) && len(h.incidents.all) < maxIncidents {
			h.incidents.all[i.Target] = &i
		}
		return nil
	})
}

func (h *History) spans() [len(ringBuckets)]map[int64][]byte {
	return [...]map[int64][]byte{h.minutes.spans, h.hours.spans, h.tops[0].spans, h.tops[1].spans}
}

func (h *History) dirty() [len(ringBuckets)]map[int64]bool {
	return [...]map[int64]bool{h.minutes.dirty, h.hours.dirty, h.tops[0].dirty, h.tops[1].dirty}
}

// A pending value is to be written; nil: to be deleted.
type pending struct {
	bucket, key, value []byte
	incident           *Incident // a copy, whose JSON is the value; nil: there is none
}

// Save forgets what is old at a time, and writes what has changed. What could not be written is written by
// the next call.
func (h *History) Save(now time.Time) error {
	h.mu.Lock()
	h.now = now // also back, after the clock was ahead
	h.fold()
	h.incidents.forget(now)
	changed, names := h.pending()
	s := h.stored
	h.mu.Unlock()
	if s == nil || len(changed) == 0 {
		return nil
	}
	for i := range changed {
		if p := &changed[i]; p.incident != nil {
			p.value, _ = json.Marshal(p.incident) // it never fails
		}
	}
	err := s.file.Update(func(tx *bbolt.Tx) error {
		for _, p := range changed {
			b, err := tx.CreateBucketIfNotExists(p.bucket)
			if err != nil {
				return err
			}
			if p.value == nil {
				err = b.Delete(p.key)
			} else {
				err = b.Put(p.key, p.value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		h.again(changed)
		return fmt.Errorf("history: %w", err)
	}
	s.names = names
	return nil
}

// pending returns what has changed, and how many names there are; the mutex is held.
func (h *History) pending() (changed []pending, names int) {
	if h.stored != nil && h.stored.names != len(h.names.all) {
		all, _ := json.Marshal(h.names.all) // it never fails
		changed = append(changed, pending{bucket: namesBucket, key: namesBucket, value: all})
	}
	spans := h.spans()
	for i, dirty := range h.dirty() {
		for span := range dirty {
			changed = append(changed, pending{bucket: ringBuckets[i], key: binary.BigEndian.AppendUint64(nil, uint64(span)), value: spans[i][span]})
		}
		clear(dirty)
	}
	for name := range h.incidents.dirty {
		p := pending{bucket: incidentsBucket, key: []byte(name)}
		if i := h.incidents.all[name]; i != nil {
			now := *i // its evidence is replaced, and does not change
			p.incident, h.incidents.saved[name] = &now, true
		} else {
			delete(h.incidents.saved, name)
		}
		changed = append(changed, p)
	}
	clear(h.incidents.dirty)
	return changed, len(h.names.all)
}

// again marks what was not written.
func (h *History) again(changed []pending) {
	h.mu.Lock()
	defer h.mu.Unlock()
	dirty := h.dirty()
	for _, p := range changed {
		if string(p.bucket) == string(incidentsBucket) {
			h.incidents.saved[string(p.key)], h.incidents.dirty[string(p.key)] = true, true
			continue
		}
		for i := range ringBuckets {
			if string(p.bucket) == string(ringBuckets[i]) {
				dirty[i][int64(binary.BigEndian.Uint64(p.key))] = true
			}
		}
	}
}

// Close releases the file. The caller has saved.
func (h *History) Close() error {
	if h.stored == nil {
		return nil
	}
	return h.stored.file.Close()
}
