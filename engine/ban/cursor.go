package ban

import (
	"iter"
	"slices"
)

// A Cursor is the position of one reader in the changes of the ledger. It belongs to
// one goroutine.
type Cursor struct {
	ledger *Ledger
	eager  bool
	kinds  []Kind
	ready  chan struct{}
	// pending and lost are guarded by the ledger's mutex.
	pending []*Change
	lost    bool
}

// maxPending bounds the changes that a cursor keeps for a slow reader: some 100 MB
// without evidence. A reader further behind must look at [Ledger.Bans].
const maxPending = 1 << 18

// maxPendingEvidence is how many of them, the newest, keep their whole evidence. The others keep
// the firing event without its text.
const maxPendingEvidence = 1 << 12

// Cursor returns a cursor on the changes of these kinds from now on. It yields what is
// committed: durable, so that no reader learns of a ban that a crash could take back.
// An eager cursor yields what is published, and does not wait for the disk. It is for
// a level, whose state is compared with the ledger's at every start: milliseconds
// count for the firewall.
func (l *Ledger) Cursor(eager bool, kinds []Kind) *Cursor {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &Cursor{ledger: l, eager: eager, kinds: kinds, ready: make(chan struct{}, 1)}
	l.cursors = append(l.cursors, c)
	return c
}

// Ready yields when there may be changes to take.
func (c *Cursor) Ready() <-chan struct{} { return c.ready }

// Take returns the changes since the last call, oldest first. lost says that there were
// more than a cursor keeps, which are lost. The changes must not be changed.
func (c *Cursor) Take() (changes []*Change, lost bool) {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	changes, lost = c.pending, c.lost
	c.pending, c.lost = nil, false
	return changes, lost
}

// Snapshot returns the bans in force, in the order of their targets, and the changes
// since the last Take or Snapshot that led to them. Changes that are not yet published
// are among them, and Take returns those again. seq is the number of the latest change
// in all this. The cursor must be eager.
func (c *Cursor) Snapshot() (bans Snapshot, changes []*Change, seq uint64) {
	l := c.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	bans = make([]*held, 0, l.bans.size())
	for _, b := range l.bans.after(Target{}) {
		bans = append(bans, b)
	}
	changes = c.appendWanted(c.pending, l.fresh)
	c.pending, c.lost = nil, false
	return bans, changes, l.seq
}

// Waiting returns the targets of the changes that were not taken yet, also of those that are not
// published.
func (c *Cursor) Waiting() map[Target]bool {
	l := c.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := map[Target]bool{}
	for _, changes := range [][]*Change{c.pending, l.fresh} {
		for _, change := range changes {
			if slices.Contains(c.kinds, change.Kind) {
				waiting[change.Target] = true
			}
		}
	}
	return waiting
}

// Close ends the cursor.
func (c *Cursor) Close() {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	c.ledger.cursors = slices.DeleteFunc(c.ledger.cursors, func(other *Cursor) bool { return other == c })
}

// A Snapshot is all bans at one moment. Its length is their number.
type Snapshot []*held

// All yields the bans, without their evidence. Each is valid until the next.
func (s Snapshot) All() iter.Seq[*Ban] {
	return func(yield func(*Ban) bool) {
		var b Ban
		for _, h := range s {
			if b = h.ban(); !yield(&b) {
				return
			}
		}
	}
}

// push adds the changes of the cursor's kinds; the ledger's mutex is held.
func (c *Cursor) push(changes []*Change) {
	before := len(c.pending)
	c.pending = c.appendWanted(c.pending, changes)
	if len(c.pending) == before {
		return
	}
	if len(c.pending) > maxPending {
		c.pending, c.lost = nil, true
	}
	for i := max(0, before-maxPendingEvidence); i < len(c.pending)-maxPendingEvidence; i++ {
		if e := c.pending[i].Evidence; len(e) > 0 {
			lean, last := *c.pending[i], e[len(e)-1]
			last.Text, last.Lost = "", true
			lean.Evidence = []Evidence{last}
			c.pending[i] = &lean
		}
	}
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

func (c *Cursor) appendWanted(to, changes []*Change) []*Change {
	for _, change := range changes {
		if slices.Contains(c.kinds, change.Kind) {
			to = append(to, change)
		}
	}
	return to
}
