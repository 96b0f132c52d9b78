package ban

import "slices"

// maxEvidence bounds the evidence of a ban that is kept: the newest.
const maxEvidence = 20

// maxUnsavedText bounds the texts in memory of evidence that is not in the store: beyond it
// the oldest are given up.
const maxUnsavedText = 8 << 20

// maxEvidenceAtOnce bounds the bans whose evidence is read while the ledger is locked: 10 µs each.
const maxEvidenceAtOnce = 500

// unsaved is the evidence that the store does not have yet, by the targets of its bans. The
// ledger keeps no other: 100,000 bans with evidence would need a gigabyte.
type unsaved struct {
	all   map[Target][]Evidence
	queue []Target // in the order of their bans; some are stale
	bytes int      // of the texts
}

func (u *unsaved) put(target Target, evidence []Evidence) {
	u.remove(target)
	if u.all == nil {
		u.all = map[Target][]Evidence{}
	}
	evidence = slices.Clone(evidence[max(0, len(evidence)-maxEvidence):])
	u.all[target] = evidence
	u.bytes += textBytes(evidence)
	u.queue = append(u.queue, target)
	for u.bytes > maxUnsavedText && len(u.queue) > 1 {
		oldest := u.queue[0]
		u.queue = u.queue[1:]
		u.bytes -= textBytes(u.all[oldest])
		u.change(oldest, Evidence.without)
	}
	if len(u.queue) > 2*len(u.all)+1024 {
		u.queue = slices.DeleteFunc(u.queue, func(target Target) bool { return u.all[target] == nil })
	}
}

// change replaces the evidence of a target: the store may read what was there.
func (u *unsaved) change(target Target, do func(Evidence) Evidence) {
	if evidence := slices.Clone(u.all[target]); evidence != nil {
		for i := range evidence {
			evidence[i] = do(evidence[i])
		}
		u.all[target] = evidence
	}
}

// saved removes what the store has now: the evidence of the same events.
func (u *unsaved) saved(target Target, evidence []Evidence) {
	if slices.EqualFunc(evidence, u.all[target], func(a, b Evidence) bool { return a.Time.Equal(b.Time) }) {
		u.remove(target)
	}
}

func (u *unsaved) remove(target Target) {
	if len(u.all) == 0 {
		return
	}
	u.bytes -= textBytes(u.all[target])
	delete(u.all, target)
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

// evidence is Evidence; the mutex is held.
func (l *Ledger) evidence(b *Ban) []Evidence {
	if evidence := l.unsaved.all[b.Target]; evidence != nil {
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
	evidence, store := l.unsaved.all[b.Target], l.store
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
