package rule

import "time"

// maxHeld bounds the subjects that a rule remembers. Beyond it, the older half is
// forgotten at once.
const maxHeld = MaxKeys

// A holdOff remembers when a rule last reported each subject, so that the same alert or
// sparing is not repeated too soon. It has two halves: newer has the subjects that were
// asked about since it was begun, older the rest.
type holdOff struct {
	newer, older map[digest]report
	half         int // maxHeld / 2, except in tests
	hasher       hasher
}

// A report is the last one of a subject.
type report struct {
	at   int64 // microseconds since 1970
	held int   // repetitions held back since
}

func newHoldOff() holdOff {
	return holdOff{newer: map[digest]report{}, half: maxHeld / 2, hasher: newHasher()}
}

// due is [Set.Due]. Events can be out of order and a clock can be set back: a time
// before the last report is held back for as long as one after it.
func (h *holdOff) due(subject string, every time.Duration, at int64) (held int, ok bool) {
	key := h.hasher.digestString(subject)
	last, known := h.newer[key]
	if !known {
		last, known = h.older[key]
	}
	distance := max(at-last.at, last.at-at)
	if known && distance < every.Microseconds() {
		last.held++
		h.keep(key, last)
		return 0, false
	}
	h.keep(key, report{at: at})
	return last.held, true
}

func (h *holdOff) keep(key digest, r report) {
	if _, known := h.newer[key]; !known && len(h.newer) >= h.half {
		h.older, h.newer = h.newer, map[digest]report{}
	}
	delete(h.older, key)
	h.newer[key] = r
}
