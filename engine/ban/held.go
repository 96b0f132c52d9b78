package ban

import (
	"slices"
	"time"
)

// A held is a ban in force as the ledger keeps it: a third of the memory of a [Ban]. It does not
// change, but for its unsaved evidence: another state of the ban is another held.
type held struct {
	target       Target
	start, until int64 // in microseconds since 1970, see [micro]
	term         Term
	offence      int32
	bare         bool // it has no evidence, in the store either
	words        *words
	unsaved      *pending // its evidence that the store does not have yet; nil: none
}

// words are what bans of one list share.
type words struct {
	*origin
	key, reason string
}

// An origin is what bans of one rule, feed or author have in common.
type origin struct {
	rule, source, author string
	forget               time.Duration
	actions              []string
	latest               *words
}

// maxOrigins bounds the origins that a new ban is compared with.
const maxOrigins = 64

// hold returns a ban without its evidence. Evidence that is nil is in the store.
func (l *Ledger) hold(b *Ban) *held {
	return &held{target: b.Target, start: micro(b.Start), until: micro(b.Until), term: b.Term, offence: int32(b.Offence), bare: b.Evidence != nil && len(b.Evidence) == 0, words: l.wordsOf(b)}
}

// wordsOf returns words that an earlier ban has, or new ones.
func (l *Ledger) wordsOf(b *Ban) *words {
	var from *origin
	for _, o := range l.origins {
		if o.rule == b.Rule && o.source == b.Source && o.author == b.Author && o.forget == b.Forget &&
			(o.actions == nil) == (b.Actions == nil) && slices.Equal(o.actions, b.Actions) {
			from = o
			break
		}
	}
	if from == nil {
		if len(l.origins) == maxOrigins {
			l.origins = nil
		}
		from = &origin{rule: b.Rule, source: b.Source, author: b.Author, forget: b.Forget, actions: b.Actions}
		l.origins = append(l.origins, from)
	}
	if w := from.latest; w == nil || w.key != b.Key || w.reason != b.Reason {
		from.latest = &words{from, b.Key, b.Reason}
	}
	return from.latest
}

// ban returns the ban. Its evidence is nil, or empty if there is none.
func (h *held) ban() Ban {
	w := h.words
	var evidence []Evidence
	if h.bare {
		evidence = []Evidence{}
	}
	return Ban{
		Target: h.target, Rule: w.rule, Source: w.source, Author: w.author, Key: w.key, Reason: w.reason,
		Offence: int(h.offence), Term: h.term, Start: fromMicro(h.start), Until: fromMicro(h.until), Forget: w.forget, Actions: w.actions, Evidence: evidence,
	}
}

// micro returns a time in microseconds since 1970; the zero time is 0.
func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicro returns the time of a number that micro returned.
func fromMicro(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}
