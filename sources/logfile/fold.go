package logfile

import "time"

// A fold tells the two passes of an hour apart that a zone goes through twice,
// when its clocks are set back. The stamps of both read alike; only the order of
// the log says which pass a line is of. It sees the events in that order.
type fold struct {
	latest time.Time // of the events so far
}

// unfold moves the time of an event in such an hour to the pass that the log has
// reached. A line whose stamp tells its offset is never of two minds.
func (f *fold) unfold(found *finding) {
	t := &found.event.Time
	if !found.stamp.zoned {
		*t = f.pass(*t)
	}
	if t.After(f.latest) {
		f.latest = *t
	}
}

func (f *fold) pass(t time.Time) time.Time {
	first, second, twice := passes(t)
	switch {
	case !twice:
		return t
	case f.latest.After(first.Add(second.Sub(first) / 2)):
		return second
	}
	return first
}

// passes gives both moments at which a zone's clocks show what they show at t, if
// that is in an hour that comes twice.
func passes(t time.Time) (first, second time.Time, twice bool) {
	const far = 3 * time.Hour // farther than any zone is ever set back
	before, after := offset(t.Add(-far)), offset(t.Add(far))
	if before <= after {
		return t, t, false
	}
	wall := t.Add(offset(t))
	first, second = wall.Add(-before), wall.Add(-after)
	return first, second, offset(first) == before && offset(second) == after
}

// offset is how far the clocks of t's zone are ahead of UTC at t.
func offset(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}
