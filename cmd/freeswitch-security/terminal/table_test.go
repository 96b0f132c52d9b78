package terminal

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
)

func TestCut(t *testing.T) {
	for _, c := range []struct {
		line    string
		columns int
		want    string
	}{
		{"abc", 0, "abc"}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"äöü", 3, "äöü"}, {"äöüß", 3, "äö…"}, {"", 1, ""}, {"ab", 1, "…"},
		{"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"e\u0301e\u0301", 2, "e\u0301e\u0301"},
	} {
		if got := Cut(c.line, c.columns); got != c.want {
			t.Errorf("%q cut at %d is %q, want %q", c.line, c.columns, got, c.want)
		}
	}
}

// TestColumns: rows end at 80 columns and are aligned, whatever is in the cells. The first cell is whole.
func TestColumns(t *testing.T) {
	table := NewTable("TARGET", "RULE", "UNTIL", "OFFENCE", "PACKETS", "REASON")
	for _, row := range [][2]string{
		{"2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", "calls at once to one number that pays"},
		{"2001:db8:7:8000::/49", "日本からの攻撃、夜間の国際電話、日本からの攻撃"}, {"203.0.113.7", "ra\u0308tsel"}, {"198.51.100.200", "\x1b[2J"},
	} {
		table.Row(row[0], row[1], "in 9m59s", "1", "12", "dialled 0097259123456789; 3 in 10m, per ip "+row[0])
	}
	for _, columns := range []int{80, 0} {
		var out strings.Builder
		if err := table.PrintIn(&out, columns, false); err != nil {
			t.Fatal(err)
		}
		at := 0
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			target, _, _ := strings.Cut(line, " ")
			if n := Columns(line); columns > 0 && n > columns || strings.Contains(target, "…") || strings.Contains(line, "\x1b") {
				t.Errorf("%d columns: %s", n, line)
			}
			before, _, found := strings.Cut(line, map[bool]string{true: "UNTIL", false: "in 9m"}[at == 0])
			if n := Columns(before); !found || at != 0 && n != at {
				t.Errorf("not aligned at %d but at %d:\n%s", at, n, out.String())
			} else {
				at = n
			}
		}
	}
}

// TestChangesAlign: a long rule or target widens the column for what follows.
func TestChangesAlign(t *testing.T) {
	var out strings.Builder
	show, long := Changes(&out), aChange()
	long.Rule, long.Target = "calls at once to one number that pays", ban.Address(netip.MustParseAddr("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"))
	for _, c := range []*ban.Change{long, aChange(), long} {
		if err := show(c); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(out.String(), "\n")
	for _, line := range lines[1:4] {
		if i := strings.Index(line, "20 in 12h"); i != strings.Index(lines[1], "20 in 12h") {
			t.Errorf("not aligned:\n%s", out.String())
		}
	}
}

func TestAbout(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 1500 * time.Millisecond: "1s", 90 * time.Second: "1m30s", 3*time.Hour + 59*time.Second: "3h",
		75*time.Hour + time.Minute: "3d3h", 200*24*time.Hour + 5*time.Hour: "200d",
	} {
		if got := About(d); got != want {
			t.Errorf("%s is %s, want %s", d, got, want)
		}
	}
}

// aChange is a ban for as many failures as a change has evidence at most.
func aChange() *ban.Change {
	at := time.Date(2026, 3, 1, 23, 15, 0, 341855000, time.UTC)
	ip := netip.MustParseAddr("203.0.113.7")
	c := &ban.Change{Seq: 7, Kind: ban.KindBan, At: at, Ban: ban.Ban{
		Target: ban.Address(ip), Rule: "slow password guessing", Source: "log.freeswitch", Author: ban.ByRule, Key: "203.0.113.7",
		Reason: "20 in 12h, per ip 203.0.113.7", Offence: 1, Term: ban.Term(time.Hour), Start: at, Until: at.Add(time.Hour),
	}}
	for range 20 {
		c.Evidence = append(c.Evidence, ban.Evidence{
			Time: at, Event: "auth_failure", Source: "log.freeswitch", IP: ip, User: "1000", Domain: "10.77.0.10",
			Text: "2026-03-01 23:15:00.341855 20.03% [WARNING] sofia_reg.c:1787 SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@10.77.0.10] from ip 203.0.113.7",
		})
	}
	return c
}
