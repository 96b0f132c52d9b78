package ban

import "slices"

// maxEvidence bounds the evidence of a ban that is kept: the newest.
const maxEvidence = 20

// maxUnsavedText bounds the texts in memory of evidence that is not in the store: beyond it
// the oldest are given up.
const maxUnsavedText = 8 << 20

// maxEvidenceAtOnce bounds the bans whose evidence is read while the ledger is locked: 10 µs each.
const maxEvidenceAtOnce = 500

// unsaved is the evidence that the store does not have yet. The ledger keeps no other: 100,000 bans with evidence
// would need a gigabyte.
type unsaved struct {
	queue []*pending // in the order of their bans; some are empty
	count int        // of those that are not
	bytes int        // of the texts
}

// pending is the evidence of one ban. It is replaced as a whole: the store and readers of the change may read it.
type pending struct{ evidence []Evidence }

func (u *unsaved) add(evidence []Evidence) *pending {
	p := &pending{evidence[max(0, len(evidence)-maxEvidence):]}
	u.count++
	u.bytes += textBytes(p.evidence)
	u.queue = append(u.queue, p)
	for u.bytes > maxUnsavedText && len(u.queue) > 1 {
		oldest := u.queue[0]
		u.queue = u.queue[1:]
		u.bytes -= textBytes(oldest.evidence)
		oldest.change(Evidence.without)
	}
	return p
}

func (p *pending) change(do func(Evidence) Evidence) {
	evidence := slices.Clone(p.evidence)
	for i := range evidence {
		evidence[i] = do(evidence[i])
	}
	p.evidence = evidence
}

// saved removes what the store has now: the evidence of the same events.
func (u *unsaved) saved(h *held, evidence []Evidence) {
	if p := h.unsaved; p != nil && slices.EqualFunc(evidence, p.evidence, func(a, b Evidence) bool { return a.Time.Equal(b.Time) }) {
		u.remove(p)
		h.unsaved = nil
	}
}

// remove removes the evidence of a ban, which may be nil.
func (u *unsaved) remove(p *pending) {
	if p == nil {
		return
	}
	u.count--
	u.bytes -= textBytes(p.evidence)
	p.evidence = nil
	if len(u.queue) > 2*u.count+1024 {
		u.queue = slices.DeleteFunc(u.queue, func(p *pending) bool { return p.evidence == nil })
	}
}

func textBytes(evidence []Evidence) (n int) {
	for _, e := range evidence {
		n += len(e.User) + len(e.Domain) + len(e.Text)
	}
	return n
}

// without returns the evidence without what is given up.
func (e Evidence) without() Evidence {
	return Evidence{Time: e.Time, Event: e.Event, Source: e.Source, IP: e.IP, Lost: true}
}

// unsavedOf returns the evidence of the ban of a target that the store does not have yet; nil if there is none.
func (l *Ledger) unsavedOf(target Target) []Evidence {
	if h, ok := l.bans.get(target); ok && h.unsaved != nil {
		return h.unsaved.evidence
	}
	return nil
}

// evidence is Evidence; the mutex is held.
func (l *Ledger) evidence(b *Ban) []Evidence {
	if evidence := l.unsavedOf(b.Target); evidence != nil {
		return evidence
	}
	if b.Evidence != nil || l.store == nil {
		return b.Evidence
	}
	return l.store.Evidence(b)
}

// Evidence returns the evidence of a ban that the ledger returned, oldest first. It may read the
// store. Texts and accounts are given up when they are the oldest of too many.
func (l *Ledger) Evidence(b *Ban) []Evidence {
	l.mu.Lock()
	evidence, store := l.unsavedOf(b.Target), l.store
	l.mu.Unlock()
	switch {
	case evidence == nil && b.Evidence == nil && store != nil:
		evidence = store.Evidence(b)
	case evidence == nil:
		evidence = b.Evidence
	}
	if evidence == nil {
		evidence = []Evidence{} // in JSON a list
	}
	return evidence
}
