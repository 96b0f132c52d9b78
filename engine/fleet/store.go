package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/dbfile"
	"freeswitch-security/engine/status"

	"go.etcd.io/bbolt"
)

// A store keeps what the bucket held last, and what is to be told, across restarts. It is a bbolt
// database: a bucket of entries by key, and one value for the rest. What is older than the bucket is
// no harm: the records since are heard again.
type store struct{ db *dbfile.File }

var (
	entriesBucket = []byte("entries.1")
	stateBucket   = []byte("state.1")
	stateKey      = []byte("state")
)

// lockPatience is how long the node that a reload has replaced may take to close the file.
const lockPatience = 2 * time.Second

// A saved is an entry in the store. Its records are not changed any more.
type saved struct {
	Rev     uint64  `json:"rev"`
	Base    *Record `json:"base,omitempty"`
	Head    bool    `json:"head,omitempty"` // Base has only what a head has: the ledger has the rest
	Mine    *Record `json:"mine,omitempty"`
	Refused string  `json:"refused,omitempty"`
	Here    Stamp   `json:"here,omitempty"`
	Sent    Stamp   `json:"sent,omitempty"`
}

// A place is where a node was in which bucket.
type place struct {
	Bucket   string    `json:"bucket"`
	Node     string    `json:"node"`
	Instance string    `json:"instance"`
	Created  time.Time `json:"created"`
	Sequence uint64    `json:"sequence"`
}

// openStore fills the table from the store. Without one the node works all the same.
func (n *Node) openStore() {
	n.lease.instance, n.lease.run = newRun(), newRun()
	if n.o.Dir == "" {
		return
	}
	n.table.clean = time.Now()
	path := filepath.Join(n.o.Dir, "fleet.db")
	err := os.MkdirAll(n.o.Dir, 0o700)
	if err == nil {
		n.table.store, err = n.openFile(path)
	}
	if err == nil {
		err = n.loadAll()
	}
	if err != nil {
		n.report(aboutStore, status.Warning, fmt.Sprintf("what the fleet decided is not kept across restarts: %s", err))
	}
}

// openFile opens the file, and moves a damaged one aside.
func (n *Node) openFile(path string) (*store, error) {
	db, err := dbfile.Open(path, lockPatience, nil)
	if errors.Is(err, dbfile.ErrDamaged) {
		aside, moving := dbfile.MoveAside(path, time.Now())
		if moving != nil {
			return nil, errors.Join(err, moving)
		}
		n.o.Log.Error("fleet state damaged: moved aside, decisions not told yet are lost", "err", err, "aside", aside)
		db, err = dbfile.Open(path, lockPatience, nil)
	}
	if err != nil {
		return nil, err
	}
	return &store{db}, nil
}

// loadAll reads the store. What is of another bucket or another node is forgotten, and all where bans are not
// shared: what the bucket decides meanwhile is not heard.
func (n *Node) loadAll() error {
	t, of := &n.table, place{}
	err := t.store.db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(stateBucket); b != nil {
			return json.Unmarshal(b.Get(stateKey), &of)
		}
		return nil
	})
	same := err == nil && of.Bucket == n.cfg.Bucket && of.Node == n.cfg.Node
	if same {
		n.lease.instance = of.Instance
	}
	if !same || !t.share {
		return t.store.forget(&place{Bucket: n.cfg.Bucket, Node: n.cfg.Node, Instance: n.lease.instance})
	}
	t.created, t.sequence = of.Created, of.Sequence
	return t.store.db.ViewAll(func(tx *bbolt.Tx) error {
		b := tx.Bucket(entriesBucket)
		if b == nil {
			return nil
		}
		return b.ForEach(func(key, value []byte) error {
			var s saved
			if i, ok := idOf(string(key)); ok && unmarshal(value, &s) == nil {
				n.restore(i, &s)
			}
			return nil
		})
	})
}

func (n *Node) restore(i id, s *saved) {
	e := n.table.at(i)
	if s.Base != nil {
		s.Base.Node = n.peers.name(s.Base.Node)
		n.table.clock.see(s.Base.Stamp, n.o.Now())
		n.table.hold(i, e, s.Base.head(), nil, s.Rev, s.Base.Node != n.cfg.Node)
	}
	e.rev, e.refused, e.here = s.Rev, s.Refused, s.Here
	if s.Mine != nil {
		n.table.tell(i, e, s.Mine)
		e.sent = cmp.Or(s.Sent, s.Mine.Stamp) // it may have been
		n.table.clock.see(e.mine.Stamp, n.o.Now())
	}
	delete(n.table.dirty, i)
	n.table.touched = true
}

// record returns the record of a key that has a stamp; nil if the store does not have it.
func (s *store) record(i id, stamp Stamp) (r *Record) {
	if s == nil {
		return nil
	}
	_ = s.db.View(func(tx *bbolt.Tx) error { // an error: it is not known
		if b := tx.Bucket(entriesBucket); b != nil {
			var one saved
			if unmarshal(b.Get([]byte(i.key())), &one) == nil && one.Base != nil && !one.Head && one.Base.Stamp == stamp {
				r = one.Base
			}
		}
		return nil
	})
	return r
}

// mostSaved bounds the entries of one transaction.
const mostSaved = 20_000

// saveUnlessFlooded has what has changed saved. In a flood of records, and during a join, it waits for their end,
// but not longer than saveLatest: a record that comes back from the bucket is then saved once, and takes no
// processor time from those that follow.
func (n *Node) saveUnlessFlooded() {
	t := &n.table
	if len(t.dirty) == 0 {
		t.clean = time.Now()
	}
	more := t.changes
	if t.changes = 0; more <= mostHeard || time.Since(t.clean) > saveLatest {
		n.save()
	}
}

// save has what has changed saved, once the ledger is durable.
func (n *Node) save() {
	t := &n.table
	if t.store == nil {
		for i := range t.dirty {
			if e := t.entries[i]; e != nil && e.refused == "" {
				e.record = nil
			}
		}
		clear(t.dirty)
	}
	if len(t.dirty) == 0 && t.saving == nil {
		closeAll(&t.waiting)
	}
	if len(t.dirty) == 0 || t.saving != nil {
		return
	}
	saving := make(map[id]*saved, min(len(t.dirty), mostSaved))
	for i := range t.dirty {
		if len(saving) == mostSaved {
			break
		}
		saving[i] = t.entries[i].toSave(i.target)
		delete(t.dirty, i)
	}
	t.saving = saving
	if len(t.dirty) == 0 {
		t.covered, t.waiting = t.waiting, nil
		t.clean = time.Now()
	}
	of := place{n.cfg.Bucket, n.cfg.Node, n.lease.instance, t.created, t.sequence}
	if len(t.dirty) > 0 {
		of.Sequence = t.stored // the sequence is that of all of them
	}
	go func() {
		err := n.o.Durable(context.Background())
		if err == nil {
			err = t.store.write(saving, &of)
		}
		n.wrote <- written{of.Sequence, err}
	}()
}

// A written is the result of a transaction.
type written struct {
	sequence uint64
	err      error
}

// saved notes what was saved, or has it saved again.
func (n *Node) saved(w written) {
	t := &n.table
	for i, one := range t.saving {
		if w.err != nil {
			t.touch(i)
		} else if e := t.entries[i]; e != nil && one != nil && e.record == one.Base {
			e.record = nil
		}
	}
	t.saving = nil
	closeAll(&t.covered)
	if w.err != nil {
		closeAll(&t.waiting)
		n.report(aboutStore, status.Warning, fmt.Sprintf("what the fleet decided is not kept across restarts: %s", w.err))
		return
	}
	t.stored = w.sequence
	n.report(aboutStore, status.OK, "")
	if len(t.waiting) > 0 {
		n.save()
	}
}

// toSave returns what the store keeps of an entry; nil: nothing.
func (e *entry) toSave(target ban.Target) *saved {
	if e == nil {
		return nil
	}
	s := &saved{Rev: e.rev, Base: e.record, Mine: e.mine, Refused: e.refused, Here: e.here, Sent: e.sent}
	if s.Base == nil && e.base.kind != "" {
		s.Base, s.Head = e.base.record(target), true
	}
	return s
}

// value returns the value of an entry; nil: it is to be removed.
func (s *store) value(i id, one *saved) []byte {
	if one == nil {
		return nil
	}
	kept := *one
	if kept.Head && (kept.Base.Kind != KindBan || kept.Refused != "") {
		if r := s.record(i, kept.Base.Stamp); r != nil {
			kept.Base, kept.Head = r, false
		}
	} else if kept.Base != nil && !kept.Head {
		bare := *kept.Base
		bare.Evidence = nil // the ledger has it
		kept.Base = &bare
	}
	value, _ := json.Marshal(&kept) // of texts and numbers
	return value
}

// write makes entries durable; nil is removed.
func (s *store) write(entries map[id]*saved, of *place) error {
	values := make(map[string][]byte, len(entries))
	for i, one := range entries {
		values[i.key()] = s.value(i, one)
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		entries, err := tx.CreateBucketIfNotExists(entriesBucket)
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			if values[key] == nil {
				err = entries.Delete([]byte(key))
			} else {
				err = entries.Put([]byte(key), values[key])
			}
			if err != nil {
				return err
			}
		}
		return of.put(tx)
	})
}

// forget removes all entries.
func (s *store) forget(of *place) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		if tx.Bucket(entriesBucket) != nil {
			if err := tx.DeleteBucket(entriesBucket); err != nil {
				return err
			}
		}
		return of.put(tx)
	})
}

func (p *place) put(tx *bbolt.Tx) error {
	state, err := tx.CreateBucketIfNotExists(stateBucket)
	if err != nil {
		return err
	}
	value, _ := json.Marshal(p) // of texts and numbers
	return state.Put(stateKey, value)
}

// closeStore saves the rest, and closes the file.
func (n *Node) closeStore() {
	t := &n.table
	if t.store == nil {
		return
	}
	for t.saving != nil || len(t.dirty) > 0 {
		if t.saving == nil {
			n.save()
		}
		w := <-n.wrote
		if n.saved(w); w.err != nil {
			break
		}
	}
	if err := t.store.db.Close(); err != nil {
		n.o.Log.Error("fleet store not closed", "err", err)
	}
}
