package learn

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/rule"
)

func TestAdvice(t *testing.T) {
	for _, test := range []struct {
		name   string
		days   int
		good   int // addresses that register
		fails  int // in a row, of the first of them, once
		advice Advice
		count  int
	}{
		{"no genuine address", 4, 0, 0, Unknown, 0},
		{"no genuine address failed", 4, 12, 0, Lower, 3},
		{"never below three", 4, 12, 1, Lower, 3},
		{"one that failed twice", 4, 12, 2, Lower, 4},
		{"margin as it is", 4, 12, 3, Keep, 0},
		{"just below", 4, 12, 4, Raise, 6},
		{"caught", 4, 12, 8, Raise, 12},
		{"beyond any useful threshold", 4, 12, 11, Hopeless, 0},
		{"a short recording lowers nothing", 1, 12, 0, Keep, 0},
		{"but raises", 1, 12, 4, Raise, 6},
		{"few phones lower nothing", 4, 9, 0, Keep, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := record(t, guessing(t))
			r.daily(test.days, func() {
				for range 12 { // more often than any address fails
					for i := range test.good {
						r.register(fmt.Sprintf("203.0.113.%d", i), fmt.Sprint(200+i))
					}
				}
			})
			r.fail("203.0.113.0", "200", test.fails)
			found := r.Conclude().Rules[0]
			if found.Advice != test.advice || found.Count != test.count || found.Genuine != test.good || found.Peak != test.fails {
				t.Errorf("%+v, want advice %d and count %d", found, test.advice, test.count)
			}
		})
	}
}

// TestVictims lists addresses that would have been banned: before they registered,
// after, or because of a neighbour.
func TestVictims(t *testing.T) {
	wide := guessing(t)
	wide.Ban.Network = rule.Network{V4: 24}
	r := record(t, wide)
	r.register("203.0.113.8", "208")
	r.fail("203.0.113.7", "207", 6)
	for range 10 {
		r.register("203.0.113.7", "207")
	}
	r.fail("198.51.100.1", "200", 20) // guesses until it succeeds
	r.register("198.51.100.1", "200")
	found := r.Conclude().Rules[0]
	if len(found.Victims) != 3 || found.Innocent() != 1 || found.Caught != 2 {
		t.Fatalf("%+v", found)
	}
	for i, want := range []Victim{
		{Network: netip.MustParsePrefix("203.0.113.7/32"), Times: 1, After: 10, Suspect: true}, // it may have guessed, too
		{Network: netip.MustParsePrefix("203.0.113.8/32"), Before: 1, Neighbour: true},
		{Network: netip.MustParsePrefix("198.51.100.1/32"), Times: 4, After: 1, Suspect: true},
	} {
		got := found.Victims[i]
		got.At = time.Time{}
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// TestSpared leaves protected addresses out of the peak.
func TestSpared(t *testing.T) {
	r := record(t, guessing(t))
	for range 12 {
		r.register("203.0.113.7", "207")
	}
	r.register("203.0.113.8", "208")
	for range 7 {
		r.Record(failure(r, "203.0.113.7"))
	}
	at := netip.MustParseAddr("203.0.113.7")
	spared := &ban.Change{Kind: ban.KindSpare, At: r.at, Ban: ban.Ban{
		Rule: "guessing", Author: ban.ByRule, Target: ban.Address(at), Evidence: []ban.Evidence{{IP: at}},
	}}
	r.Decided(spared)
	for _, ignored := range []ban.Change{{Kind: ban.KindSpare, Ban: ban.Ban{Rule: "no such rule", Author: ban.ByRule}}, {Kind: ban.KindExpire, Ban: spared.Ban}} {
		r.Decided(&ignored)
	}
	found := r.Conclude().Rules[0]
	if found.Genuine != 1 || found.Peak != 0 || found.Refusals != 1 || len(found.Victims) != 1 || !found.Victims[0].Spared {
		t.Errorf("%+v", found)
	}
}

// TestSharedWindows proposes nothing where attackers fill the windows in which genuine
// addresses are counted.
func TestSharedWindows(t *testing.T) {
	per := spec(t, "on one account", "event == 'auth_failure'",
		&rule.Threshold{Count: 5, Within: time.Hour, Per: rule.Key{{Field: "user"}}, Distinct: "ip"})
	play := func(attacks bool) RuleFinding {
		r := record(t, per, guessing(t))
		for range 12 {
			r.register("203.0.113.7", "207")
		}
		if attacks {
			r.fail("198.51.100.1", "207", 7)
		}
		for i := range 3 {
			r.fail(fmt.Sprintf("198.51.100.%d", i+2), "207", 1)
		}
		r.fail("203.0.113.7", "207", 1)
		return r.Conclude().Rules[0]
	}
	if found := play(true); found.Advice != Shared || found.Peak != 5 {
		t.Errorf("%+v", found)
	}
	if found := play(false); found.Advice != Raise || found.Peak != 4 {
		t.Errorf("%+v", found)
	}
}
