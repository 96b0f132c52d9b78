package fleet

import (
	"strings"
	"time"

	"freeswitch-security/engine/ban"
)

// Unbanned tells the fleet that a person has unbanned a target, and how long rules do not ban it.
func (n *Node) Unbanned(target ban.Target, grace time.Time, author, reason string, now time.Time) {
	n.tellLater(&Record{Kind: KindUnban, Target: target, Start: now, Until: grace, Author: author, Reason: reason})
}

// Trusted tells the fleet that a person trusts a target.
func (n *Node) Trusted(t *ban.Trusted) {
	n.tellLater(&Record{Kind: KindTrust, Target: t.Target, Start: t.Since, Until: t.Until, Author: t.Author, Reason: t.Comment})
}

// Untrusted tells the fleet that a person no longer trusts a target.
func (n *Node) Untrusted(target ban.Target, author string, now time.Time) {
	n.tellLater(&Record{Kind: KindUntrust, Target: target, Start: now, Author: author})
}

// EndedHere notes that a person has ended the ban of a target, or the trust in it, at this node alone. What
// the fleet has decided about it is not entered here until a person decides again, at any node, or until it is
// over. It must be called before the ledger publishes the end.
func (n *Node) EndedHere(target ban.Target, trust bool) {
	kind := KindUnban
	if trust {
		kind = KindUntrust
	}
	n.tellLater(&Record{Kind: kind, Target: target, here: true})
}

func (n *Node) tellLater(r *Record) {
	if !n.table.share {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, r)
	n.signal()
}

// signal has the loop read what was told; the mutex is held.
func (n *Node) signal() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// readTold takes what the engine has told.
func (n *Node) readTold() {
	n.mu.Lock()
	told := n.told
	n.told = nil
	n.mu.Unlock()
	now := n.o.Now()
	for _, r := range told {
		b, banned := n.o.Ledger.Get(r.Target)
		switch {
		case r.here:
			n.endHere(r.id(), &b, now)
		case r.Kind != KindUnban || !banned:
			n.tellOne(r, now)
		case n.own(&b): // banned again since
			i := r.id()
			n.tellBan(i, n.table.at(i), &b, &ban.Change{}, now)
		}
	}
}

// endHere notes that what the fleet has decided about a target is not in force here.
func (n *Node) endHere(i id, b *ban.Ban, now time.Time) {
	e := n.table.entries[i]
	if e == nil || strings.HasPrefix(b.Author, AuthorPrefix) && !i.trust { // a peer has banned it again since
		return
	}
	in := func(k Kind) bool { return k == KindBan || k == KindTrust }
	if in(e.base.kind) || e.mine != nil && in(e.mine.Kind) {
		e.here = n.stamp(e, now)
		n.table.refuse(i, e, endedHere)
	}
}

// Saved returns a channel that is closed once what was told, and what the ledger has published before, is kept
// across restarts, or cannot be.
func (n *Node) Saved() <-chan struct{} {
	done := make(chan struct{})
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over {
		close(done)
		return done
	}
	n.waiting = append(n.waiting, done)
	n.signal()
	return done
}

func closeAll(waiting *[]chan struct{}) {
	for _, one := range *waiting {
		close(one)
	}
	*waiting = nil
}

// endTold lets go those that wait: the node has ended.
func (n *Node) endTold() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over = true
	closeAll(&n.waiting)
	closeAll(&n.table.waiting)
	closeAll(&n.table.covered)
}

// saveTold has what was told saved at once for those that wait.
func (n *Node) saveTold() {
	n.mu.Lock()
	n.table.waiting = append(n.table.waiting, n.waiting...)
	n.waiting = nil
	n.mu.Unlock()
	if len(n.table.waiting) > 0 {
		n.save()
	}
}
