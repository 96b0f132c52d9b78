package ban

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestLedgerStep: a step moves every time by the same, leaves "never" alone, and is saved.
func TestLedgerStep(t *testing.T) {
	const by = 2 * time.Hour
	now := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	prefix := func(s string) netip.Prefix { return netip.MustParsePrefix(s) }
	fill := func(now time.Time) *Ledger {
		l := NewLedger(NewTrust(nil))
		for _, o := range []Order{
			{Target: Network(prefix("203.0.113.7/32")), Rule: "r", Author: ByRule, Terms: []Term{Term(time.Minute)}, Forget: time.Hour, Evidence: []Evidence{{Time: now}}},
			{Target: Network(prefix("203.0.113.8/32")), Rule: "r", Author: ByRule, Terms: []Term{Permanent}},
		} {
			o.At = now
			l.Enter(o, now)
		}
		l.Unban(Network(prefix("203.0.113.9/32")), "", now, time.Hour)
		l.Grant(Trusted{Target: Network(prefix("192.0.2.0/24")), Since: now, Until: now.Add(time.Hour)}, now)
		l.Grant(Trusted{Target: Network(prefix("198.51.100.0/24")), Since: now}, now)
		return l
	}
	stepped, want := fill(now), fill(now.Add(by))
	cursor, asked := stepped.Cursor(false, Told), stepped.Evidence(&stepped.Bans()[0])
	stepped.Step(by)
	slices.SortFunc(stepped.dirty, Target.Compare)
	if targets := slices.Compact(slices.Clone(stepped.dirty)); len(targets) != 5 {
		t.Errorf("%d records are to be saved", len(targets))
	}
	for _, target := range want.dirty {
		unstepped, got, want := want, stepped.record(target, new(Ban)), want.record(target, new(Ban))
		same := got.Until.Equal(want.Until) && got.Forget.Equal(want.Forget) && got.Grace.Equal(want.Grace) && (got.Ban == nil) == (want.Ban == nil) && (got.Grant == nil) == (want.Grant == nil)
		if same && got.Ban != nil {
			same = got.Ban.Start.Equal(want.Ban.Start) && got.Ban.Until.Equal(want.Ban.Until) && slices.Equal(stepped.Evidence(got.Ban), unstepped.Evidence(want.Ban))
		}
		if same && got.Grant != nil {
			same = got.Grant.Since.Equal(want.Grant.Since) && got.Grant.Until.Equal(want.Grant.Until)
		}
		if !same {
			t.Errorf("%s: %+v, want %+v", target, got, want)
		}
	}
	if !asked[0].Time.Equal(now) {
		t.Error("a reader's evidence was changed")
	}
	if at, ok := stepped.Next(); !ok || !at.Equal(now.Add(by+time.Minute)) {
		t.Errorf("next at %s", at)
	}
	if _, err := stepped.Commit(); err != nil {
		t.Fatal(err)
	}
	if changes, _ := cursor.Take(); len(changes) != 2 || !changes[0].At.Equal(now.Add(by)) || !changes[0].Until.Equal(now.Add(by+time.Minute)) || !changes[1].Until.IsZero() {
		t.Errorf("changes on their way: %+v", changes)
	}
}
