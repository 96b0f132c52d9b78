package logfile

import (
	"net/netip"
	"strings"
	"time"

	"freeswitch-security/engine/dedup"
	"freeswitch-security/engine/event"
)

const (
	// announceWindow is how long after the line that tells the reason the
	// auth_failure of the same attempt comes. FreeSWITCH's clock runs in steps of
	// 20 ms, and both lines are written by one thread.
	announceWindow = 100 * time.Millisecond

	// inviteWindow is how long a caller may take to repeat an INVITE with the
	// credentials that he was asked for: SIP's timer of a transaction.
	inviteWindow = 32 * time.Second
)

// repeats recognises the second report of one attempt. It sees the events in the
// order of the log.
type repeats struct {
	announced dedup.Cache[netip.Addr, announcement]
	invited   dedup.Cache[invite, time.Time]
}

// An announcement counts the lines that an auth_failure of the same address will
// follow.
type announcement struct {
	at    time.Time
	count int
}

type invite struct {
	ip     netip.Addr
	callID string
}

// mark sets Repeat where the event is the second report of an attempt. A report
// is the second of one attempt only, so that whoever repeats himself is counted
// again.
func (r *repeats) mark(e *event.Event) {
	if !e.IP.IsValid() {
		return
	}
	switch e.Name {
	case event.UnknownUser:
		r.announce(e)
	case event.ACLReject:
		if strings.Contains(e.Message, " Rejected by user acl ") {
			r.announce(e)
		}
	case event.AuthFailure:
		a, ok := r.announced.Take(e.IP)
		if !ok || !within(a.at, e.Time, announceWindow) {
			return
		}
		e.Repeat = true
		if a.count--; a.count > 0 {
			r.announced.Put(e.IP, a)
		}
	case event.Call:
		key := invite{e.IP, e.CallID}
		first, ok := r.invited.Take(key)
		e.Repeat = ok && e.CallID != "" && within(first, e.Time, inviteWindow)
		if !e.Repeat {
			r.invited.Put(key, e.Time)
		}
	}
}

func (r *repeats) announce(e *event.Event) {
	a, ok := r.announced.Take(e.IP)
	if !ok || !within(a.at, e.Time, announceWindow) {
		a.count = 0
	}
	r.announced.Put(e.IP, announcement{e.Time, a.count + 1})
}

// within reports whether two times are no more than d apart. Lines that are
// written at once may stand in the log with their times in any order.
func within(a, b time.Time, d time.Duration) bool { return a.Sub(b).Abs() <= d }
