package registrations

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/event"
)

var (
	office    = netip.MustParsePrefix("203.0.113.7/32")
	breakfast = time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)
)

func isWire(source string) bool { return source == "sip.wire" }

// fails notes a failure at the office, after a time since breakfast.
func (f *Failures) fails(source, user string, proven bool, after time.Duration) {
	ev := &event.Event{Name: event.AuthFailure, Source: source, IP: office.Addr(), User: user, Domain: source, Port: 5060, Time: breakfast.Add(after)}
	f.Learn(ev, office, user == "own", ev.Port == 5070, proven, ev.Time)
}

func TestFailuresAreCounted(t *testing.T) {
	f := NewFailures()
	want := func(after time.Duration, proven, unproven Count) {
		t.Helper()
		p, u := f.Count(office, isWire, breakfast.Add(after))
		if p != proven || u != unproven {
			t.Errorf("after %s: %+v and %+v, want %+v and %+v", after, p, u, proven, unproven)
		}
	}
	want(0, Count{}, Count{})
	for _, user := range []string{"bob", "BOB", "eve", "own"} {
		f.fails("esl.pbx", user, false, 0)
		f.fails("log.x", user, false, 0) // the same attempts
	}
	f.Learn(&event.Event{Name: event.AuthFailure, Source: "esl.pbx", User: "ann", Repeat: true, Time: breakfast}, office, false, false, false, breakfast)
	want(time.Minute, Count{}, Count{Hour: 3, Day: 3, Burst: 3, Accounts: 2, Ports: 1})
	want(11*time.Minute, Count{}, Count{Hour: 3, Day: 3, Burst: 3, Accounts: 2, Ports: 1})
	want(61*time.Minute, Count{}, Count{Day: 3, Accounts: 2, Ports: 1})
	want(25*time.Hour, Count{}, Count{})
	f.Step(time.Hour)
	want(61*time.Minute, Count{}, Count{Hour: 3, Day: 3, Burst: 3, Accounts: 2, Ports: 1})
	f.Step(-time.Hour)

	// The wire reports three of them: one is proven, two are of forged senders.
	f.fails("sip.wire", "bob", true, 0)
	f.fails("sip.wire", "eve", false, 0)
	f.fails("sip.wire", "ann", false, 0)
	one := Count{Hour: 1, Day: 1, Burst: 1, Accounts: 1, Ports: 1}
	want(time.Minute, one, Count{Burst: 3, Accounts: 2, Ports: 1})
	if n, after := f.Proven(office, breakfast), f.Proven(office, breakfast.Add(1)); n != 1 || after != 0 {
		t.Errorf("%d and %d are proven", n, after)
	}
	for range 3 * maxFailures {
		f.fails("sip.wire", "eve", false, time.Minute)
		f.fails("esl.pbx", "eve", false, time.Minute)
	}
	want(time.Minute, one, Count{Burst: maxFailures, Accounts: 2, Ports: 1}) // what is proven is kept
}

// TestPortsOfFailures has failures from one port, from that of a phone, and without a port, and refused
// logins of browsers beside what the wire proves.
func TestPortsOfFailures(t *testing.T) {
	for name, test := range map[string]struct {
		port          uint16
		phones, login bool
		want          Count
	}{
		"one port":        {40_000, false, false, Count{2, 2, 2, 1, 1}},
		"of a phone":      {40_000, true, false, Count{2, 2, 2, 1, 2}},
		"without one":     {0, false, false, Count{2, 2, 2, 1, 2}},
		"and by browsers": {40_000, false, true, Count{4, 4, 4, 1, 1}},
	} {
		f := NewFailures()
		for range 2 {
			ev := &event.Event{Name: event.AuthFailure, Source: "sip.wire", User: "1000", Port: test.port, Time: breakfast}
			f.Learn(ev, office, false, test.phones, true, breakfast)
			if test.login {
				ev.Source = "esl.pbx"
				f.Learn(ev, office, false, test.phones, true, breakfast)
			}
		}
		if p, u := f.Count(office, isWire, breakfast); p != test.want || u != (Count{}) {
			t.Errorf("%s: %+v, %+v", name, p, u)
		}
	}
}

// TestFailuresAreBounded fails at more hosts than are kept.
func TestFailuresAreBounded(t *testing.T) {
	f := NewFailures()
	f.fails("esl.pbx", "bob", false, 0)
	for i := range maxFailing {
		host := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
		f.Learn(&event.Event{Source: "esl.pbx", Time: breakfast}, host, false, false, false, breakfast)
	}
	if _, u := f.Count(office, isWire, breakfast); u != (Count{}) { // the oldest is dropped first
		t.Errorf("%+v", u)
	}
	if n := f.at.Len(); n > maxFailing {
		t.Errorf("%d hosts are held", n)
	}
}

func TestAccountsThatFailed(t *testing.T) {
	f := NewFailures()
	want := func(onlyProven bool, port uint16, after time.Duration, want int) {
		t.Helper()
		if got := f.Accounts(office, onlyProven, func(p uint16) bool { return p == port }, breakfast.Add(after)); got != want {
			t.Errorf("%d accounts, want %d", got, want)
		}
	}
	for i := range 5 {
		f.fails("esl.pbx", fmt.Sprint(i%3), false, 0)
	}
	f.fails("esl.pbx", "", false, 0)
	f.fails("sip.wire", "1", true, time.Minute)
	f.fails("sip.wire", "2", true, time.Minute)
	want(false, 5060, time.Minute, 3)
	want(true, 5060, time.Minute, 2)
	want(false, 5061, time.Minute, 0)
	want(false, 5060, time.Hour+time.Second, 2)
	want(false, 5060, 2*time.Hour, 0)
}

// TestFailuresAreSaved restarts between two failures of one account, after a step of the clock.
func TestFailuresAreSaved(t *testing.T) {
	f := NewFailures()
	f.Step(time.Hour)
	for _, user := range []string{"bob", "own", "eve"} {
		f.fails("esl.pbx", user, false, 0)
	}
	f.fails("sip.wire", "bob", true, time.Second)
	again := restarted(t, f)
	again.fails("sip.wire", "BOB", true, time.Minute)
	again.fails("esl.pbx", "bob", false, time.Minute)
	proven, unproven := again.Count(office, isWire, breakfast.Add(2*time.Minute))
	if (proven != Count{2, 2, 2, 1, 1}) || (unproven != Count{1, 1, 3, 2, 1}) {
		t.Errorf("%+v, %+v", proven, unproven)
	}
	if err := again.UnmarshalBinary([]byte("damaged")); err == nil {
		t.Error("no error")
	}
}

// TestSavedFailuresAreBounded has a forger fail at all hosts that are held, beside what is proven.
func TestSavedFailuresAreBounded(t *testing.T) {
	f := NewFailures()
	f.fails("sip.wire", "bob", true, 0)
	for i := range maxFailing - 1 {
		host := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
		for range 3 {
			f.Learn(&event.Event{Source: "sip.wire", User: "eve", Time: breakfast}, host, false, false, false, breakfast)
		}
	}
	again, n := restarted(t, f), 0
	for _, failures := range again.at.All() {
		n += len(failures)
	}
	if proven, _ := again.Count(office, isWire, breakfast); n != maxSaved || proven.Hour != 1 {
		t.Errorf("%d failures are kept, %d of the proven one", n, proven.Hour)
	}
}

// restarted returns what a restart keeps.
func restarted(t *testing.T, f *Failures) *Failures {
	t.Helper()
	saved, err := f.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	again := NewFailures()
	if err := again.UnmarshalBinary(saved); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", len(saved))
	return again
}
