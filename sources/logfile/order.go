package logfile

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"freeswitch-security/engine/dedup"
	"freeswitch-security/engine/event"
	"freeswitch-security/sources/logfile/record"
)

// ordered does what can only be done in the order of the log.
type ordered struct {
	latest  time.Time // of the events so far
	repeats repeatMarker
	sink    func(*event.Event) error
}

// emit emits the events of a block. If ctx ends, it stops between two events and returns
// where the line of the next one begins.
func (o *ordered) emit(ctx context.Context, b *block) (left int, err error) {
	for i := range b.findings {
		f := &b.findings[i]
		if f.refused {
			continue
		}
		o.settle(f)
		if !f.wanted {
			continue
		}
		if err := ctx.Err(); err != nil {
			return f.at, err
		}
		if err := o.sink(f.event); err != nil {
			return f.at, err
		}
	}
	return 0, nil
}

// settle corrects the time of an event and marks a repeat.
func (o *ordered) settle(f *finding) {
	if !f.Stamp.Zoned {
		f.event.Time = o.resolve(f.event.Time)
	}
	if f.event.Time.After(o.latest) {
		o.latest = f.event.Time
	}
	o.repeats.mark(f.event)
}

// resolve dates a stamp in the hour that a zone repeats when its clocks are set back. The
// stamps of both passes are equal, so it takes the pass that the log has reached.
func (o *ordered) resolve(t time.Time) time.Time {
	first, second, twice := record.Readings(t)
	switch {
	case !twice:
		return t
	case o.latest.After(first.Add(second.Sub(first) / 2)):
		return second
	}
	return first
}

const (
	// announceWindow is how long after the line with the reason the auth_failure of the
	// same attempt may come. FreeSWITCH's clock runs in steps of 20 ms, and one thread
	// writes both lines.
	announceWindow = 100 * time.Millisecond

	// inviteWindow is how long a caller may take to repeat an INVITE with credentials:
	// SIP's timer of a transaction.
	inviteWindow = 32 * time.Second
)

// A repeatMarker recognises the second report of one attempt. It must see the events
// in the order of the log.
type repeatMarker struct {
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

// announces reports whether an auth_failure of the same attempt may follow an event.
func announces(name string) bool { return name == event.UnknownUser || name == event.ACLReject }

// mark sets Repeat if the event is the second report of an attempt. A report is the
// second of one attempt only, so that a repeated attempt counts again.
func (r *repeatMarker) mark(e *event.Event) {
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

func (r *repeatMarker) announce(e *event.Event) {
	a, ok := r.announced.Take(e.IP)
	if !ok || !within(a.at, e.Time, announceWindow) {
		a.count = 0
	}
	r.announced.Put(e.IP, announcement{e.Time, a.count + 1})
}

// within reports whether two times are at most d apart. Lines that are written at
// once may stand in the log in any order of their times.
func within(a, b time.Time, d time.Duration) bool { return a.Sub(b).Abs() <= d }
