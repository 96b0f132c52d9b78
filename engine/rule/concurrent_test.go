package rule

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
)

// parallel is a rule: three calls of an account at once.
func parallel(t testing.TB) *Spec {
	return &Spec{
		Name: "parallel", On: []string{"esl.pbx", "sip.wire"}, Match: compiled(t, "event in ['call', 'call_answered']"),
		Threshold: &Threshold{Count: 3, Concurrent: true, Per: Key{{Field: "user"}, {Field: "domain"}}},
		Ban:       &Ban{Terms: []ban.Term{ban.Term(10 * time.Minute)}, Network: Host},
	}
}

// ofCall is an event of a call, seconds after start.
func ofCall(name, user, uuid string, seconds int) *event.Event {
	return &event.Event{
		Name: name, Source: "esl.pbx", User: user, Domain: "pbx", UUID: uuid, IP: netip.MustParseAddr("203.0.113.7"),
		Time: start.Add(time.Duration(seconds) * time.Second), Text: name + " " + uuid,
	}
}

func TestConcurrent(t *testing.T) {
	s := NewSet([]*Spec{parallel(t)})
	opened := func(user, uuid string, seconds int) string {
		t.Helper()
		var reasons []string
		for _, f := range observe(s, ofCall(event.Call, user, uuid, seconds)) {
			reasons = append(reasons, f.Reason)
		}
		return strings.Join(reasons, "; ")
	}
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	opened("1000", "a", 0)
	opened("1000", "b", 3600)
	expect("another account", opened("1001", "x", 3601), "")
	expect("the second call, answered", fmt.Sprint(len(observe(s, ofCall(event.CallAnswered, "1000", "b", 3602)))), "0")
	without := ofCall(event.Call, "1000", "", 3602)
	wire := ofCall(event.Call, "1000", "", 3602)
	wire.Source = "sip.wire"
	expect("a call without uuid, and the report of the wire", fmt.Sprint(len(observe(s, without, wire))), "0")

	if counts, why := parallel(t).Counts(without); counts || !strings.Contains(why, "has no uuid") {
		t.Errorf("a call without uuid: %v, %q", counts, why)
	}
	if counts, why := parallel(t).Counts(ofCall(event.Call, "1000", "c", 0)); !counts || why != "" {
		t.Errorf("a call: %v, %q", counts, why)
	}

	fired := observe(s, ofCall(event.Call, "1000", "c", 3603))
	if len(fired) != 1 || fired[0].Reason != "3 calls at once, per user@domain 1000@pbx" || fired[0].Key != "1000@pbx" || len(fired[0].Orders) != 1 {
		t.Fatalf("%+v", fired)
	}
	var evidence []string
	for _, e := range fired[0].Evidence {
		evidence = append(evidence, e.Text+" at "+e.Time.Sub(start).String())
	}
	expect("evidence", strings.Join(evidence, ", "), "call a at 0s, call b at 1h0m0s, call c at 1h0m3s")
	expect("a further call", opened("1000", "d", 3604), "4 calls at once, per user@domain 1000@pbx")
	expect("a call that is open, answered", fmt.Sprint(len(observe(s, ofCall(event.CallAnswered, "1000", "d", 3605)))), "1")

	observe(s, ofCall(event.CallEnded, "", "a", 3606), ofCall(event.CallRejected, "", "b", 3607), ofCall(event.CallEnded, "", "unknown", 3608))
	expect("two have ended", opened("1000", "e", 3609), "3 calls at once, per user@domain 1000@pbx")
	s.End(ofCall(event.CallEnded, "", "e", 3610))
	s.End(ofCall(event.CallRejected, "", "", 3610))
	expect("an end that was set aside", opened("1000", "f", 3611), "3 calls at once, per user@domain 1000@pbx")
	if n := s.Stats()[0].Tracked; n != 2 {
		t.Errorf("%d keys", n)
	}
	observe(s, ofCall(event.CallEnded, "", "x", 3612))
	if n := s.Stats()[0].Tracked; n != 1 {
		t.Errorf("%d keys, want that of the account with open calls", n)
	}

	closest := s.Closest(10, start.Add(2*time.Hour))
	if len(closest) != 1 || closest[0].Key != "1000@pbx" || closest[0].Count != 3 || closest[0].Limit != 3 || closest[0].Within != 0 {
		t.Errorf("%+v", closest)
	}
	observe(s, ofCall(event.CallEnded, "", "", 3613))
	expect("after a restart of the switch", opened("1000", "g", 3614)+opened("1000", "h", 3614), "")
	expect("the third since", opened("1000", "i", 3614), "3 calls at once, per user@domain 1000@pbx")
}

// TestConcurrentWants: the ends of calls are reported only where a rule needs them.
func TestConcurrentWants(t *testing.T) {
	plain := parallel(t)
	plain.Threshold = nil
	for _, test := range []struct {
		spec *Spec
		want map[string]bool
	}{
		{parallel(t), map[string]bool{event.Call: true, event.CallAnswered: true, event.CallEnded: true}},
		{plain, map[string]bool{event.Call: true, event.CallAnswered: true}},
	} {
		if got := NewSet([]*Spec{test.spec}).Wants("esl.pbx"); !maps.Equal(got, test.want) {
			t.Errorf("%v, want %v", got, test.want)
		}
	}
}

// TestForgottenCalls: a call without an end does not count for ever.
func TestForgottenCalls(t *testing.T) {
	s := NewSet([]*Spec{parallel(t)})
	late := int(forgetOpen/time.Second) + 1
	fired := observe(s, ofCall(event.Call, "1000", "a", 0), ofCall(event.Call, "1000", "b", 10), ofCall(event.Call, "1000", "c", late))
	if len(fired) != 0 {
		t.Errorf("%+v", fired[0])
	}
	if fired := observe(s, ofCall(event.Call, "1000", "d", late+1)); len(fired) != 1 || len(fired[0].Evidence) != 3 {
		t.Errorf("b, c and d are open: %+v", fired)
	}
	s.rules[0].trackers[0].check(t)
}

// TestAdoptConcurrent: a reload keeps the open calls of a rule that counts the same.
func TestAdoptConcurrent(t *testing.T) {
	old := NewSet([]*Spec{parallel(t)})
	observe(old, ofCall(event.Call, "1000", "a", 0), ofCall(event.Call, "1000", "b", 0), ofCall(event.Call, "1000", "c", 0))
	s := NewSet([]*Spec{parallel(t)})
	s.Adopt(old)
	observe(s, ofCall(event.CallEnded, "", "a", 1))
	if fired := observe(s, ofCall(event.Call, "1000", "d", 2)); len(fired) != 1 || fired[0].Reason != "3 calls at once, per user@domain 1000@pbx" {
		t.Errorf("%+v", fired)
	}
	other := parallel(t)
	other.Threshold.Concurrent, other.Threshold.Within = false, time.Hour
	s = NewSet([]*Spec{other})
	s.Adopt(old)
	if n := s.Stats()[0].Tracked; n != 0 {
		t.Errorf("a rule that counts matches has taken over %d keys of open calls", n)
	}
	if saved, err := NewSet([]*Spec{parallel(t)}).MarshalBinary(); err != nil || len(saved) > 1 {
		t.Errorf("open calls are saved: %q, %v", saved, err)
	}
}

// TestManyOpenCalls: of one key and of many, with a bound. The evidence is bounded too.
func TestManyOpenCalls(t *testing.T) {
	const most = 2000
	for _, keys := range []int{1, 10, most} {
		s := NewSet([]*Spec{parallel(t)})
		tracker := s.rules[0].trackers[0]
		if tracker.maxMatches != maxOpen {
			t.Fatalf("%d calls may be open", tracker.maxMatches)
		}
		tracker.maxMatches = most
		ev := ofCall(event.Call, "", "", 0)
		var last *Firing
		for i := range most + 500 {
			ev.User, ev.UUID = fmt.Sprint(i%keys), fmt.Sprint(i)
			s.Observe(ev, func(f *Firing) { last = kept(f) })
		}
		if len(tracker.open) > most || tracker.remembered != len(tracker.open) || len(tracker.open) < most*9/10 {
			t.Errorf("%d keys: %d open, %d remembered", keys, len(tracker.open), tracker.remembered)
		}
		tracker.check(t)
		if keys < most && len(last.Evidence) != MaxEvidence {
			t.Errorf("%d keys: %d pieces of evidence", keys, len(last.Evidence))
		}
		for i := range most + 500 {
			s.Observe(ofCall(event.CallEnded, "", fmt.Sprint(i), 1), func(*Firing) { t.Error("fired at an end") })
		}
		if len(tracker.open) != 0 || tracker.remembered != 0 || len(tracker.keys) != 0 {
			t.Errorf("%d keys: %d open, %d remembered, %d keys after all have ended", keys, len(tracker.open), tracker.remembered, len(tracker.keys))
		}
	}
}

// TestConcurrentAgreesWithModel compares random calls with a map of those that are open.
func TestConcurrentAgreesWithModel(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 7))
		spec := parallel(t)
		spec.Threshold.Count = 1 + random.IntN(4)
		s := NewSet([]*Spec{spec})
		open := map[string]string{} // the user of each call
		for step := range 40 {
			user, uuid := fmt.Sprint(random.IntN(3)), fmt.Sprint(random.IntN(12))
			name := []string{event.Call, event.Call, event.CallAnswered, event.CallEnded, event.CallEnded, event.CallRejected}[random.IntN(6)]
			if random.IntN(50) == 0 {
				name, uuid = event.CallEnded, ""
				clear(open)
			}
			want := 0
			if name == event.Call || name == event.CallAnswered {
				if _, is := open[uuid]; !is {
					open[uuid] = user
				}
				for _, other := range open {
					if other == user {
						want++
					}
				}
			} else {
				delete(open, uuid)
			}
			if want < spec.Threshold.Count {
				want = 0
			}
			got := 0
			for _, f := range observe(s, ofCall(name, user, uuid, random.IntN(100))) {
				fmt.Sscanf(f.Reason, "%d calls at once", &got)
			}
			if got != want {
				t.Fatalf("seed %d, step %d: %s %s of %s: %d at once, want %d of %v", seed, step, name, uuid, user, got, want, open)
			}
		}
		s.rules[0].trackers[0].check(t)
	}
}

// BenchmarkConcurrent is a call and its end, by the number of calls that are open. With one account,
// each call fires.
func BenchmarkConcurrent(b *testing.B) {
	for _, open := range []int{10, 1000, 10_000} {
		for _, users := range []int{1, 100} {
			b.Run(fmt.Sprintf("%d open of %d accounts", open, users), func(b *testing.B) {
				spec := parallel(b)
				spec.Threshold.Count = open
				s := NewSet([]*Spec{spec})
				begin, end := ofCall(event.Call, "", "", 0), ofCall(event.CallEnded, "", "", 0)
				names := make([]string, max(2*open, users)) // of users and calls
				for i := range names {
					names[i] = fmt.Sprintf("%08d-c853-4501-98a9-efbd05dd047b", i)
				}
				i := 0
				step := func() {
					begin.User, begin.UUID = names[i%users], names[i%len(names)]
					s.Observe(begin, func(*Firing) {})
					i++
				}
				for range open {
					step()
				}
				b.ReportAllocs()
				for b.Loop() {
					end.UUID = names[(i-open)%len(names)]
					s.Observe(end, func(*Firing) {})
					step()
				}
			})
		}
	}
}
