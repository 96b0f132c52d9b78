package tail

import "time"

// An absence is a time in which the file cannot be read.
type absence struct {
	since  time.Time // zero: it can
	err    error
	warned bool
}

// note records that the file cannot be read. It warns once this lasts: in the middle
// of a rotation there is no file for a moment.
func (a *absence) note(f *Follower, err error) {
	if a.since.IsZero() {
		a.since = f.now
	}
	a.err = err
	if f.now.Sub(a.since) >= f.Pace.Absence {
		a.warn(f)
	}
}

// atOnce records that the file cannot be read at the start.
func (a *absence) atOnce(f *Follower, err error) {
	a.since, a.err = f.now, err
	a.warn(f)
}

func (a *absence) warn(f *Follower) {
	if !a.warned {
		a.warned = true
		f.Log.Warn("log not readable", "err", a.err)
	}
}

func (a *absence) over(f *Follower) {
	if a.warned {
		f.Log.Info("log readable", "path", f.Path)
	}
	*a = absence{}
}

func (a *absence) String() string {
	if a.err == nil {
		return ""
	}
	return a.err.Error()
}
