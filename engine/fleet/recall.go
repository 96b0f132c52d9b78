package fleet

import (
	"errors"
	"slices"

	"freeswitch-security/engine/ban"
)

// forget leaves the head of what a key holds where the ledger has the rest: of a ban in force.
func (e *entry) forget() {
	if e.base.kind == KindBan && e.refused == "" {
		e.record = nil
	}
}

// hearAgain has the bucket heard again, as it has records of keys that neither the ledger nor the store has.
func (n *Node) hearAgain(keys []id) {
	for _, i := range keys {
		n.table.entries[i].rev = 0
	}
	n.table.sequence = 0
	if n.session != nil {
		n.lose(failure{n.session, errors.New("records are to be heard again")})
	}
}

// relay has the records of a lost bucket told again, those of peers too.
func (n *Node) relay() {
	t, now := &n.table, n.o.Now()
	for i, e := range t.entries {
		r := e.mine
		if r == nil && !e.base.over(now) {
			r = n.recall(i, e)
		}
		t.hold(i, e, head{}, nil, 0, false)
		if r != nil {
			t.tell(i, e, r)
		}
	}
}

// load returns the records of keys, and the keys whose records are only in the bucket.
func (n *Node) load(all []id) (records []*Record, unknown []id) {
	for _, i := range all {
		e := n.table.entries[i]
		r := e.record
		if r == nil {
			r = n.table.store.record(i, e.base.stamp)
		}
		if r == nil {
			unknown = append(unknown, i)
			continue
		}
		records = append(records, r)
	}
	return records, unknown
}

// recall returns what a key held last, without evidence and as far as it is known.
func (n *Node) recall(i id, e *entry) *Record {
	if e.record != nil {
		return e.record
	}
	if r := n.table.store.record(i, e.base.stamp); r != nil {
		return r
	}
	r := e.base.record(i.target)
	if b, banned := n.o.Ledger.Get(i.target); banned && r.Kind == KindBan {
		r = n.completed(r, &b)
	}
	return r
}

// completed completes a record of a ban by that of the ledger, if that is the same one.
func (n *Node) completed(r *Record, b *ban.Ban) *Record {
	if r.Node == n.cfg.Node && n.own(b) || b.Author == AuthorPrefix+r.Node {
		r.fill(b)
	}
	return r
}

// fill sets what only the ledger has of a ban.
func (r *Record) fill(b *ban.Ban) {
	r.Reason, r.Rule, r.Key, r.Offence, r.Forget, r.Actions = b.Reason, b.Rule, b.Key, b.Offence, b.Forget, slices.Clone(b.Actions)
}
