package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
)

func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

// spelled writes entries in one line each, for comparison.
func spelled(entries []listed) string {
	var all []string
	for _, e := range entries {
		text := e.place + ": " + ban.FormatTarget(e.target)
		switch {
		case e.err != nil:
			text = e.place + ": wrong " + e.text
		case !e.ends.IsZero():
			text += " until " + utc(e.ends)
		case e.term != 0:
			text += " for " + e.term.String()
		}
		if e.reason != "" {
			text += " (" + e.reason + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

func TestReadListing(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"nothing", "l", "", ""},
		{"plain", "l", "# a list\n203.0.113.7\n\n 2001:db8::1/64 ; a host\nno\r\n203.0.113.8,x\n",
			"line 2: 203.0.113.7; line 4: 2001:db8::/64; line 5: wrong no; line 6: wrong 203.0.113.8,x"},
		{"byte order mark", "l", "\ufeff203.0.113.7", "line 1: 203.0.113.7"},
		{"IPv4 in IPv6", "l", "::ffff:203.0.113.7", "line 1: 203.0.113.7"},
		{"CSV", "l", "ip,ttl,reason\n203.0.113.7,1h,\"a, b\"\n203.0.113.8,60,\n203.0.113.9,permanent,x\n203.0.113.10,soon,x\n203.0.113.11\n",
			"line 2: 203.0.113.7 for 1h (a, b); line 3: 203.0.113.8 for 1m; line 4: 203.0.113.9 for permanent (x); line 5: wrong 203.0.113.10 (x); line 6: 203.0.113.11"},
		{"CSV by its name", "l.csv", "Address\n203.0.113.7\n", "line 2: 203.0.113.7"},
		{"CSV with ends", "l", "reason,Expires,IP\nx,2026-05-04T10:00:00Z,203.0.113.7\n,permanent,203.0.113.8\n,tomorrow,203.0.113.9\n",
			"line 2: 203.0.113.7 until 2026-05-04T10:00:00.000000Z (x); line 3: 203.0.113.8 for permanent; line 4: wrong 203.0.113.9"},
		{"JSON", "l", ` ["203.0.113.7", {"ip":"203.0.113.8","ttl":60,"reason":"x"}, {"ip":"203.0.113.9","ttl":"7d"}, 5, null, {"ttl":1}]`,
			"entry 1: 203.0.113.7; entry 2: 203.0.113.8 for 1m (x); entry 3: 203.0.113.9 for 7d; entry 4: wrong ; entry 5: wrong ; entry 6: wrong "},
		{"the daemon's map", "l", `{"203.0.113.7":{"ip":"203.0.113.7","expiresAt":"2026-05-04T10:00:00Z","permanent":false},"203.0.113.8":{"permanent":true,"expiresAt":null},"203.0.113.9":"why"}`,
			"entry 1: 203.0.113.7 until 2026-05-04T10:00:00.000000Z; entry 2: 203.0.113.8 for permanent; entry 3: 203.0.113.9 (why)"},
		{"the daemon's page", "l", `{"bans":[{"ip":"203.0.113.7"}],"next":null}`, "entry 1: 203.0.113.7"},
		{"one after the other", "l", "{\"ip\":\"203.0.113.7\"}\n{\"ip\":\"203.0.113.8\",\"ttl\":null}\n", "entry 1: 203.0.113.7; entry 2: 203.0.113.8"},
		{"members of other types", "l", `[{"ip":5},{"ip":"203.0.113.7","reason":[]},{"ip":"203.0.113.8","ttl":{}}]`,
			"entry 1: wrong ; entry 2: wrong 203.0.113.7; entry 3: wrong 203.0.113.8"},
	} {
		entries, err := readListing(c.file, "", c.text)
		if got := spelled(entries); err != nil || got != c.want {
			t.Errorf("%s:\n%s, %v; want\n%s", c.name, got, err, c.want)
		}
	}
	for _, bad := range []string{`[`, `{"bans":[],"next":"203.0.113.7"}`, `["203.0.113.7"] x`, "ip,ttl\n\"203.0.113.7", `{"a":`} {
		if entries, err := readListing("l", "", bad); err == nil {
			t.Errorf("%q is read: %s", bad, spelled(entries))
		}
	}
}

func TestParseTerm(t *testing.T) {
	for in, want := range map[string]string{
		"60": "1m", "1.5": "1s500ms", "10m": "10m", "permanent": "permanent",
		"0": "", "-5": "", "NaN": "", "Inf": "", "1e30": "", "0.5": "", "": "", "x": "",
	} {
		got, err := parseTerm(in)
		if err != nil && want == "" {
			continue
		}
		if err != nil || got.String() != want {
			t.Errorf("%q: %s, %v; want %q", in, got, err, want)
		}
	}
}

// FuzzReadListing reads any file in any format. What comes of it can be sent: an
// entry has a target or says what is wrong.
func FuzzReadListing(f *testing.F) {
	for _, format := range []string{"", "plain", "csv", "json"} {
		f.Add(format, "203.0.113.7\n2001:db8::/64 # x\n")
		f.Add(format, "ip,expires,reason\n203.0.113.7,2026-05-04T10:00:00Z,\"a\"\"b\"\n")
		f.Add(format, `{"203.0.113.7":{"ttl":"1h","permanent":false},"bans":[]}`)
		f.Add(format, `[{"ip":"203.0.113.7","ttl":1e300},"x",null,[[]],{}]`)
	}
	f.Fuzz(func(t *testing.T, format, text string) {
		entries, err := readListing("list", format, text)
		if err != nil {
			return
		}
		i := &imported{}
		items, from := i.requests(entries, moment("2026-05-04T10:00:00Z"))
		if len(items) != len(from) || len(items)+i.Over+len(i.Refused) != len(entries) {
			t.Errorf("%d entries: %d requests, %d over, %d refused", len(entries), len(items), i.Over, len(i.Refused))
		}
		for n, item := range items {
			if !from[n].target.IsValid() || item.IP == "" {
				t.Errorf("a request without a target: %+v", item)
			}
		}
		if err := printObject(io.Discard, items); err != nil {
			t.Errorf("cannot be sent: %v", err)
		}
	})
}

// TestRequests gives each entry its own length, and the flags' where it has none.
func TestRequests(t *testing.T) {
	entries, err := readListing("l", "csv", "ip,ttl,expires\n203.0.113.1,,2026-05-04T10:00:00.5Z\n203.0.113.2,,2026-05-04T11:00:00.25Z\n203.0.113.3,1m,\n203.0.113.4,,\n203.0.113.5,,permanent\n")
	if err != nil {
		t.Fatal(err)
	}
	i := &imported{ttl: []byte(`"7d"`), reason: "feed"}
	items, _ := i.requests(entries, moment("2026-05-04T10:00:00Z"))
	var got []string
	for _, item := range items {
		got = append(got, fmt.Sprintf("%s %s %s", item.IP, item.TTL, item.Reason))
	}
	want := `[203.0.113.2 3600.250000 feed 203.0.113.3 60.000000 feed 203.0.113.4 "7d" feed 203.0.113.5 "permanent" feed]`
	if fmt.Sprint(got) != want || i.Over != 1 {
		t.Errorf("%v, %d over; want %s", got, i.Over, want)
	}
}
