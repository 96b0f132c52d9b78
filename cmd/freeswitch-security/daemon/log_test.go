package daemon

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
)

// TestFloodOfChanges has a trusted scanner, refused 690 times in four seconds, beside two bans.
func TestFloodOfChanges(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	l := changeLog{log: log, sum: log, kinds: map[ban.Kind]*stretch{}}
	start := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	add := func(kind ban.Kind, after time.Duration) {
		l.add(&ban.Change{Kind: kind, At: start, Ban: ban.Ban{Target: ban.Address(netip.MustParseAddr("203.0.113.7"))}}, start.Add(after))
	}
	lines := func(part string) int { return strings.Count(out.String(), part) }
	add(ban.KindBan, 0)
	for i := range 690 {
		add(ban.KindRefuse, time.Duration(i)*4*time.Second/690)
	}
	add(ban.KindBan, 4*time.Second)
	if refused, bans := lines("msg=refuse"), lines("msg=ban "); refused != mostRefused || bans != 2 {
		t.Errorf("%d refusals and %d bans are logged, want %d and 2", refused, bans, mostRefused)
	}
	l.tell(start.Add(9 * time.Second))
	if lines("changes not logged") > 0 {
		t.Error("the number is told before the end")
	}
	l.tell(start.Add(11 * time.Second))
	l.tell(start.Add(12 * time.Second))
	if lines("changes not logged") != 1 || lines("kind=refuse number=670") != 1 {
		t.Errorf("the number is not told once:\n%s", out.String()[max(0, out.Len()-500):])
	}
	add(ban.KindRefuse, 13*time.Second)
	if n := lines("msg=refuse"); n != mostRefused+1 {
		t.Errorf("%d refusals are logged after the flood", n)
	}
}
