package corroboration

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

var t0 = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)

const (
	log    = "log.freeswitch"
	stream = "esl.pbx"
)

// at makes an event of a source, stamped a number of milliseconds after t0.
func at(source, name, ip, user string, ms int) *event.Event {
	ev := &event.Event{Time: t0.Add(time.Duration(ms) * time.Millisecond), Source: source, Name: name, User: user}
	if ip != "" {
		ev.IP = netip.MustParseAddr(ip)
	}
	return ev
}

func record(name, ip, user string, ms int) *event.Event {
	ev := at(stream, name, ip, user, ms)
	ev.File = "sofia_reg.c"
	return ev
}

// forged is a log line with the address of its sender.
func forged(ip, user, sender string, ms int) *event.Event {
	ev := at(log, event.AuthFailure, ip, user, ms)
	ev.Sender = netip.MustParseAddr(sender)
	return ev
}

// seenBy plays events to a verifier, in the order of their stamps, and lists what
// the rules would see.
func seenBy(v *Verifier, events ...*event.Event) []string {
	var seen []string
	pass := func(ev *event.Event) {
		line := strings.TrimPrefix(ev.Source, "log.") + " " + ev.Name + " " + ev.IP.String()
		if claimed := ev.Fields[event.ClaimedIP]; claimed != "" {
			line += " claims " + claimed
		}
		seen = append(seen, line)
	}
	for _, ev := range events {
		v.Advance(ev.Time, pass)
		v.Take(ev, ev.Time, pass)
	}
	v.End(pass)
	return seen
}

func TestVerifier(t *testing.T) {
	beat := at(stream, "registered", "192.0.2.1", "1", -5000)
	for _, test := range []struct {
		name   string
		events []*event.Event
		want   []string
	}{
		{"the log first", []*event.Event{beat, at(log, event.AuthFailure, "192.0.2.9", "7", 10), at(stream, event.AuthFailure, "192.0.2.9", "7", 20)},
			[]string{"freeswitch auth_failure 192.0.2.9", "esl.pbx auth_failure 192.0.2.9"}},
		{"the stream first", []*event.Event{at(stream, event.AuthFailure, "192.0.2.9", "7", 0), at(log, event.AuthFailure, "192.0.2.9", "7", 1900)},
			[]string{"esl.pbx auth_failure 192.0.2.9", "freeswitch auth_failure 192.0.2.9"}},
		{"no report", []*event.Event{beat, forged("192.0.2.9", "7", "203.0.113.5", 10)},
			[]string{"freeswitch log_forgery 203.0.113.5 claims 192.0.2.9"}},
		{"another account", []*event.Event{beat, forged("192.0.2.9", "7", "203.0.113.5", 10), at(stream, event.AuthFailure, "192.0.2.9", "8", 20)},
			[]string{"esl.pbx auth_failure 192.0.2.9", "freeswitch log_forgery 203.0.113.5 claims 192.0.2.9"}},
		{"too late", []*event.Event{beat, forged("192.0.2.9", "7", "203.0.113.5", 10), at(stream, event.AuthFailure, "192.0.2.9", "7", 2500)},
			[]string{"freeswitch log_forgery 203.0.113.5 claims 192.0.2.9", "esl.pbx auth_failure 192.0.2.9"}},
		{"one report confirms one line", []*event.Event{beat, at(stream, event.AuthFailure, "192.0.2.9", "7", 0), at(log, event.AuthFailure, "192.0.2.9", "7", 10), forged("192.0.2.9", "7", "203.0.113.5", 20)},
			[]string{"esl.pbx auth_failure 192.0.2.9", "freeswitch auth_failure 192.0.2.9", "freeswitch log_forgery 203.0.113.5 claims 192.0.2.9"}},
		{"a kind unknown to the stream", []*event.Event{beat, at(log, event.SessionLimit, "", "", 10)},
			[]string{"freeswitch session_limit invalid IP"}},
		{"a stream without log records", []*event.Event{beat, at(log, event.ACLReject, "192.0.2.9", "", 10)},
			[]string{"freeswitch acl_reject 192.0.2.9"}},
		{"a stream with log records", []*event.Event{record(event.ESLDenied, "192.0.2.1", "", -5000), at(log, event.ACLReject, "192.0.2.9", "", 10)},
			[]string{"esl.pbx esl_denied 192.0.2.1", "freeswitch log_forgery invalid IP claims 192.0.2.9"}},
		{"a line at level DEBUG, of which the stream has no record", []*event.Event{record(event.ESLDenied, "192.0.2.1", "", -5000), {Time: t0, Source: log, Name: event.ACLReject, IP: netip.MustParseAddr("192.0.2.9"), Level: "DEBUG"}},
			[]string{"esl.pbx esl_denied 192.0.2.1"}},
		{"before the stream was heard", []*event.Event{at(log, event.AuthFailure, "192.0.2.9", "7", 0), at(stream, "registered", "192.0.2.1", "1", 60_000)}, nil},
		{"a number that was dialled", []*event.Event{{Time: t0, Source: stream, Name: event.AuthFailure, IP: netip.MustParseAddr("192.0.2.9"), User: "1000", Destination: "9196"},
			{Time: t0, Source: log, Name: event.AuthFailure, IP: netip.MustParseAddr("192.0.2.9"), Destination: "9196"}},
			[]string{"esl.pbx auth_failure 192.0.2.9", "freeswitch auth_failure 192.0.2.9"}},
		{"another case", []*event.Event{at(stream, event.AuthFailure, "192.0.2.9", "sales", 0), at(log, event.AuthFailure, "192.0.2.9", "SALES", 10)},
			[]string{"esl.pbx auth_failure 192.0.2.9", "freeswitch auth_failure 192.0.2.9"}},
		{"invalid UTF-8", []*event.Event{at(stream, event.AuthFailure, "192.0.2.9", "7\uFFFD\uFFFD", 0), at(log, event.AuthFailure, "192.0.2.9", "7\xff\xfe", 10)},
			[]string{"esl.pbx auth_failure 192.0.2.9", "freeswitch auth_failure 192.0.2.9"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := New([]Pair{{Log: log, Witness: stream}})
			var got []string
			for _, line := range seenBy(v, test.events...) {
				if line != "esl.pbx registered 192.0.2.1" {
					got = append(got, line)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// TestWire has a witness on the wire, which has other names for what a log reports.
func TestWire(t *testing.T) {
	const wire, victim = "sip.wire", "192.0.2.9"
	answered := func(code uint16) *event.Event {
		ev := at(wire, event.SIPRequest, victim, "", 0)
		ev.Answer, ev.Repeat = code, true
		return ev
	}
	elsewhere := at(wire, event.AuthFailure, "203.0.113.5", "7", 0)
	elsewhere.Fields = map[string]string{"sender": victim}
	failed := at(wire, event.AuthFailure, victim, "7", 0)
	for _, test := range []struct {
		name   string
		report *event.Event
		lines  []string // names of log events about the victim
		want   []string // those that are believed
	}{
		{"a password", failed, []string{event.AuthFailure}, []string{event.AuthFailure}},
		{"an unknown user, in two lines", failed, []string{event.UnknownUser, event.AuthFailure}, []string{event.UnknownUser, event.AuthFailure}},
		{"one report, two attempts", failed, []string{event.AuthFailure, event.AuthFailure}, []string{event.AuthFailure}},
		{"a challenge", at(wire, event.Challenge, victim, "7", 0), []string{event.Challenge, event.AuthFailure}, []string{event.Challenge}},
		{"an expired nonce", at(wire, event.AuthStale, victim, "7", 0), []string{event.Challenge}, []string{event.Challenge}},
		{"an access list", answered(403), []string{event.ACLReject}, []string{event.ACLReject}},
		{"a request that was not refused", answered(200), []string{event.ACLReject}, nil},
		{"credentials that cannot be read", answered(403), []string{event.AuthMalformed}, []string{event.AuthMalformed}},
		{"no contact", at(wire, event.SIPMalformed, victim, "", 0), []string{event.Malformed}, []string{event.Malformed}},
		{"the event socket, which the wire cannot see", answered(403), []string{event.ESLDenied}, nil},
		{"calls, which are not compared", answered(200), []string{event.Call}, []string{event.Call}},
		{"a forged sender", elsewhere, []string{event.AuthFailure, event.UnknownUser}, nil},
		{"no report", answered(200), []string{event.AuthFailure}, nil},
	} {
		for _, first := range []bool{true, false} {
			v := New([]Pair{{Log: log, Witness: wire, Wire: true}})
			events := []*event.Event{at(wire, event.SIPRequest, "192.0.2.1", "", -5000)}
			for _, name := range test.lines {
				line := at(log, name, victim, "7", 10)
				if name == event.ACLReject || name == event.Malformed || name == event.AuthMalformed {
					line.User = ""
				}
				line.Sender = netip.MustParseAddr("203.0.113.66")
				events = append(events, line)
			}
			if report := *test.report; first {
				events = slices.Insert(events, 1, &report)
			} else {
				report.Time = report.Time.Add(20 * time.Millisecond)
				events = append(events, &report)
			}
			var got []string
			for _, line := range seenBy(v, append(events, at(wire, event.SIPRequest, "192.0.2.1", "", 60_000))...) {
				if name, ours := strings.CutPrefix(line, "freeswitch "); ours {
					got = append(got, strings.TrimSuffix(name, " "+victim))
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%s, its report first: %v: got %q, want %q", test.name, first, got, test.want)
			}
			if s := v.Stats(); s.Forged != 0 || int(s.Unheard) != len(test.lines)-len(test.want) {
				t.Errorf("%s: %+v", test.name, s)
			}
		}
	}
}

func TestWantsOfTheWire(t *testing.T) {
	v := New([]Pair{{Log: log, Witness: "sip.wire", Wire: true}})
	of := func(source string) map[string]bool {
		return map[string]map[string]bool{log: {event.UnknownUser: true, event.ACLReject: true, event.LogForgery: true}, "sip.wire": {event.NotSIP: true}}[source]
	}
	got := slices.Sorted(maps.Keys(v.Wants("sip.wire", of)))
	if want := []string{event.AuthFailure, event.NotSIP, event.SIPRequest, event.SIPRequestAgain}; !slices.Equal(got, want) {
		t.Errorf("of the wire %q, want %q", got, want)
	}
}

func TestNoForgeryAfterTheStreamEnded(t *testing.T) {
	v := New([]Pair{{Log: log, Witness: stream}})
	v.Take(at(stream, "registered", "192.0.2.1", "1", 0), t0, func(*event.Event) {})
	v.Ended(stream)
	if seen := seenBy(v, at(log, event.AuthFailure, "192.0.2.9", "7", 1000)); seen != nil || v.Stats().Unheard != 1 {
		t.Fatalf("%q, %+v", seen, v.Stats())
	}
}

func TestNoForgeryWithoutTheStream(t *testing.T) {
	hearing := status.Hearing{}
	v := New([]Pair{{Log: log, Witness: stream, Hearing: func() status.Hearing { return hearing }}})
	if seen := seenBy(v, at(log, event.AuthFailure, "192.0.2.9", "7", 0)); seen != nil {
		t.Fatalf("%q", seen)
	}
	hearing.Events = t0
	if seen := seenBy(v, forged("192.0.2.9", "7", "203.0.113.5", 3000)); len(seen) != 1 {
		t.Fatalf("%q", seen)
	}
}

// TestNoForgeryJustBeforeTheStream: reports from just before the stream was heard
// again may have been missed.
func TestNoForgeryJustBeforeTheStream(t *testing.T) {
	hearing := status.Hearing{}
	v := New([]Pair{{Log: log, Witness: stream, Hearing: func() status.Hearing { return hearing }}})
	var seen []*event.Event
	pass := func(ev *event.Event) { seen = append(seen, ev) }
	v.Take(forged("192.0.2.9", "7", "203.0.113.5", 0), t0, pass)
	hearing.Events = t0.Add(time.Second)
	v.Advance(t0.Add(patience), pass)
	if len(seen) > 0 || v.Stats().Unheard != 1 {
		t.Errorf("%v, %+v", seen, v.Stats())
	}
}

// TestTwoSecondsAtBothEnds: a log event two seconds after the first or before the last
// event of the stream can be a forgery, a nearer one cannot.
func TestTwoSecondsAtBothEnds(t *testing.T) {
	const first, last, two = 0, 60_000, 2000
	for ms, forgery := range map[int]bool{first + two - 1: false, first + two: true, last - two: true, last - two + 1: false} {
		v := New([]Pair{{Log: log, Witness: stream}})
		for _, heard := range []int{first, last} {
			v.Take(at(stream, "registered", "192.0.2.1", "1", heard), t0, func(*event.Event) {})
		}
		v.Ended(stream)
		if seen := seenBy(v, forged("192.0.2.9", "7", "203.0.113.5", ms)); (len(seen) == 1) != forgery || (v.Stats().Forged == 1) != forgery || (v.Stats().Unheard == 0) != forgery {
			t.Errorf("after %d ms: %q, %+v", ms, seen, v.Stats())
		}
	}
}

// TestRecordWithoutTheStream: a caller who cuts the stream off, or keeps it busy,
// must not pass forged lines.
func TestRecordWithoutTheStream(t *testing.T) {
	hearing := status.Hearing{Events: t0, Records: t0}
	v := New([]Pair{{Log: log, Witness: stream, Hearing: func() status.Hearing { return hearing }}})
	hearing = status.Hearing{}
	if seen := seenBy(v, at(log, event.UnknownUser, "192.0.2.9", "7", 0)); seen != nil || v.Stats().Unheard != 1 {
		t.Fatalf("%q, %+v", seen, v.Stats())
	}
	hearing.Events = t0
	if seen := seenBy(v, at(log, event.UnknownUser, "192.0.2.9", "7", 0)); len(seen) != 1 {
		t.Fatalf("a stream without records: %q", seen)
	}
}

// TestLateLog reads a log long after it was written: at a start, or once it can be
// opened again.
func TestLateLog(t *testing.T) {
	v := New([]Pair{{Log: log, Witness: stream, Hearing: func() status.Hearing { return status.Hearing{Events: t0} }}})
	seenBy(v, at(stream, event.AuthFailure, "192.0.2.9", "7", 1000))
	var seen []string
	pass := func(ev *event.Event) { seen = append(seen, ev.Name) }
	now := t0.Add(2 * memory)
	v.Advance(now, pass)
	v.Take(forged("192.0.2.9", "7", "203.0.113.5", 1000), now, pass)
	v.Advance(now.Add(patience), pass)
	if seen != nil || v.Stats().Unheard != 1 {
		t.Fatalf("%q, %+v", seen, v.Stats())
	}
}

// TestStandstill: after a standstill of the program, reports of that time are not
// read yet.
func TestStandstill(t *testing.T) {
	since := t0.Add(-time.Hour)
	v := New([]Pair{{Log: log, Witness: stream, Hearing: func() status.Hearing { return status.Hearing{Events: since} }}})
	var seen []string
	pass := func(ev *event.Event) { seen = append(seen, ev.Source+" "+ev.Name) }
	v.Take(forged("192.0.2.9", "7", "203.0.113.5", 0), t0, pass)
	v.Take(forged("192.0.2.8", "7", "203.0.113.5", 0), t0, pass)
	woke := t0.Add(10 * time.Second)
	v.Advance(woke, pass)
	v.Take(at(stream, event.AuthFailure, "192.0.2.9", "7", 10), woke, pass)
	v.Advance(woke.Add(patience), pass)
	if want := []string{"log.freeswitch auth_failure", "esl.pbx auth_failure", "log.freeswitch log_forgery"}; !slices.Equal(seen, want) {
		t.Fatalf("%q", seen)
	}
}

// TestEveryAttemptIsConfirmed plays each attempt to both, with the two reports in any
// order and up to the patience apart, and forgeries in between.
func TestEveryAttemptIsConfirmed(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var events []*event.Event
		events = append(events, at(stream, "registered", "192.0.2.1", "1", 0))
		attempts, forgeries := 0, 0
		for i := range 60 {
			ip, user, ms := fmt.Sprint("192.0.2.", rng.IntN(4)), fmt.Sprint(rng.IntN(3)), 5000*(i+1)
			if rng.IntN(4) == 0 {
				events = append(events, forged(ip, user, "203.0.113.5", ms+rng.IntN(2000)))
				forgeries++
				continue
			}
			attempts++
			events = append(events, at(log, event.AuthFailure, ip, user, ms+rng.IntN(2000)), at(stream, event.AuthFailure, ip, user, ms+rng.IntN(2000)))
		}
		slices.SortStableFunc(events, func(a, b *event.Event) int { return a.Time.Compare(b.Time) })
		v := New([]Pair{{Log: log, Witness: stream}})
		seenBy(v, events...)
		if s := v.Stats(); s.Confirmed != uint64(attempts) || s.Forged != uint64(forgeries) || s.Unheard != 0 {
			t.Fatalf("seed %d: %d attempts and %d forgeries became %+v", seed, attempts, forgeries, s)
		}
	}
}

func TestWants(t *testing.T) {
	v := New([]Pair{{Log: log, Witness: stream}})
	rules := map[string]map[string]bool{
		log:    {event.AuthFailure: true, event.SessionLimit: true},
		stream: {event.Call: true},
	}
	of := func(source string) map[string]bool { return rules[source] }
	if got := v.Wants(stream, of); len(got) != 2 || !got[event.AuthFailure] || !got[event.Call] {
		t.Errorf("of the stream: %v", got)
	}
	if got := v.Wants(log, of); len(got) != 2 {
		t.Errorf("of the log: %v", got)
	}
	rules[log] = map[string]bool{event.LogForgery: true}
	if got := v.Wants(log, of); len(got) != 1+len(kinds) {
		t.Errorf("of a log with a rule for forgeries: %v", got)
	}
	rules[log] = nil
	if got := v.Wants(log, of); got != nil {
		t.Errorf("of a log with all events wanted: %v", got)
	}
	if got := v.Wants(stream, of); len(got) != 1+len(kinds) {
		t.Errorf("of its stream: %v", got)
	}
}

func TestBounded(t *testing.T) {
	v := New([]Pair{{Log: log, Witness: stream, Hearing: func() status.Hearing { return status.Hearing{Events: t0} }}})
	for i := range maxKept + 100 {
		v.Take(at(log, event.AuthFailure, "192.0.2.9", fmt.Sprint(i), 0), t0, func(*event.Event) { t.Fatal("passed on") })
	}
	if len(v.waiting.entries) != maxKept || v.Stats().Unheard != 100 {
		t.Fatalf("%d wait, %+v", len(v.waiting.entries), v.Stats())
	}
}

// TestOffsets: two reports of one attempt meet while the offset of one source is known, and that of
// the other is not; and while the host's clock is stepped.
func TestOffsets(t *testing.T) {
	const behind = 20 * time.Minute
	for _, test := range []struct {
		log, stream time.Duration // what was added to their stamps
		step        time.Duration // between the two
		want        uint64
	}{{0, 0, 0, 1}, {behind, 0, 0, 1}, {0, behind, 0, 1}, {behind, behind, 0, 1}, {0, 0, time.Hour, 1}, {behind, 0, -time.Hour, 1}} {
		for _, logFirst := range []bool{true, false} {
			v := New([]Pair{{Log: log, Witness: stream, Hearing: func() status.Hearing { return status.Hearing{Events: t0.Add(-time.Hour)} }}})
			now := t0.Add(behind)
			take := func(ev *event.Event, shifted time.Duration) {
				ev.Time, ev.Shifted = ev.Time.Add(shifted), shifted
				v.Advance(now, func(*event.Event) {})
				v.Take(ev, now, func(*event.Event) {})
			}
			line, report := at(log, event.AuthFailure, "192.0.2.9", "7", 0), at(stream, event.AuthFailure, "192.0.2.9", "7", 10)
			if logFirst {
				take(line, test.log)
			} else {
				take(report, test.stream)
			}
			v.Step(test.step)
			now = now.Add(test.step)
			if logFirst {
				take(report, test.stream)
			} else {
				take(line, test.log)
			}
			if got := v.Stats(); got.Confirmed != test.want || got.Forged+got.Unheard != 0 {
				t.Errorf("%+v, log first %v: %+v", test, logFirst, got)
			}
		}
	}
}
