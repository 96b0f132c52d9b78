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
	// pairWindow is how far the stamps of an event and of a log record about the
	// same attempt may differ. The two come over one connection, in any order.
	pairWindow = 2 * time.Second

	// maxWaiting bounds the reports of one address that wait for their second one.
	maxWaiting = 64
)

// repeats recognises the second report of one attempt. It sees the events in the
// order in which they came.
type repeats struct {
	waiting dedup.Cache[netip.Addr, waiting]
}

// waiting is the reports of one address whose other half has not come, in the order
// in which they came.
type waiting []half

// A half is one of the two reports of an attempt.
type half struct {
	at     time.Time
	reason bool   // the log tells why, and not the event stream that it was refused
	user   uint64 // stands for the account's user; 0: it is not told
}

var users = maphash.MakeSeed()

func halfOf(e *event.Event, reason bool) half {
	h := half{at: e.Time, reason: reason}
	if e.User != "" {
		h.user = max(1, maphash.String(users, e.User))
	}
	return h
}

// isOf reports whether two halves may be of one attempt. What is refused for one
// account has its reason in no other: a caller must not hide his guesses behind users
// who are unknown.
func (h half) isOf(other half) bool {
	return h.reason != other.reason && (h.user == other.user || h.user == 0 || other.user == 0)
}

// mark sets Repeat where the event is the second report of an attempt. Each
// report stands for one attempt only, so that whoever repeats himself is counted
// again. paired says that both halves are asked for: a report whose first half
// nobody sees is not a repeat.
func (r *repeats) mark(e *event.Event, paired bool) {
	if !e.IP.IsValid() {
		return
	}
	switch e.Name {
	case event.AuthFailure:
		if paired {
			e.Repeat = r.pair(e, false)
		}
	case event.UnknownUser:
		e.Repeat = r.pair(e, true)
	case event.ACLReject:
		if strings.Contains(e.Message, " Rejected by user acl ") {
			e.Repeat = r.pair(e, true)
		}
	}
}

// pair takes the other half of a report off those that wait, or has it wait
// itself. It reports whether there was one.
func (r *repeats) pair(e *event.Event, reason bool) bool {
	h := halfOf(e, reason)
	w, _ := r.waiting.Take(e.IP)
	w = slices.DeleteFunc(w, func(other half) bool { return !within(other.at, e.Time, pairWindow) })
	other := slices.IndexFunc(w, h.isOf)
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

// within reports whether two times are no more than d apart, in either order.
func within(a, b time.Time, d time.Duration) bool { return a.Sub(b).Abs() <= d }
