package rule

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// guessed is a rule that waits: three failures on an account in a minute, then a success.
func guessed(t testing.TB) *Spec {
	spec := guessing(t)
	spec.Name = "guessed"
	spec.Threshold.Per = Key{{Field: "user"}, {Field: "domain"}}
	spec.Threshold.Then = compiled(t, "event == 'auth_success'")
	return spec
}

// success is a successful registration.
func success(ip string, seconds int) *event.Event {
	ev := failure(ip, seconds)
	ev.Name = event.AuthSuccess
	ev.Text = fmt.Sprintf("success at %d", seconds)
	return ev
}

func TestThen(t *testing.T) {
	s := NewSet([]*Spec{guessed(t)})
	fired := observe(s,
		success("198.51.100.1", 0),
		failure("203.0.113.1", 1), failure("203.0.113.2", 2),
		success("198.51.100.1", 3), // of two failures
		failure("203.0.113.3", 4), failure("203.0.113.4", 5))
	if len(fired) != 0 {
		t.Fatalf("fired before the success: %+v", fired)
	}
	fired = observe(s, success("198.51.100.1", 6))
	if len(fired) != 1 {
		t.Fatalf("%d firings, want 1", len(fired))
	}
	f := fired[0]
	if f.Key != "1000@pbx.example" || f.Reason != "3 in 1m, per user@domain 1000@pbx.example, then auth_success from 198.51.100.1" {
		t.Errorf("%q, %q", f.Key, f.Reason)
	}
	var got []string
	for _, e := range f.Evidence {
		got = append(got, fmt.Sprint(e.Event, " ", e.IP, " ", e.Text))
	}
	want := []string{
		"auth_failure 203.0.113.2 failure at 2", "auth_failure 203.0.113.3 failure at 4", "auth_failure 203.0.113.4 failure at 5",
		"auth_success 198.51.100.1 success at 6",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(f.Orders) != 1 || f.Orders[0].Target.String() != "198.51.100.1" {
		t.Errorf("the address of the success is not banned: %+v", f.Orders)
	}
	if again := observe(s, success("198.51.100.1", 7)); len(again) != 0 {
		t.Error("the firing did not clear the window")
	}
	if diff := cmp.Diff(status.Rule{Name: "guessed", On: []string{log, "esl.pbx"}, Terms: guessed(t).Ban.Terms, Matches: 4, Firings: 1, LastFiring: f.Event.Time, BrakeFactor: 1}, s.Stats()[0]); diff != "" {
		t.Error(diff)
	}
}

func TestThenWithin(t *testing.T) {
	for name, test := range map[string]struct {
		at    int
		fires bool
	}{
		"before the last failure":     {39, false},
		"with the last failure":       {40, true},
		"a minute after the first":    {60, true},
		"a minute and a second after": {61, false},
		"when the rest is a window":   {90, false},
		"when nothing is in a minute": {200, false},
		"a day after":                 {86400, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewSet([]*Spec{guessed(t)})
			fired := observe(s, failure("203.0.113.1", 0), failure("203.0.113.1", 20), failure("203.0.113.1", 40), success("203.0.113.1", test.at))
			if (len(fired) == 1) != test.fires {
				t.Errorf("%d firings", len(fired))
			}
		})
	}
}

func TestThenOfAnotherKey(t *testing.T) {
	other, unknown, elsewhere, repeat := success("203.0.113.1", 3), success("203.0.113.1", 3), success("203.0.113.1", 3), success("203.0.113.1", 3)
	other.User = "1001"
	unknown.Domain = ""
	elsewhere.Source = "esl.pbx"
	repeat.Repeat = true
	s := NewSet([]*Spec{guessed(t)})
	observe(s, failure("203.0.113.1", 0), failure("203.0.113.1", 1), failure("203.0.113.1", 2))
	if fired := observe(s, other, unknown, elsewhere, repeat); len(fired) != 0 {
		t.Fatalf("another account, none, another source or a repeat fired: %+v", fired)
	}
	spec := guessed(t)
	spec.Threshold.Then = compiled(t, "event == 'auth_success' and repeat")
	next := NewSet([]*Spec{spec})
	next.Adopt(s)
	if fired := observe(next, repeat); len(fired) != 1 {
		t.Fatal("an expression that names repeat does not see repeats")
	}
}

// TestMatchAndThen is about events that are both: they are counted first.
func TestMatchAndThen(t *testing.T) {
	spec := guessed(t)
	spec.Match = compiled(t, "event in ['auth_failure', 'auth_success']")
	s := NewSet([]*Spec{spec})
	fired := observe(s, failure("203.0.113.1", 0), success("203.0.113.1", 1), failure("203.0.113.1", 2), success("203.0.113.1", 3))
	if len(fired) != 1 || !strings.HasPrefix(fired[0].Reason, "3 in 1m, ") {
		t.Fatalf("%+v", fired)
	}
	var got string
	for _, e := range fired[0].Evidence {
		got += e.Text + ", "
	}
	if got != "success at 1, failure at 2, success at 3, " {
		t.Errorf("evidence: %s", got)
	}
}

func TestThenDistinct(t *testing.T) {
	spec := guessed(t)
	spec.Threshold.Distinct = "ip"
	spec.Ban.All = true
	s := NewSet([]*Spec{spec})
	for i := range 9 {
		if fired := observe(s, failure(fmt.Sprintf("203.0.113.%d", 1+i%2), i), success("198.51.100.1", i)); len(fired) != 0 {
			t.Fatal("two addresses count as three")
		}
	}
	silent := success("198.51.100.1", 12)
	silent.IP = netip.Addr{} // it needs the key, but no distinct value
	fired := observe(s, failure("203.0.113.3", 10), failure("203.0.113.4", 11), silent)
	if len(fired) != 1 || fired[0].Reason != "3 different values of ip in 1m, per user@domain 1000@pbx.example, then auth_success" {
		t.Fatalf("%+v", fired)
	}
	var got []string
	for _, o := range fired[0].Orders {
		got = append(got, o.Target.String())
	}
	if diff := cmp.Diff([]string{"203.0.113.1", "203.0.113.3", "203.0.113.4"}, got); diff != "" {
		t.Errorf("all = true does not ban the newest matches: %s", diff)
	}
}

// TestThenIsBounded checks that a window that waits keeps no more than it needs, and
// that a success without failures is not remembered.
func TestThenIsBounded(t *testing.T) {
	s := NewSet([]*Spec{guessed(t)})
	ev := failure("203.0.113.1", 0)
	for range 100_000 {
		s.Observe(ev, func(*Firing) { t.Fatal("fired before the success") })
		ev.Time = ev.Time.Add(time.Millisecond)
	}
	tr := s.rules[0].trackers[0]
	if tr.check(t); tr.remembered != 3 {
		t.Errorf("%d matches are remembered for a count of 3", tr.remembered)
	}
	written := s.ring.written
	good := success("203.0.113.1", 50)
	for i := range 100_000 {
		good.User = fmt.Sprint(2000 + i)
		s.Observe(good, func(*Firing) { t.Fatal("fired without a failure") })
	}
	if len(tr.keys) != 1 || s.ring.written != written {
		t.Errorf("%d windows, and %d bytes in the ring, of events that were not counted", len(tr.keys), s.ring.written-written)
	}
}

func TestThenIsWanted(t *testing.T) {
	spec := guessed(t)
	spec.On = []string{"esl.pbx"}
	s := NewSet([]*Spec{guessing(t), spec})
	if diff := cmp.Diff(map[string]bool{"auth_failure": true}, s.Wants(log)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]bool{"auth_failure": true, "auth_success": true}, s.Wants("esl.pbx")); diff != "" {
		t.Error(diff)
	}
	spec.Threshold.Then = compiled(t, "user == '1000'")
	if NewSet([]*Spec{spec}).Wants("esl.pbx") != nil {
		t.Error("an expression for any event, and not all are wanted")
	}
}

func TestThenFiresInTheOrderOfRules(t *testing.T) {
	first, second := guessed(t), guessed(t)
	first.Name, second.Name = "first", "second"
	between := &Spec{Name: "between", On: []string{log}, Match: compiled(t, "event == 'auth_success'"), Alert: &Alert{}}
	s := NewSet([]*Spec{first, between, second})
	var got []string
	for _, f := range observe(s, failure("203.0.113.1", 0), failure("203.0.113.1", 1), failure("203.0.113.1", 2), success("203.0.113.1", 3)) {
		got = append(got, f.Spec.Name)
	}
	if diff := cmp.Diff([]string{"first", "between", "second"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestThenErrorsAreCounted(t *testing.T) {
	spec := guessed(t)
	spec.Threshold.Then = compiled(t, "event == 'auth_success' and int(profile) == 5")
	s := NewSet([]*Spec{spec})
	observe(s, success("203.0.113.1", 0))
	if st := s.Stats()[0]; st.Errors != 1 || st.LastError == "" {
		t.Fatalf("%+v", st)
	}
}

// TestThenAcrossReloads changes what a rule waits for between three failures and the
// next event.
func TestThenAcrossReloads(t *testing.T) {
	for name, test := range map[string]struct {
		old, change func(*Spec)
		next        *event.Event
		evidence    int // of the firing; 0: none
	}{
		"nothing":          {nil, func(*Spec) {}, success("203.0.113.1", 3), 4},
		"another event":    {nil, func(s *Spec) { s.Threshold.Then = compiled(t, "event == 'call'") }, success("203.0.113.1", 3), 0},
		"nothing any more": {nil, func(s *Spec) { s.Threshold.Then = nil }, failure("203.0.113.1", 3), 4},
		"a lower count":    {nil, func(s *Spec) { s.Threshold.Count = 2 }, success("203.0.113.1", 3), 3},
		"lower and later":  {nil, func(s *Spec) { s.Threshold.Count = 2 }, success("203.0.113.1", 61), 3},
		"a higher count":   {nil, func(s *Spec) { s.Threshold.Count = 4 }, success("203.0.113.1", 3), 0},
		"for the first time": {
			func(s *Spec) { s.Threshold.Then, s.Threshold.Count = nil, 4 }, func(*Spec) {}, success("203.0.113.1", 3), 4,
		},
		"another match": {nil, func(s *Spec) { s.Match = compiled(t, "event == \"auth_failure\"") }, success("203.0.113.1", 3), 0},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := guessed(t), guessed(t)
			if test.old != nil {
				test.old(before)
			}
			test.change(after)
			old := NewSet([]*Spec{before})
			observe(old, failure("203.0.113.1", 0), failure("203.0.113.1", 1), failure("203.0.113.1", 2))
			s := NewSet([]*Spec{after})
			s.Adopt(old)
			fired := observe(s, test.next)
			evidence := 0
			if len(fired) == 1 {
				evidence = len(fired[0].Evidence)
			}
			if len(fired) > 1 || evidence != test.evidence {
				t.Errorf("%d firings, %d pieces of evidence, want %d", len(fired), evidence, test.evidence)
			}
		})
	}
}

// TestThenClosest checks that windows that wait do not hide those that fill.
func TestThenClosest(t *testing.T) {
	hosts := guessing(t)
	hosts.Threshold.Count = 5
	s := NewSet([]*Spec{guessed(t), hosts})
	observe(s, failure("203.0.113.1", 0), failure("203.0.113.1", 1), failure("203.0.113.1", 2), failure("203.0.113.1", 3))
	var got []string
	for _, n := range s.Closest(10, start.Add(5*time.Second)) {
		got = append(got, fmt.Sprintf("%s %d/%d %s", n.Rule, n.Count, n.Limit, n.Then))
	}
	want := []string{"guessing 4/5 ", "guessed 3/3 event == 'auth_success'"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
