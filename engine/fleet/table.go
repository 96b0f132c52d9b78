package fleet

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

// A table is what a node knows of the bucket, and what it has to tell. It belongs to the loop.
type table struct {
	share    bool // bans are shared
	cursor   *ban.Cursor
	clock    hybrid
	entries  map[id]*entry
	queue    []id            // that have something to tell, in its order
	failing  []id            // that are told again later
	flying   map[id]flight   // proposals without an answer
	foreign  int             // entries with a decision that a peer has told
	bans     int             // of these, those with a ban
	created  time.Time       // of the bucket; zero: none was seen
	sequence uint64          // of the latest record that was heard
	store    *store          // nil: nothing survives a restart
	dirty    map[id]bool     // entries that the store does not have
	changes  int             // of entries in the last half second
	clean    time.Time       // when the latest transaction with all of them began, or there were none
	saving   map[id]*saved   // what is being saved; nil: nothing
	stored   uint64          // the sequence in the store
	waiting  []chan struct{} // closed when what is dirty is saved, see Saved
	covered  []chan struct{} // closed when what is being saved is
	touched  bool            // an entry has changed since the state was made
	late     bool            // there may be entries that are refused as tooFast
	unsent   int             // entries that have something to tell
}

// An entry is one key.
type entry struct {
	rev     uint64  // the revision of the key; 0: it is empty
	base    head    // what it holds
	record  *Record // the same, until it is saved; nil also where the ledger has it
	mine    *Record // what this node has to tell; nil: nothing
	refused string  // why base is not in force here
	here    Stamp   // of the decision of a person that base is not in force here; 0: there is none
	foreign bool    // base is a decision that a peer has told; see table.foreign
	queued  bool
	sent    Stamp // of the latest proposal, which the key may hold since base; 0: there is none
}

// A flight is a proposal without an answer.
type flight struct {
	record *Record
	value  []byte // the record as it is sent
	rev    uint64 // that its key must have
}

// ready yields when the ledger has changed.
func (t *table) ready() <-chan struct{} {
	if t.cursor == nil {
		return nil
	}
	return t.cursor.Ready()
}

// at returns the entry of a key, which it makes if there is none.
func (t *table) at(i id) *entry {
	e := t.entries[i]
	if e == nil {
		e = &entry{}
		t.entries[i] = e
	}
	return e
}

// touch notes that an entry has changed.
func (t *table) touch(i id) {
	t.dirty[i], t.touched = true, true
	t.changes++
}

// endedHere is why a ban or trust is not in force that a person has ended at this node alone.
const endedHere = "a person has ended it at this node alone"

// refuse notes why what a key holds is not in force here.
func (t *table) refuse(i id, e *entry, why string) {
	if e.refused != why {
		e.refused = why
		t.touch(i)
	}
}

// hold notes what a key holds now; heard is whether a peer may have told it, in whatever name.
func (t *table) hold(i id, e *entry, base head, r *Record, rev uint64, heard bool) {
	t.count(e, -1)
	e.foreign = heard && base.kind != ""
	e.base, e.record, e.rev, e.refused, e.sent = base, r, rev, "", 0
	t.count(e, 1)
	if base.kind == KindUnban || base.kind == KindUntrust {
		e.here = 0
	}
	if e.here != 0 {
		e.refused = endedHere
	}
	t.touch(i)
}

// empty notes that a key holds nothing, or nothing that counts, and forgets it unless there is something to tell.
func (t *table) empty(i id, e *entry, rev uint64) {
	t.hold(i, e, head{}, nil, rev, false)
	if e.mine == nil {
		delete(t.entries, i)
	}
}

// count adds an entry to what peers have told, or takes it from that.
func (t *table) count(e *entry, by int) {
	if e.foreign {
		t.foreign += by
		if e.base.kind == KindBan {
			t.bans += by
		}
	}
}

// tell has a record told in its turn.
func (t *table) tell(i id, e *entry, r *Record) {
	if e.mine == nil {
		t.unsent++
	}
	e.mine = r
	t.touch(i)
	t.enqueue(i, e)
}

func (t *table) enqueue(i id, e *entry) {
	if e.mine != nil && !e.queued {
		e.queued = true
		t.queue = append(t.queue, i)
	}
}

// drop leaves nothing to tell about a key.
func (t *table) drop(i id, e *entry) {
	if e.mine != nil {
		e.mine = nil
		t.unsent--
		t.touch(i)
	}
}

// requeue has all that was not told yet told again, in the order in which it was decided.
func (t *table) requeue() {
	t.queue, t.failing = nil, nil
	for i, e := range t.entries {
		e.queued = false
		t.enqueue(i, e)
	}
	slices.SortFunc(t.queue, func(a, b id) int {
		return cmp.Compare(t.entries[a].mine.Stamp, t.entries[b].mine.Stamp)
	})
}

// again has told what failed.
func (t *table) again() {
	for _, i := range t.failing {
		if e := t.entries[i]; e != nil {
			t.enqueue(i, e)
		}
	}
	t.failing = nil
}

// next returns the next record to tell, which is on its way then; ok is false if there is none.
func (t *table) next(now time.Time) (i id, f flight, ok bool) {
	for len(t.queue) > 0 {
		i, t.queue = t.queue[0], t.queue[1:]
		e := t.entries[i]
		if e == nil {
			continue
		}
		e.queued = false
		if _, flies := t.flying[i]; flies || e.mine == nil {
			continue
		}
		if h := e.mine.head(); h.over(now) {
			t.drop(i, e)
			continue
		}
		f = flight{e.mine, e.mine.encode(), e.rev}
		t.flying[i], e.sent = f, e.mine.Stamp
		return i, f, true
	}
	return id{}, f, false
}

// land ends a flight.
func (t *table) land(i id) { delete(t.flying, i) }

// notInForce returns how many entries are not in force here.
func (t *table) notInForce() (refused int) {
	for _, e := range t.entries {
		if e.refused != "" {
			refused++
		}
	}
	return refused
}

// acked takes the answer to a proposal.
func (n *Node) acked(a ack) {
	t := &n.table
	if a.session != n.session {
		return
	}
	if a.key == n.lease.key(n) {
		n.renewed(a)
		return
	}
	i, ok := idOf(a.key)
	f, flies := t.flying[i]
	if !ok || !flies {
		return
	}
	t.land(i)
	e := t.at(i)
	switch {
	case a.err == nil:
		n.agreed(i, e, f.record, a.sequence)
	case !conflict(a.err):
		n.unanswered(a.err)
		t.failing = append(t.failing, i)
		return
	case e.mine == nil:
	case e.rev == f.rev: // not heard yet what the key holds
		go n.fetch(n.life, a.session, i)
		t.failing = append(t.failing, i)
	default:
		t.enqueue(i, e)
	}
	if a.err == nil {
		n.report(aboutBucket, status.OK, "")
	}
}

// unanswered reports why the server does not take what this node sends.
func (n *Node) unanswered(err error) {
	if denied := n.link.refusal(); denied != nil { // it is not answered
		err = denied
	}
	n.report(aboutBucket, status.Warning, inWords(err)+"; changes are sent later")
}

// agreed notes that a key holds a record of this node.
func (n *Node) agreed(i id, e *entry, r *Record, rev uint64) {
	t := &n.table
	if rev > e.rev {
		t.hold(i, e, r.head(), r, rev, r.Node != n.cfg.Node)
		e.forget()
	}
	if e.mine != nil && e.mine.Stamp == r.Stamp && e.mine.Node == r.Node {
		if t.drop(i, e); rev < e.rev {
			n.superseded(i, e)
		}
	}
	t.enqueue(i, e)
}

// superseded takes what a key holds, which was decided in knowledge of what this node had to tell, but was heard before
// the answer to that.
func (n *Node) superseded(i id, e *entry) {
	r := n.recall(i, e)
	if e.base.over(n.o.Now()) || !n.admits(i, e, r, i.key()) {
		return
	}
	e.refused = notEntered
	n.take([]*Record{r})
}

// readLedger turns the changes of the ledger into what is to be told.
func (n *Node) readLedger() {
	t := &n.table
	if t.cursor == nil {
		return
	}
	changes, lost := t.cursor.Take()
	n.readTold() // how a ban was ended is told before it is published
	if lost {
		n.reconcile()
		return
	}
	n.compareAll(changes)
}

// compareAll compares the targets of changes, each once.
func (n *Node) compareAll(changes []*ban.Change) {
	last := make(map[ban.Target]int, len(changes))
	for i := range changes {
		last[changes[i].Target] = i
	}
	now := n.o.Now()
	for i := range changes {
		if c := changes[i]; last[c.Target] == i {
			n.compare(c.Target, c, now)
		}
	}
}

// compare notes what is to be told about a target: how the ledger differs from the bucket. c is the
// latest change; nil: not known.
func (n *Node) compare(target ban.Target, c *ban.Change, now time.Time) {
	t, i := &n.table, id{target: target}
	e := t.entries[i]
	if c != nil && c.InForce() && !n.own(&c.Ban) && (e == nil || e.mine == nil) {
		return // most changes: of peers and feeds
	}
	b, banned := n.o.Ledger.Get(target)
	if e != nil && c != nil && c.Kind == ban.KindUnban && e.base.kind == KindBan && e.record == nil {
		e.record = n.completed(e.base.record(target), &c.Ban) // the ledger has it no more
	}
	switch {
	case banned && n.own(&b):
		e = t.at(i)
		told := e.mine != nil && e.mine.Kind == KindBan && e.mine.Until.Equal(b.Until)
		if e.holds(&b, c == nil && !told) {
			t.drop(i, e)
			if !b.OfRule() {
				e.here = 0 // sweep enters what ends later
			}
		} else if !told {
			n.tellBan(i, e, &b, c, now)
		}
	case e == nil, banned && ban.IsOnlyHere(b.Author), !banned && e.here != 0:
	case c != nil && c.Kind == ban.KindUnban && strings.HasPrefix(c.Why, "trusted: "):
		if e.base.kind == KindBan {
			t.refuse(i, e, c.Why)
		}
		n.dropBan(i, e)
	case !banned && c != nil && c.Kind == ban.KindUnban:
		known := e.base.kind == KindBan && !e.base.over(now) || e.sent != 0
		if known && (e.mine == nil || e.mine.Kind == KindBan) {
			n.tellOne(&Record{Kind: KindUnban, Target: target, Author: ban.ByRule, Reason: c.Why, Start: c.At}, now)
		} else {
			n.dropBan(i, e)
		}
	default:
		n.dropBan(i, e)
	}
}

// holds reports whether the bucket has a ban of the ledger, or a longer one in its place. The ledger has a shorter one
// where that is refused, or after an unban here, which the bucket has already if nothing has changed here.
func (e *entry) holds(b *ban.Ban, unchanged bool) bool {
	if e.base.kind != KindBan || e.sent != 0 {
		return false
	}
	return e.base.until.Equal(b.Until) || outlasts(e.base.until, b.Until) && (unchanged || e.refused != "")
}

// dropBan leaves a ban of this node untold.
func (n *Node) dropBan(i id, e *entry) {
	if e.mine != nil && e.mine.Kind == KindBan {
		n.table.drop(i, e)
	}
}

// own reports whether a ban is one to share: of a rule or a person here, and enforced.
func (n *Node) own(b *ban.Ban) bool {
	return !strings.HasPrefix(b.Author, AuthorPrefix) && !ban.IsOnlyHere(b.Author) && n.o.Enforced(b)
}

// tellBan has a ban of the ledger told.
func (n *Node) tellBan(i id, e *entry, b *ban.Ban, c *ban.Change, now time.Time) {
	r := (&head{KindBan, b.Author, n.cfg.Node, 0, b.Until, b.Start}).record(b.Target)
	r.fill(b)
	if c != nil {
		r.Proven = c.Proven
		r.Stamp = n.stamp(e, now)
	} else { // decided before this run
		latest := e.base
		if e.mine != nil && e.mine.Kind == KindUnban {
			latest = e.mine.head()
		}
		if r.Stamp = stampAt(b.Start); !r.beats(latest) {
			return
		}
	}
	if c != nil && len(c.Evidence) > 0 && !c.Evidence[len(c.Evidence)-1].Lost {
		r.Evidence = slices.Clone(c.Evidence)
	} else {
		r.Evidence = slices.Clone(n.o.Ledger.Evidence(b))
	}
	r.cut()
	e.here = 0
	n.table.refuse(i, e, "")
	n.table.tell(i, e, r)
}

// tellOne has another decision of this node told.
func (n *Node) tellOne(r *Record, now time.Time) {
	i := r.id()
	e := n.table.at(i)
	r.Node, r.Stamp = n.cfg.Node, n.stamp(e, now)
	r.cut()
	n.table.tell(i, e, r)
}

// stamp returns the stamp of a decision about a key, which is later than all that is known of it.
func (n *Node) stamp(e *entry, now time.Time) Stamp {
	after := e.base.stamp
	if e.mine != nil {
		after = max(after, e.mine.Stamp)
	}
	return n.table.clock.next(now, after)
}

// reconcile compares all of the ledger with what the bucket held last. A ban that the ledger has
// not, although the bucket has, is taken again.
func (n *Node) reconcile() {
	t, now := &n.table, n.o.Now()
	bans, changes, _ := t.cursor.Snapshot()
	n.readTold()
	n.compareAll(changes)
	var missing []id
	banned := make(map[ban.Target]bool, len(bans))
	for b := range bans.All() {
		banned[b.Target] = true
		n.compare(b.Target, nil, now)
		if i := (id{target: b.Target}); n.own(b) && t.entries[i].mine == nil && outlasts(t.entries[i].base.until, b.Until) && t.entries[i].refused == "" {
			missing = append(missing, i)
		}
	}
	for i, e := range t.entries {
		if e.refused == notEntered && e.mine == nil {
			missing = append(missing, i)
			continue
		}
		if i.trust || banned[i.target] || e.mine != nil || e.refused != "" || e.base.kind != KindBan || e.base.over(now) {
			continue
		}
		missing = append(missing, i)
	}
	for _, g := range n.o.Ledger.AllTrusted() {
		i := id{trust: true, target: g.Target}
		if g.Author != "" && !strings.HasPrefix(g.Author, AuthorPrefix) && !ban.IsOnlyHere(g.Author) && (t.entries[i] == nil || t.entries[i].base.kind == "") {
			e := t.at(i)
			t.tell(i, e, &Record{
				Kind: KindTrust, Target: g.Target, Node: n.cfg.Node, Stamp: stampAt(g.Since),
				Start: g.Since, Until: g.Until, Author: g.Author, Reason: g.Comment,
			})
		}
	}
	records, unknown := n.load(missing)
	if len(unknown) > 0 {
		n.hearAgain(unknown)
	}
	n.take(records)
}

// sweep forgets what is over, and asks again about what was refused: trust or a registration may
// have ended.
func (n *Node) sweep() {
	t, now := &n.table, n.o.Now()
	var refused []id
	for i, e := range t.entries {
		switch {
		case e.mine == nil && e.base.over(now):
			t.empty(i, e, e.rev)
		case e.refused != "" && e.here == 0 && len(refused) < mostHeard:
			refused = append(refused, i)
		}
	}
	records, _ := n.load(refused)
	n.take(records)
}
