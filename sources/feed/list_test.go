package feed

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"freeswitch-security/engine/event"
)

func TestRead(t *testing.T) {
	for _, test := range []struct {
		name, format, body, want string
		unreadable, wide         int
	}{
		{name: "plain", body: "# head\n; head\n\n203.0.113.7\r\n 198.51.100.0/24 ; SBL1\n2001:db8::1,comment\n192.0.2.1#x\n::ffff:192.0.2.2\n192.0.2.77/28\t9\n", want: "203.0.113.7 198.51.100.0/24 2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.64/28"},
		{name: "twice", body: "203.0.113.7\n::ffff:203.0.113.7\n203.0.113.7/32 again\n", want: "203.0.113.7"},
		{name: "unreadable", body: "203.0.113.7\n192.0.2.1-192.0.2.9\n192.0.2.3 - 192.0.2.9\n203.0.113.8\n203.0.113.9\n010.0.0.1\n", want: "203.0.113.7 203.0.113.8 203.0.113.9", unreadable: 3},
		{name: "no ports, zones or brackets", body: "fe80::1%eth0\n203.0.113.7:5060\n[2001:db8::1]\n203.0.113.7\n203.0.113.8\n203.0.113.9\n", want: "203.0.113.7 203.0.113.8 203.0.113.9", unreadable: 3},
		{name: "wide", body: "0.0.0.0/0\n10.0.0.0/15\n10.0.0.0/16\n::/0\n2001:db8::/31\n2001:db8::/32\n::ffff:0.0.0.0/96\n", want: "10.0.0.0/16 2001:db8::/32", wide: 5},
		{name: "byte order mark, last line without end", body: "\xef\xbb\xbf203.0.113.7", want: "203.0.113.7"},
		{name: "nothing", body: "# nobody\n", want: ""},
		{name: "empty", body: "", want: ""},
		{name: "csv", body: "id,Expires At,IP,Reason\n1,10m,203.0.113.7,\"a, b\"\n2,,198.51.100.0/24,\n3,soon,203.0.113.8,x\n4,,203.0.113.9\n", want: "203.0.113.7 198.51.100.0/24 203.0.113.9", unreadable: 1},
		{name: "csv without a header", format: "csv", body: "203.0.113.7,x\n203.0.113.8,y\n", want: "203.0.113.7 203.0.113.8"},
		{name: "plain, with a remark that is a column's name", body: "203.0.113.7,network\n203.0.113.8,network\n", want: "203.0.113.7 203.0.113.8"},
		{name: "quotation marks", body: "ip,reason\n203.0.113.7,\"open\n203.0.113.8,x\n", want: "203.0.113.7 203.0.113.8"},
		{name: "texts", body: `["203.0.113.7", "198.51.100.0/24", "nobody", null, "2001:db8::1"]`, want: "203.0.113.7 198.51.100.0/24 2001:db8::1", unreadable: 2},
		{name: "objects", body: `[{"ip":"203.0.113.7","ttl":600},{"address":"203.0.113.8"},{"network":"198.51.100.0/24","ttl":"x"},{"ip":7},{"ip":"203.0.113.9","expiresAt":null}]`, want: "203.0.113.7 203.0.113.8 203.0.113.9", unreadable: 2},
		{name: "map", body: `{"203.0.113.7":{"ip":"203.0.113.7","reason":"r","expiresAt":"2026-05-04T10:00:00Z","permanent":false},"198.51.100.0/24":null,"203.0.113.8":"why"}`, want: "203.0.113.7 198.51.100.0/24 203.0.113.8"},
		{name: "member", body: `{"count":1,"bans":[{"ip":"203.0.113.7"}],"next":""}`, want: "203.0.113.7"},
		{name: "member of members", body: `{"data":{"results":{"list":{"items":["203.0.113.7"]}}}}`, want: "203.0.113.7"},
		{name: "member with a map", body: `{"blacklist":{"203.0.113.7":{}}}`, want: "203.0.113.7"},
		{name: "decisions", body: `{"new":[{"duration":"3h","origin":"cscli","scenario":"s","scope":"Ip","type":"ban","value":"203.0.113.7"},{"type":"captcha","value":"203.0.113.8"},{"type":"ban","value":"203.0.113.9","simulated":true}],"deleted":[{"type":"ban","value":"203.0.113.10"}]}`, want: "203.0.113.7"},
		{name: "no decisions", body: `{"new":null,"deleted":null}`, want: ""},
		{name: "empty array", body: `[]`, want: ""},
		{name: "empty object", body: ` {} `, want: ""},
		{name: "saved page", body: `{"ipaddress":["203.0.113.7"],"ID":"1698425647"}`, want: "203.0.113.7"},
	} {
		l, err := read([]byte(test.body), test.format, defaultBounds())
		if got := strings.Join(l.targets(), " "); err != nil || got != test.want || l.unreadable != test.unreadable || l.wide != test.wide {
			t.Errorf("%s: %s, %v, %d unreadable, %d too wide; want %s", test.name, got, err, l.unreadable, l.wide, test.want)
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
		{"<!DOCTYPE html><html>203.0.113.7</html>", "the answer is a web page, not a list", defaultBounds()},
		{" \n<html>\n", "the answer is a web page, not a list", defaultBounds()},
		{"Not found\n203.0.113.7\nsorry\n", "2 of 3 entries are no address, the first is number 1", defaultBounds()},
		{`["a","b","203.0.113.7"]`, "2 of 3 entries are no address, the first is number 1", defaultBounds()},
		{numbered("203.0.113.1", 3), "more than 2 entries (max_entries)", few},
		{"203.0.113.1\n203.0.113.2\n203.0.113.1\n203.0.113.2\n0.0.0.0/0\n", "<nil>", few},
		{`{"error":"unauthorized"}`, "an object that holds no list", defaultBounds()},
		{`{"items":["203.0.113.1"],"next":"abc"}`, errPaged.Error(), defaultBounds()},
		{`["203.0.113.1"`, "not JSON, or not all of it", defaultBounds()},
		{`["203.0.113.1",]`, "not JSON", defaultBounds()},
		{`["203.0.113.1"] x`, "there is something behind the list's end", defaultBounds()},
		{`["203.0.113.1"]["203.0.113.2"]`, "there is something behind the list's end", defaultBounds()},
		{strings.Repeat("[", 20000), "not JSON", defaultBounds()},
		{strings.Repeat(`{"data":`, 5) + `["203.0.113.1"]` + strings.Repeat("}", 5), errNested.Error(), defaultBounds()},
	} {
		_, err := read([]byte(test.body), "", test.bounds)
		got := fmt.Sprint(err)
		if !strings.HasPrefix(got, test.want) {
			t.Errorf("%.40q: %v; want %q", test.body, err, test.want)
		}
	}
}

func TestEntriesOfTheList(t *testing.T) {
	body := `[{"ip":"203.0.113.7","ttl":"10m","reason":" bad\u001b[31m\nman "},
		{"ip":"203.0.113.8","expiresAt":"2026-05-04T10:00:00Z"},{"ip":"203.0.113.9","permanent":true},{"value":"203.0.113.10","duration":"-3s"}]`
	l, err := read([]byte(body), "", defaultBounds())
	if err != nil || len(l.entries) != 4 {
		t.Fatal(l, err)
	}
	if e := l.entries[0]; e.ttl != 10*time.Minute || e.reason != "bad[31m man" {
		t.Errorf("%+v", e)
	}
	if e := l.entries[1]; !e.expires.Equal(time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", e)
	}
	if e := l.entries[2]; e.ttl < 99*365*24*time.Hour {
		t.Errorf("%+v", e)
	}
	if e := l.entries[3]; e.ttl != -3*time.Second {
		t.Errorf("%+v", e)
	}
}

// TestPlainAgreesWithModel holds the reader against one that is too simple to be
// wrong.
func TestPlainAgreesWithModel(t *testing.T) {
	const seed = 7
	random := rand.New(rand.NewPCG(seed, 1))
	words := []string{"203.0.113.7", "203.0.113.8", "2001:db8::1", "198.51.100.0/24", "10.0.0.0/8", "x", "203.0.113.300", "::ffff:192.0.2.1", "", "#", ";"}
	tails := []string{"", " ", ",a", ";b", "#c", "\td", " - 203.0.113.9", "-203.0.113.9", "x", "\r"}
	for range 2000 {
		var body strings.Builder
		var want []string
		unreadable := 0
		for range random.IntN(12) {
			word, tail := words[random.IntN(len(words))], tails[random.IntN(len(tails))]
			body.WriteString(word + tail + "\n")
			line := strings.TrimSpace(word + tail)
			if line == "" || line[0] == '#' || line[0] == ';' {
				continue
			}
			p, err := netip.ParsePrefix(word)
			if a, bad := netip.ParseAddr(word); bad == nil {
				p, err = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
			}
			readable := !strings.Contains(tail, "-") && tail != "x"
			text := strings.TrimSuffix(strings.TrimSuffix(p.String(), "/32"), "/128")
			switch {
			case err != nil || !readable:
				unreadable++
			case p.Bits() >= 16 && !slices.Contains(want, text):
				want = append(want, text)
			}
		}
		l := newList(defaultBounds())
		if err := l.readPlain(body.String()); err != nil || !slices.Equal(l.targets(), want) || l.unreadable != unreadable {
			t.Fatalf("seed %d: %q gives %v, %d unreadable, %v; want %v, %d", seed, body.String(), l.targets(), l.unreadable, err, want, unreadable)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"plain.txt", "table.csv", "blacklist.json", "decisions.json", "apiban.json", "export.json", "export.csv", "page.html"} {
		body, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		for _, format := range []string{"", formatPlain, formatCSV, formatJSON} {
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
			t.Fatal("a list was believed that is mostly unreadable")
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
		if err == nil && !isCursor(next) || len(l.entries) > 20 {
			t.Fatalf("%q, %d entries", next, len(l.entries))
		}
	})
}

func BenchmarkReadPlain(b *testing.B) {
	body := []byte(numbered("20.0.0.0", 100_000))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if l, err := read(body, "", defaultBounds()); err != nil || len(l.entries) != 100_000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadJSON(b *testing.B) {
	var text strings.Builder
	text.WriteString("{")
	for i, address := range strings.Fields(numbered("20.0.0.0", 100_000)) {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `"%s":{"ip":"%s","reason":"password guessing","expiresAt":"2026-05-04T10:00:00Z","permanent":false}`, address, address)
	}
	text.WriteString("}")
	body := []byte(text.String())
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if l, err := read(body, "", defaultBounds()); err != nil || len(l.entries) != 100_000 {
			b.Fatal(err)
		}
	}
}
