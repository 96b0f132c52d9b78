package esl

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/dedup"
	"freeswitch-security/engine/event"
)

const (
	// pairWindow bounds the distance between the stamps of an event and a log record of
	// one attempt. They come over one connection, in any order.
	pairWindow = 2 * time.Second

	// maxWaiting bounds the reports of one address that wait for their second one.
	maxWaiting = 64
)

// repeats marks the second report of one attempt. It takes events in their order.
type repeats struct {
	waiting dedup.Cache[netip.Addr, []half] // by address, the oldest first
}

// A half is one of the two reports of an attempt.
type half struct {
	at     time.Time
	reason bool   // the reason, from the log; else the refusal, from the event stream
	user   uint64 // hash of the user; 0: unknown
}

var users = maphash.MakeSeed()

func halfOf(e *event.Event, reason bool) half {
	h := half{at: e.Time, reason: reason}
	if e.User != "" {
		h.user = max(1, maphash.String(users, e.User))
	}
	return h
}

// matches reports whether two halves may be of one attempt. Trap: for different users
// they are not, or a caller could hide guesses behind unknown users.
func (h half) matches(other half) bool {
	return h.reason != other.reason && (h.user == other.user || h.user == 0 || other.user == 0)
}

// mark sets Repeat in the second report of an attempt. Each report pairs with one other,
// so that a further attempt counts again. paired says that both halves are subscribed
// to: a report without its first half is not a repeat.
func (r *repeats) mark(e *event.Event, paired bool) {
	isReason := e.Name == event.UnknownUser || e.Name == event.ACLReject && strings.Contains(e.Message, " Rejected by user acl ")
	if e.IP.IsValid() && (isReason || paired && e.Name == event.AuthFailure) {
		e.Repeat = r.pair(e, isReason)
	}
}

// pair removes the waiting other half of a report, or lets the report wait. It reports
// whether there was one.
func (r *repeats) pair(e *event.Event, reason bool) bool {
	h := halfOf(e, reason)
	w, _ := r.waiting.Take(e.IP)
	w = slices.DeleteFunc(w, func(other half) bool { return !within(other.at, e.Time, pairWindow) })
	other := slices.IndexFunc(w, h.matches)
	switch {
	case other >= 0:
		w = slices.Delete(w, other, other+1)
	case len(w) == maxWaiting:
		w = append(slices.Delete(w, 0, 1), h)
	default:
		w = append(w, h)
	}
	if len(w) > 0 {
		r.waiting.Put(e.IP, w)
	}
	return other >= 0
}

// within reports whether two times are at most d apart, in either order.
func within(a, b time.Time, d time.Duration) bool { return a.Sub(b).Abs() <= d }
