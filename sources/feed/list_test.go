package feed

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"unicode"

	"freeswitch-security/engine/banlist"
	"freeswitch-security/engine/event"
)

func TestRead(t *testing.T) {
	for _, test := range []struct {
		name, body, want        string
		lines, unreadable, wide int
	}{
		{name: "nothing", body: "# empty\n"},
		{name: "twice", body: "203.0.113.7\n::ffff:203.0.113.7\n203.0.113.7/32 again\n", want: "203.0.113.7", lines: 3},
		{name: "unreadable", body: "203.0.113.7\nx\n203.0.113.8\n", want: "203.0.113.7 203.0.113.8", lines: 3, unreadable: 1},
		{name: "wide", body: "0.0.0.0/0\n10.0.0.0/15\n10.0.0.0/16\n::/0\n2001:db8::/31\n2001:db8::/32\n::ffff:0.0.0.0/96\n", want: "10.0.0.0/16 2001:db8::/32", lines: 7, wide: 5},
		{name: "bans of another node's feed", body: `[{"ip":"203.0.113.7","author":"feed apiban"},{"ip":"203.0.113.8","author":"rule"}]`, want: "203.0.113.8", lines: 2},
		{name: "no bans", body: `{"new":[{"type":"captcha","value":"203.0.113.7"},{"type":"ban","value":"203.0.113.8"}]}`, want: "203.0.113.8", lines: 2},
	} {
		l, err := read([]byte(test.body), "", defaultBounds())
		if got := strings.Join(l.named(), " "); err != nil || got != test.want || l.lines != test.lines || l.unreadable != test.unreadable || l.wide != test.wide {
			t.Errorf("%s: %s, %v, %d lines, %d unreadable, %d too wide; want %s", test.name, got, err, l.lines, l.unreadable, l.wide, test.want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	few := defaultBounds()
	few.entries = 2
	for _, test := range []struct {
		body, want string
		bounds     bounds
	}{
		{"Not found\n203.0.113.7\nsorry\n", "2 of 3 entries are no address, the first is number 1", defaultBounds()},
		{`["a","b","203.0.113.7"]`, "2 of 3 entries are no address, the first is number 1", defaultBounds()},
		{numbered("203.0.113.1", 3), "more than 2 entries (max_entries)", few},
		{"203.0.113.1\n203.0.113.2\n203.0.113.1\n203.0.113.2\n0.0.0.0/0\n", "<nil>", few},
	} {
		_, err := read([]byte(test.body), "", test.bounds)
		if fmt.Sprint(err) != test.want {
			t.Errorf("%.40q: %v; want %q", test.body, err, test.want)
		}
	}
}

// FuzzRead reads any list: what is taken of it is within the bounds.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"plain.txt", "table.csv", "blacklist.json", "decisions.json", "apiban.json", "export.json", "export.csv", "page.html"} {
		body, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		for _, format := range []string{"", banlist.Plain, banlist.CSV, banlist.JSON} {
			f.Add(body, format)
		}
	}
	b := bounds{entries: 20, bits: 16, bits6: 32}
	f.Fuzz(func(t *testing.T, body []byte, format string) {
		l, err := read(body, format, b)
		seen := map[netip.Prefix]bool{}
		for _, e := range l.entries {
			a := e.target.Addr()
			least := b.bits
			if a.Is6() {
				least = b.bits6
			}
			if !e.target.IsValid() || e.target != e.target.Masked() || a.Is4In6() || a.Zone() != "" || e.target.Bits() < least || seen[e.target] {
				t.Fatalf("%v is no target", e.target)
			}
			seen[e.target] = true
			if len(e.reason) > event.MaxField || strings.ContainsFunc(e.reason, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%q is no reason", e.reason)
			}
		}
		if len(l.entries) > b.entries || l.lines < len(l.entries)+l.unreadable+l.wide {
			t.Fatalf("%d entries of %d, %d unreadable, %d wide", len(l.entries), l.lines, l.unreadable, l.wide)
		}
		if err == nil && l.unreadable > l.lines/2 {
			t.Fatal("a list is accepted that is mostly unreadable")
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Fatalf("%q", err)
		}
	})
}

func FuzzPage(f *testing.F) {
	f.Add(200, []byte(`{"ipaddress":["203.0.113.7"],"ID":"1698425647"}`))
	f.Add(400, []byte(`{"ipaddress":["no new bans"],"ID":"none"}`))
	f.Add(429, []byte(`{"ipaddress":"rate limit exceeded","ID":"unauthorized"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		l := newList(bounds{entries: 20, bits: 16, bits6: 32})
		next, err := readPage(status, body, l)
		if err == nil && !isToken(next) || len(l.entries) > 20 {
			t.Fatalf("%q, %d entries", next, len(l.entries))
		}
	})
}
