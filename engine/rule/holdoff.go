package rule

import (
	"time"

	"freeswitch-security/engine/dedup"
)

// maxHeld bounds the subjects that a rule remembers. Beyond it, the older half is
// forgotten at once.
const maxHeld = MaxKeys

// A holdOff remembers when a rule last reported each subject, so that the same alert or
// sparing is not repeated too soon.
type holdOff struct {
	reports dedup.Cache[digest, report]
	hasher  hasher
	base    int64 // what is added to the times in it, which so can all be shifted at once
}

// A report says when a subject was last reported.
type report struct {
	at   int64 // microseconds since 1970
	held int   // repetitions held back since
}

func newHoldOff() holdOff {
	return holdOff{reports: dedup.Cache[digest, report]{Half: maxHeld / 2}, hasher: newHasher()}
}

// due is [Set.Due]. Events can be out of order: a time
// before the last report is held back for as long as one after it.
func (h *holdOff) due(subject string, every time.Duration, at int64) (held int, ok bool) {
	at -= h.base
	key := h.hasher.digestString(subject)
	last, known := h.reports.Get(key)
	distance := max(at-last.at, last.at-at)
	if known && distance < every.Microseconds() {
		last.held++
		h.reports.Put(key, last)
		return 0, false
	}
	h.reports.Put(key, report{at: at})
	return last.held, true
}
