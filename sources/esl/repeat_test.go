package esl

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

// TestOneAttemptCountsOnce reports attempts, each refused once by the event stream and
// some with a reason in the log, in any order of the two. As many reports as attempts are
// not marked.
func TestOneAttemptCountsOnce(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		ip, at := netip.MustParseAddr("192.0.2.1"), noon
		var events, records []*event.Event
		const attempts = 40
		for range attempts {
			at = at.Add(time.Duration(random.IntN(100)) * time.Millisecond)
			events = append(events, &event.Event{Name: event.AuthFailure, IP: ip, Time: at})
			switch random.IntN(3) {
			case 0:
				records = append(records, &event.Event{Name: event.UnknownUser, IP: ip, Time: at})
			case 1:
				records = append(records, &event.Event{Name: event.ACLReject, IP: ip, Time: at, Message: "IP 192.0.2.1 Rejected by user acl [x] and no proxy acl present"})
			}
		}
		var r repeats
		counted := 0
		for len(events)+len(records) > 0 {
			from := &events
			if len(events) == 0 || len(records) > 0 && random.IntN(2) == 0 && records[0].Time.Sub(events[0].Time).Abs() < time.Second {
				from = &records
			}
			e := (*from)[0]
			*from = (*from)[1:]
			r.mark(e, true)
			if !e.Repeat {
				counted++
			}
		}
		// Wrong pairs are possible only at the edge of the window.
		if counted != attempts {
			t.Errorf("seed %d: %d counted of %d attempts", seed, counted, attempts)
		}
	}
}

func TestRepeats(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	type step struct {
		name   string
		ip     netip.Addr
		after  time.Duration
		callID string
		repeat bool
	}
	userACL, listACL := "IP 192.0.2.1 Rejected by user acl [x] and no proxy acl present", `IP 192.0.2.1 Rejected by acl "x"`
	for name, steps := range map[string][]step{
		"event first":     {{event.AuthFailure, a, 0, "", false}, {event.UnknownUser, a, 0, "", true}},
		"record first":    {{event.UnknownUser, a, 0, "", false}, {event.AuthFailure, a, 0, "", true}},
		"too late":        {{event.UnknownUser, a, 0, "", false}, {event.AuthFailure, a, 2001 * time.Millisecond, "", false}},
		"another address": {{event.UnknownUser, a, 0, "", false}, {event.AuthFailure, b, 0, "", false}},
		"no address":      {{event.UnknownUser, netip.Addr{}, 0, "", false}, {event.AuthFailure, netip.Addr{}, 0, "", false}},
		"one to one":      {{event.AuthFailure, a, 0, "", false}, {event.UnknownUser, a, 0, "", true}, {event.UnknownUser, a, 0, "", false}, {event.AuthFailure, a, 0, "", true}, {event.AuthFailure, a, 0, "", false}},
		"all, then all":   {{event.AuthFailure, a, 0, "", false}, {event.AuthFailure, a, 0, "", false}, {event.UnknownUser, a, time.Second, "", true}, {event.UnknownUser, a, time.Second, "", true}},
		"user's list":     {{userACL, a, 0, "", false}, {event.AuthFailure, a, 0, "", true}},
		"profile's list":  {{listACL, a, 0, "", false}, {event.AuthFailure, a, 0, "", false}},
		"calls":           {{event.Call, a, 0, "x", false}, {event.Call, a, 0, "x", false}},
	} {
		var r repeats
		for i, s := range steps {
			e := &event.Event{Name: s.name, IP: s.ip, Time: noon.Add(s.after), CallID: s.callID}
			if s.name == userACL || s.name == listACL {
				e.Name, e.Message = event.ACLReject, s.name
			}
			if r.mark(e, true); e.Repeat != s.repeat {
				t.Errorf("%s: step %d: repeat %v", name, i, e.Repeat)
			}
		}
	}
	var r repeats
	r.mark(&event.Event{Name: event.UnknownUser, IP: a, Time: noon}, true)
	e := &event.Event{Name: event.AuthFailure, IP: a, Time: noon}
	if r.mark(e, false); e.Repeat {
		t.Error("a repeat without its first half")
	}
}

// TestUnknownUserHidesNoOther: an unknown user can be reported without a refusal (of a
// MESSAGE). It must not make repeats of failures of other accounts.
func TestUnknownUserHidesNoOther(t *testing.T) {
	ip := netip.MustParseAddr("192.0.2.1")
	var r repeats
	for i, step := range []struct {
		name, user string
		repeat     bool
	}{
		{event.UnknownUser, "ghost", false}, {event.AuthFailure, "1000", false}, {event.AuthFailure, "ghost", true},
		{event.UnknownUser, "", true}, {event.UnknownUser, "", false}, {event.AuthFailure, "1001", true},
	} {
		e := &event.Event{Name: step.name, IP: ip, Time: noon, User: step.user}
		if r.mark(e, true); e.Repeat != step.repeat {
			t.Errorf("step %d: repeat %v", i, e.Repeat)
		}
	}
}

func TestWaitingIsBounded(t *testing.T) {
	var r repeats
	ip := netip.MustParseAddr("192.0.2.1")
	for range 10 * maxWaiting {
		r.mark(&event.Event{Name: event.AuthFailure, IP: ip, Time: noon}, true)
	}
	if w, _ := r.waiting.Take(ip); len(w) != maxWaiting {
		t.Errorf("%d are waiting", len(w))
	}
}
