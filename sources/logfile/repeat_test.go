package logfile

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

func TestRepeats(t *testing.T) {
	const userACL = "IP 192.0.2.179 Rejected by user acl [trusted] and no proxy acl present"
	type step struct {
		at     time.Duration
		name   string
		ip     string
		detail string // the message, or the call-id
		repeat bool
	}
	for name, steps := range map[string][]step{
		"unknown user": {
			{0, event.UnknownUser, "192.0.2.1", "", false},
			{0, event.AuthFailure, "192.0.2.2", "", false},
			{100 * time.Millisecond, event.AuthFailure, "192.0.2.1", "", true},
			{100 * time.Millisecond, event.AuthFailure, "192.0.2.1", "", false},
		},
		"too late": {
			{0, event.UnknownUser, "192.0.2.1", "", false},
			{101 * time.Millisecond, event.AuthFailure, "192.0.2.1", "", false},
			{101 * time.Millisecond, event.AuthFailure, "192.0.2.1", "", false},
		},
		"several attempts at once": {
			{0, event.UnknownUser, "192.0.2.1", "", false},
			{0, event.UnknownUser, "192.0.2.1", "", false},
			{0, event.AuthFailure, "192.0.2.1", "", true},
			{0, event.AuthFailure, "192.0.2.1", "", true},
			{0, event.AuthFailure, "192.0.2.1", "", false},
		},
		"the announced one never came": {
			{0, event.UnknownUser, "192.0.2.1", "", false},
			{time.Minute, event.UnknownUser, "192.0.2.1", "", false},
			{time.Minute, event.AuthFailure, "192.0.2.1", "", true},
			{time.Minute, event.AuthFailure, "192.0.2.1", "", false},
		},
		"user acl": {
			{0, event.ACLReject, "192.0.2.1", userACL, false},
			{0, event.AuthFailure, "192.0.2.1", "", true},
		},
		"other acl": {
			{0, event.ACLReject, "192.0.2.1", `IP 203.0.113.6 Rejected by register acl "trusted"`, false},
			{0, event.AuthFailure, "192.0.2.1", "", false},
		},
		"invite": {
			{0, event.Call, "192.0.2.1", "a", false},
			{0, event.Call, "192.0.2.1", "b", false},
			{0, event.Call, "192.0.2.2", "a", false},
			{32 * time.Second, event.Call, "192.0.2.1", "a", true},
			{33 * time.Second, event.Call, "192.0.2.1", "a", false},
			{33 * time.Second, event.Call, "192.0.2.1", "b", false},
			{33 * time.Second, event.Call, "192.0.2.1", "b", true},
		},
		"invite without a call-id": {
			{0, event.Call, "192.0.2.1", "", false},
			{0, event.Call, "192.0.2.1", "", false},
		},
		"without an address": {
			{0, event.UnknownUser, "", "", false},
			{0, event.AuthFailure, "", "", false},
		},
	} {
		var r repeatMarker
		for i, s := range steps {
			e := event.Event{Time: time.Unix(0, 0).Add(s.at), Name: s.name, Message: s.detail, CallID: s.detail}
			e.IP, _, _ = event.ParseAddr(s.ip)
			r.mark(&e)
			if e.Repeat != s.repeat {
				t.Errorf("%s: step %d: repeat is %v", name, i, e.Repeat)
			}
		}
	}
}

// TestRepeatOfUnwanted: a repeat is known as one also if nobody asked for the
// report that it repeats.
func TestRepeatOfUnwanted(t *testing.T) {
	got := builtinSource().collect(strings.NewReader(unknownLine+unknownText+failureLine), time.Time{}, map[string]bool{event.AuthFailure: true}, defaultSizes())
	if len(got.events) != 1 || !got.events[0].Repeat {
		t.Errorf("%+v", got.events)
	}
}

func BenchmarkRepeats(b *testing.B) {
	var r repeatMarker
	e := event.Event{Name: event.Call, IP: netip.MustParseAddr("192.0.2.1")}
	ids := make([]string, 10_000)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.CallID = ids[i%len(ids)]
		r.mark(&e)
	}
}
