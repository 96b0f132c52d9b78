package logfile

import (
	"net/netip"
	"strings"
	"time"

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

	// maxRecent bounds what is remembered of either kind; the oldest goes first.
	maxRecent = 4096
)

// repeats recognises the second report of one attempt. It sees the events in the
// order of the log.
type repeats struct {
	announced recent[netip.Addr, announcement]
	invited   recent[invite, time.Time]
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
		a, ok := r.announced.take(e.IP)
		if !ok || !within(a.at, e.Time, announceWindow) {
			return
		}
		e.Repeat = true
		if a.count--; a.count > 0 {
			r.announced.put(e.IP, a)
		}
	case event.Call:
		key := invite{e.IP, e.CallID}
		first, ok := r.invited.take(key)
		e.Repeat = ok && e.CallID != "" && within(first, e.Time, inviteWindow)
		if !e.Repeat {
			r.invited.put(key, e.Time)
		}
	}
}

func (r *repeats) announce(e *event.Event) {
	a, ok := r.announced.take(e.IP)
	if !ok || !within(a.at, e.Time, announceWindow) {
		a.count = 0
	}
	r.announced.put(e.IP, announcement{e.Time, a.count + 1})
}

// within reports whether two times are no more than d apart. Lines that are
// written at once may stand in the log with their times in any order.
func within(a, b time.Time, d time.Duration) bool { return a.Sub(b).Abs() <= d }

// recent remembers the last maxRecent values that were put, by key.
type recent[K comparable, V any] struct {
	values map[K]remembered[V]
	ring   []K    // the keys in the order of their puts
	puts   uint64 // how many there were
}

type remembered[V any] struct {
	value V
	put   uint64 // the number of the put, which tells whether a place in the ring is still the key's
}

func (r *recent[K, V]) put(key K, value V) {
	if r.values == nil {
		r.values = map[K]remembered[V]{}
	}
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, key)
	} else {
		place := &r.ring[r.puts%maxRecent]
		if old, ok := r.values[*place]; ok && old.put == r.puts-maxRecent {
			delete(r.values, *place)
		}
		*place = key
	}
	r.values[key] = remembered[V]{value, r.puts}
	r.puts++
}

// take gives the key's value and forgets it.
func (r *recent[K, V]) take(key K) (value V, ok bool) {
	entry, ok := r.values[key]
	if ok {
		delete(r.values, key)
	}
	return entry.value, ok
}
