package ban

import (
	"maps"
	"slices"
	"time"
)

// Step moves all times of the ledger by a step of the host's clock. What is left of a ban, a
// grace or a grant stays, and so does the age of what is over.
func (l *Ledger) Step(by time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for target, b := range maps.Collect(l.bans.after(Target{})) {
		moved := *b
		moved.start, moved.until = micro(shifted(fromMicro(b.start), by)), micro(shifted(fromMicro(b.until), by))
		l.bans.put(target, &moved)
		l.dirty = append(l.dirty, target)
		if b.unsaved != nil {
			b.unsaved.change(func(e Evidence) Evidence {
				e.Time = e.Time.Add(by)
				return e
			})
		}
	}
	for target, until := range maps.Collect(l.grace.after(Target{})) {
		l.grace.put(target, until.Add(by))
		l.dirty = append(l.dirty, target)
	}
	for target, h := range l.history {
		l.history[target] = offences{h.count, micro(shifted(fromMicro(h.until), by)), micro(shifted(fromMicro(h.forget), by))}
		l.dirty = append(l.dirty, target)
	}
	for _, g := range l.grants.All() {
		g.Since, g.Until = shifted(g.Since, by), shifted(g.Until, by)
		l.grants.table.put(g.Target, &g)
		l.dirty = append(l.dirty, g.Target)
	}
	for i := range l.due {
		l.due[i].at = fromMicro(l.due[i].at).Add(by).UnixMicro()
	}
	waiting := [][]*Change{l.fresh, l.published}
	for _, c := range l.cursors {
		waiting = append(waiting, c.pending)
	}
	for _, changes := range waiting {
		for i, c := range changes { // others may have it as well
			moved := *c
			moved.At, moved.Ban = c.At.Add(by), c.Ban.shifted(by)
			changes[i] = &moved
		}
	}
}

// shifted returns the ban with all its times moved. The evidence is copied: readers may have it.
func (b *Ban) shifted(by time.Duration) Ban {
	moved := *b
	moved.Start, moved.Until, moved.Evidence = shifted(b.Start, by), shifted(b.Until, by), slices.Clone(b.Evidence)
	for i := range moved.Evidence {
		moved.Evidence[i].Time = moved.Evidence[i].Time.Add(by)
	}
	return moved
}

// shifted moves a time; the zero time is never.
func shifted(t time.Time, by time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(by)
}
