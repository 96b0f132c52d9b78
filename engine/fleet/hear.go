package fleet

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"freeswitch-security/engine/config"
)

// hear takes a message of the bucket, and those that wait behind it.
func (n *Node) hear(first heard) {
	n.readLedger() // what was decided here comes before what is heard
	n.take(n.gather(first))
	s := n.session
	if s == nil {
		return
	}
	s.latest = time.Now() // the time that taking them took is not one of silence
	if !s.current && s.waiting == 0 {
		n.becomeCurrent()
	}
}

// gather notes a message and those that wait behind it. Of many decisions it waits for more.
func (n *Node) gather(h heard) (records []*Record) {
	now, patience := n.o.Now(), (<-chan time.Time)(nil)
	for noted := 1; ; noted++ {
		if r := n.note(h, now); r != nil {
			records = append(records, r)
		}
		if noted == mostNoted || len(records) == mostHeard {
			return records
		}
		select {
		case h = <-n.heard:
			continue
		default:
		}
		if len(records) < fewHeard {
			return records
		}
		if patience == nil {
			patience = time.After(gatherFor)
		}
		select {
		case h = <-n.heard:
		case <-patience:
			return records
		}
	}
}

// becomeCurrent notes that all is heard that the bucket had when the session began.
func (n *Node) becomeCurrent() {
	n.session.current = true
	n.o.Log.Info("fleet joined", "server", n.link.server(), "records", len(n.table.entries), "unsent", n.table.unsent)
}

// note notes what a message says, and returns the decision to take; nil: none.
func (n *Node) note(h heard, now time.Time) *Record {
	s, m := h.session, h.message
	if s != n.session {
		return nil
	}
	if m.number > 0 {
		if m.number != s.number+1 {
			n.lose(failure{s, fmt.Errorf("message %d of the bucket is missing", s.number+1)})
			return nil
		}
		s.number, n.table.sequence = m.number, max(n.table.sequence, m.sequence)
		if s.waiting > 0 {
			s.waiting--
		}
	}
	if name, ok := strings.CutPrefix(m.key, leasePrefix); ok {
		n.hearLease(name, m)
		return nil
	}
	i, ok := idOf(m.key)
	if !ok || !n.table.share {
		return nil
	}
	if m.gone {
		n.emptied(i, m)
		return nil
	}
	return n.noteRecord(i, m, now)
}

// emptied notes that a key is empty: what it held is over, or was removed.
func (n *Node) emptied(i id, m message) {
	t := &n.table
	e := t.entries[i]
	if e == nil || m.number > 0 && m.sequence <= e.rev {
		return
	}
	t.empty(i, e, m.sequence)
	t.enqueue(i, e)
}

// noteRecord notes what a key holds, and returns the decision to take; nil: none.
func (n *Node) noteRecord(i id, m message, now time.Time) *Record {
	t := &n.table
	e := t.entries[i]
	if e != nil && m.sequence <= e.rev {
		return nil
	}
	f, flies := t.flying[i]
	if flies && bytes.Equal(m.value, f.value) {
		n.agreed(i, t.at(i), f.record, m.sequence)
		return nil
	}
	r, err := decode(m.key, m.value, now)
	if err != nil {
		n.unreadable(i, e, r, m, err)
		return nil
	}
	t.clock.see(r.Stamp, now)
	r.Node = n.peers.name(r.Node)
	if flies && f.record.Stamp == r.Stamp && f.record.Node == r.Node {
		n.agreed(i, t.at(i), f.record, m.sequence)
		return nil
	}
	if e != nil && e.mine != nil && (e.mine.beats(r.head()) || e.follows(r, n.cfg.Node)) {
		t.hold(i, e, r.head(), r, m.sequence, true)
		t.enqueue(i, e)
		return nil
	}
	if why := n.excess(e, r); why != "" {
		n.refuse(r.Node, m.key, why)
		return nil
	}
	e = t.at(i)
	t.drop(i, e)
	t.hold(i, e, r.head(), r, m.sequence, true)
	if e.base.over(now) || !n.admits(i, e, r, m.key) {
		return nil
	}
	e.refused = notEntered
	return r
}

// follows reports whether what node has to tell follows an earlier proposal of its own, which r is: its answer is
// missing.
func (e *entry) follows(r *Record, node string) bool {
	return r.Node == node && r.Stamp <= e.sent && r.Stamp < e.mine.Stamp
}

// unreadable notes that a key holds what is no record. Its revision counts: a decision of this node replaces it.
func (n *Node) unreadable(i id, e *entry, r *Record, m message, err error) {
	name := ""
	if r != nil && config.IsNode(r.Node) {
		name = r.Node
	}
	n.refuse(name, m.key, err.Error())
	if e != nil {
		n.table.hold(i, e, head{}, nil, m.sequence, false)
		n.table.enqueue(i, e)
	}
}

// admits reports whether a decision may be taken now, and refuses it otherwise.
func (n *Node) admits(i id, e *entry, r *Record, key string) bool {
	t := &n.table
	if e.here != 0 && (r.ByRule() || r.Stamp <= e.here) {
		n.refuse(r.Node, key, endedHere)
		return false
	}
	if e.here != 0 { // a person has decided again
		e.here = 0
		t.touch(i)
	}
	if n.session.current && !n.peers.of(r.Node).changes.Allow() {
		t.refuse(i, e, tooFast)
		t.late = true
		n.refuse(r.Node, key, tooFast)
		return false
	}
	return true
}

// mostBeside is how many decisions of peers are held beside bans: unbans, for 30 days, and trust. An unban of a ban is
// entered beyond that, but not held: the bucket has it. Only those that wait for the rate of their node are.
const mostBeside = 200_000

// excess returns why a decision of a peer is one too many, also one in the name of this node; "" if it is not. One
// that replaces a decision of this node or one of its kind never is, nor is an unban of a ban.
func (n *Node) excess(e *entry, r *Record) string {
	t, most := &n.table, n.cfg.MaxFromPeers
	switch {
	case e != nil && (e.mine != nil || e.base.kind == r.Kind):
	case r.Kind == KindBan && t.bans >= most:
		return fmt.Sprintf("there are %d bans of peers already, as many as max_from_peers allows", t.bans)
	case e != nil && e.base.kind != "":
	case r.Kind != KindBan && t.foreign-t.bans >= mostBeside, t.foreign >= most+mostBeside:
		return fmt.Sprintf("there are %d decisions of peers already", t.foreign)
	}
	return ""
}

// take has the engine enter decisions of peers. Where the ledger has changed meanwhile, it is compared
// first.
func (n *Node) take(records []*Record) {
	for len(records) > 0 {
		verdicts, err := n.o.Take(n.life, records, n.table.cursor.Waiting)
		if err != nil { // the engine has stopped: they are entered at the next start
			for _, r := range records {
				n.table.refuse(r.id(), n.table.at(r.id()), notEntered)
			}
			return
		}
		var again []*Record
		now := n.o.Now()
		for j, v := range verdicts {
			if v.Again {
				again = append(again, records[j])
				continue
			}
			n.taken(records[j], v, now)
		}
		if len(again) > 0 {
			n.readLedger()
		}
		records = records[:0]
		for _, r := range again {
			if e := n.table.entries[r.id()]; e != nil && e.mine == nil && e.here == 0 {
				records = append(records, r)
			}
		}
	}
}

// tooFast is why a decision is not in force yet that is beyond the rate of its node.
const tooFast = "the node decides faster than is taken from a peer"

// takeLate has decisions entered that were beyond the rate of their nodes, as far as that allows now.
func (n *Node) takeLate() {
	t := &n.table
	if !t.late {
		return
	}
	t.late = false
	var late []id
	for i, e := range t.entries {
		if e.refused != tooFast || e.mine != nil {
			continue
		}
		t.late = true
		if len(late) == changeRate {
			break
		}
		if n.peers.of(e.base.node).changes.Allow() {
			late = append(late, i)
		}
	}
	records, _ := n.load(late)
	n.take(records)
}

// notEntered is why a decision is not in force that came while the engine ended.
const notEntered = "it was not entered yet"

// taken notes what became of a decision of a peer.
func (n *Node) taken(r *Record, v Verdict, now time.Time) {
	if e := n.table.entries[r.id()]; e != nil && e.base.stamp == r.Stamp && e.refused != v.Refused {
		before := e.refused
		n.table.refuse(r.id(), e, v.Refused)
		e.forget()
		if before != "" && before != notEntered && v.Refused != "" {
			return // asked again
		}
		if v.Refused == "" && r.Kind == KindUnban && e.mine == nil && n.table.foreign-n.table.bans > mostBeside {
			n.table.empty(r.id(), e, e.rev)
		}
	}
	switch {
	case r.Node == n.cfg.Node:
	case v.Refused != "":
		n.refuse(r.Node, r.id().key(), v.Refused)
	default:
		p := n.peers.of(r.Node)
		p.taken++
		p.age = now.Sub(r.Stamp.Time())
	}
}
