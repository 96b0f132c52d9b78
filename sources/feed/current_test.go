package feed

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/banlist"
	"freeswitch-security/engine/plugin"
)

// listOf is a list of addresses, each with the same term.
func listOf(ttl time.Duration, addresses ...string) *list {
	l := newList(defaultBounds())
	for _, a := range addresses {
		a := netip.MustParseAddr(a)
		_ = l.add(banlist.Entry{Target: ban.Address(a), Term: ban.Term(ttl)})
	}
	return l
}

// TestKindsOfAnswers counts for each kind the orders, the removals and the listed
// targets, when one entry is new, one listed, one due, and one over.
func TestKindsOfAnswers(t *testing.T) {
	now := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	for kind, want := range map[answerKind]string{
		nothing: "ordered 0, gone 0, listed 3",
		same:    "ordered 1, gone 0, listed 2", // the due one; the one that is over is dropped
		more:    "ordered 2, gone 0, listed 3", // and the new one
		part:    "ordered 1, gone 0, listed 4", // nothing is known of the others
		whole:   "ordered 1, gone 1, listed 2", // the due one is not listed any more
	} {
		s := newCurrent(&feedOf(t, `path = "/x"`).config)
		earlier := now.Add(-13 * time.Hour)
		for _, l := range []*list{listOf(20*time.Hour, "20.0.0.2"), listOf(5*24*time.Hour, "20.0.0.1")} {
			p, err := s.plan(answer{kind: part, list: *l, size: 1}, earlier)
			if err != nil {
				t.Fatal(err)
			}
			s.apply(p, plugin.Outcome{})
		}
		over := listOf(0, "20.0.0.3")
		over.entries[0].expires = now.Add(-time.Hour)
		p, err := s.plan(answer{kind: part, list: *over, size: 1}, earlier)
		if err != nil {
			t.Fatal(err)
		}
		s.apply(p, plugin.Outcome{})

		a := answer{kind: kind, size: 1}
		if kind != nothing && kind != same {
			a.list = *listOf(0, "20.0.0.1", "20.0.0.4")
		}
		p, err = s.plan(a, now)
		if err != nil {
			t.Fatal(err)
		}
		if kind != nothing {
			s.apply(p, plugin.Outcome{})
		}
		got := fmt.Sprintf("ordered %d, gone %d, listed %d", len(p.listing.Orders), len(p.listing.Gone), len(s.listed))
		if got != want {
			t.Errorf("kind %d: %s; want %s", kind, got, want)
		}
	}
}

// TestPagesTogetherAreBounded adds to a list in pages, each of which is short enough.
func TestPagesTogetherAreBounded(t *testing.T) {
	s := newCurrent(&feedOf(t, "path = \"/x\"\nmax_entries = 2").config)
	now := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	for i, address := range []string{"20.0.0.1", "20.0.0.2", "20.0.0.2", "20.0.0.3"} {
		p, err := s.plan(answer{kind: more, list: *listOf(0, address), size: 1}, now)
		if (err != nil) != (i == 3) {
			t.Fatalf("%s: %v", address, err)
		}
		if err == nil {
			s.apply(p, plugin.Outcome{})
		}
	}
}
