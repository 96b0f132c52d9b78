package logfile

import (
	"time"

	"freeswitch-security/sources/logfile/record"
)

// A dstResolver dates events in the hour that a zone repeats when its clocks are set
// back. The stamps of both passes are equal; only the order of the log tells which
// pass a line is of. It must see the events in that order.
type dstResolver struct {
	latest time.Time // of the events so far
}

// resolve moves the time of an event in such an hour to the pass that the log has
// reached. A stamp with an offset needs no resolving.
func (r *dstResolver) resolve(f *finding) {
	t := &f.event.Time
	if !f.Stamp.Zoned {
		*t = r.pass(*t)
	}
	if t.After(r.latest) {
		r.latest = *t
	}
}

func (r *dstResolver) pass(t time.Time) time.Time {
	first, second, twice := record.Readings(t)
	switch {
	case !twice:
		return t
	case r.latest.After(first.Add(second.Sub(first) / 2)):
		return second
	}
	return first
}
