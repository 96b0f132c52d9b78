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

// changes is a log of changes, from start on.
type changes struct {
	changeLog
	out   bytes.Buffer
	start time.Time
}

func newChanges() *changes {
	l := &changes{start: time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)}
	log := slog.New(slog.NewTextHandler(&l.out, nil))
	l.changeLog = changeLog{log: log, sum: log, groups: map[group]*stretch{}}
	return l
}

func (l *changes) change(kind ban.Kind, host byte, after time.Duration) {
	target := ban.Address(netip.AddrFrom4([4]byte{203, 0, 113, host}))
	l.add(&ban.Change{Kind: kind, At: l.start, Ban: ban.Ban{Target: target, Rule: "event socket"}}, l.start.Add(after))
}

func (l *changes) lines(part string) int { return strings.Count(l.out.String(), part) }

// TestFloodOfChanges has many trusted scanners, refused 690 times in four seconds, beside two bans.
func TestFloodOfChanges(t *testing.T) {
	l := newChanges()
	l.change(ban.KindBan, 7, 0)
	for i := range 690 {
		l.change(ban.KindRefuse, byte(i%230), time.Duration(i)*4*time.Second/690)
	}
	l.change(ban.KindBan, 8, 4*time.Second)
	if refused, bans := l.lines("msg=refuse"), l.lines("msg=ban "); refused != mostRefused || bans != 2 {
		t.Errorf("%d refusals and %d bans are logged, want %d and 2", refused, bans, mostRefused)
	}
	l.tell(l.start.Add(9 * time.Second))
	if l.lines("not logged") > 0 {
		t.Error("the number is told before the end")
	}
	l.tell(l.start.Add(11 * time.Second))
	l.tell(l.start.Add(12 * time.Second))
	l.tell(l.start.Add(11 * time.Minute))
	if l.lines("changes not logged") != 1 || l.lines("kind=refuse number=630") != 1 || l.lines("number=2 ") != mostRefused {
		t.Errorf("the number is not told once:\n%s", l.out.String()[max(0, l.out.Len()-500):])
	}
	l.change(ban.KindRefuse, 240, 12*time.Minute)
	if n := l.lines("msg=refuse"); n != mostRefused+1 {
		t.Errorf("%d refusals are logged after the flood", n)
	}
}

// TestRepeatedRefusals has a trusted host refused every seven seconds for three days, as the guard
// itself is by an access list of the event socket that leaves it out, and again a day later.
func TestRepeatedRefusals(t *testing.T) {
	l := newChanges()
	const every, whole = 7 * time.Second, 3 * 24 * time.Hour
	for after := time.Duration(0); after < whole; after += every {
		l.change(ban.KindRefuse, 1, after)
		l.tell(l.start.Add(after + every/2))
	}
	if first, sums := l.lines("msg=refuse "), l.lines(`msg="refusals not logged`); first != 1 || sums < 7 || sums > 12 {
		t.Errorf("%d lines and %d sums:\n%s", first, sums, l.out.String())
	}
	l.change(ban.KindRefuse, 2, whole)
	l.tell(l.start.Add(whole + 24*time.Hour)) // ends the stretch in which there were some
	l.tell(l.start.Add(whole + 50*time.Hour)) // and one without
	l.change(ban.KindRefuse, 1, whole+51*time.Hour)
	if n := l.lines("msg=refuse "); n != 3 {
		t.Errorf("%d refusals are logged, want another target's and the first of a new series", n)
	}
}
