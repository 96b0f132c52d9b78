package esl

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/event"
)

const (
	// pairWindow is how far the stamps of an event and of a log record about the
	// same attempt may differ. The two come over one connection, in any order.
	pairWindow = 2 * time.Second

	// callWindow is how long a caller may take to repeat an INVITE with the
	// credentials that he was asked for: SIP's timer of a transaction.
	callWindow = 32 * time.Second

	// maxWaiting bounds the reports of one address that wait for their second one.
	maxWaiting = 64
)

// repeats recognises the second report of one attempt. It sees the events in the
// order in which they came.
type repeats struct {
	waiting recent[netip.Addr, waiting]
	calls   recent[invite, time.Time]
}

// waiting is the reports of one address whose other half has not come: refusals
// that the event stream told, or reasons that the log told, never both.
type waiting struct {
	reasons bool
	at      []time.Time // in the order in which they came
}

type invite struct {
	ip     netip.Addr
	callID string
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
	case event.Call:
		key := invite{e.IP, e.CallID}
		first, ok := r.calls.take(key)
		e.Repeat = ok && e.CallID != "" && within(first, e.Time, callWindow)
		if !e.Repeat && e.CallID != "" {
			r.calls.put(key, e.Time)
		}
	}
}

// pair takes the other half of a report off those that wait, or has it wait
// itself. It reports whether there was one.
func (r *repeats) pair(e *event.Event, reason bool) bool {
	w, _ := r.waiting.take(e.IP)
	w.at = slices.DeleteFunc(w.at, func(at time.Time) bool { return !within(at, e.Time, pairWindow) })
	found := len(w.at) > 0 && w.reasons != reason
	switch {
	case found:
		w.at = slices.Delete(w.at, 0, 1)
	case len(w.at) == maxWaiting:
		w.at = append(slices.Delete(w.at, 0, 1), e.Time)
	default:
		w.at, w.reasons = append(w.at, e.Time), reason
	}
	if len(w.at) > 0 {
		r.waiting.put(e.IP, w)
	}
	return found
}

// within reports whether two times are no more than d apart, in either order.
func within(a, b time.Time, d time.Duration) bool { return a.Sub(b).Abs() <= d }
