package clock

import "time"

const (
	// Tolerance is how far the stamps of a clock that is right may be off.
	Tolerance = 3 * time.Second

	agreement = 2 * time.Second // between the stamps of a steady run
	enough    = 4               // stamps of a steady run
	span      = 3 * time.Second // of a steady run, at the least
	renewal   = time.Minute     // after which a steady run begins again, to follow a drift
	minShift  = time.Second     // less is not worth a change
)

// An Offset estimates what is to be added to the stamps of a source, so that they agree with the
// host's clock. It changes only after a steady run: several reports in a row, over some seconds,
// that are late by the same. Reports that were held up and then let go are late by less and less,
// and change nothing. The zero value is the offset of a clock that is right, as far as is known.
type Offset struct {
	By    time.Duration // to be added to a stamp; 0: within Tolerance
	Known bool          // there was a steady run

	stepped time.Duration // of the host's clock since the last stamp
	run     struct {
		low, high time.Duration // by which its stamps are late
		since     time.Time
		n         int
	}
}

// Observe takes a stamp that was written just now, and returns by how much the offset has
// changed. Delays only add, so the lowest of a steady run is the offset.
func (o *Offset) Observe(stamp, now time.Time) (moved time.Duration) {
	late, before := now.Sub(stamp), o.By
	// A source either follows a step of the host's clock or goes on as before it.
	if (late - o.By - o.stepped).Abs() < (late - o.By).Abs() {
		o.By += o.stepped
	}
	o.stepped = 0
	r := &o.run
	low, high := min(r.low, late), max(r.high, late)
	if r.n == 0 || high-low > agreement || now.Sub(r.since) > renewal && r.n > enough {
		r.low, r.high, r.since, r.n = late, late, now, 1
		return o.By - before
	}
	r.low, r.high, r.n = low, high, r.n+1
	if r.n < enough || now.Sub(r.since) < span {
		return o.By - before
	}
	o.Known = true
	switch {
	case low.Abs() <= Tolerance:
		o.By = 0
	case (low - o.By).Abs() >= minShift:
		o.By = low
	}
	return o.By - before
}

// Step notes that the host's clock was stepped.
func (o *Offset) Step(by time.Duration) {
	o.stepped += by
	o.run.n = 0
}
