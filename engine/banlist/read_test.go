package banlist

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
)

// written reads a list and writes its entries in one line each, for comparison.
func written(body, format string) (string, error) {
	var all []string
	err := Read([]byte(body), format, func(e Entry) error {
		text := e.Place() + ": " + e.Target.String()
		switch {
		case errors.Is(e.Err, ErrNoBan):
			text += " not banned"
		case e.Err != nil:
			text = e.Place() + ": wrong " + e.Text
		case !e.Expires.IsZero():
			text += " until " + e.Expires.UTC().Format(time.RFC3339Nano)
		case e.Term != 0:
			text += " for " + e.Term.String()
		}
		if e.Reason != "" {
			text += " (" + e.Reason + ")"
		}
		all = append(all, text)
		return nil
	})
	return strings.Join(all, "; "), err
}

// targets reads a list and lists the targets of its entries; ? stands for a bad one.
func targets(body, format string) (string, error) {
	var all []string
	err := Read([]byte(body), format, func(e Entry) error {
		switch {
		case e.Err == nil:
			all = append(all, e.Target.String())
		case !errors.Is(e.Err, ErrNoBan):
			all = append(all, "?")
		}
		return nil
	})
	return strings.Join(all, " "), err
}

func TestTargets(t *testing.T) {
	for _, test := range []struct{ name, format, body, want string }{
		{"plain", "", "# head\n; head\n\n203.0.113.7\r\n 198.51.100.0/24 ; SBL1\n2001:db8::1,comment\n192.0.2.1#x\n::ffff:192.0.2.2\n192.0.2.77/28\t9\n", "203.0.113.7 198.51.100.0/24 2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.64/28"},
		{"ranges", "", "203.0.113.7\n192.0.2.1-192.0.2.9\n192.0.2.3 - 192.0.2.9\n010.0.0.1\n", "203.0.113.7 ? ? ?"},
		{"no ports, zones or brackets", "", "fe80::1%eth0\n203.0.113.7:5060\n[2001:db8::1]\n203.0.113.7\n", "? ? ? 203.0.113.7"},
		{"byte order mark, last line without end", "", "\xef\xbb\xbf203.0.113.7", "203.0.113.7"},
		{"only comments", "", "# empty\n", ""},
		{"empty", "", "", ""},
		{"csv", "", "id,Expires At,IP,Reason\n1,10m,203.0.113.7,\"a, b\"\n2,,198.51.100.0/24,\n3,soon,203.0.113.8,x\n4,,203.0.113.9\n", "203.0.113.7 198.51.100.0/24 ? 203.0.113.9"},
		{"csv with one column", "", "Address\n203.0.113.7\n", "203.0.113.7"},
		{"csv without a header", CSV, "203.0.113.7,x\n203.0.113.8,y\n", "203.0.113.7 203.0.113.8"},
		{"plain, with a remark that is a column's name", "", "203.0.113.7,network\n203.0.113.8,network\n", "203.0.113.7 203.0.113.8"},
		{"quotation marks", "", "ip,reason\n203.0.113.7,\"open\n203.0.113.8,x\n\"203.0.113.9", "203.0.113.7 203.0.113.8 203.0.113.9"},
		{"texts", "", `["203.0.113.7", "198.51.100.0/24", "x", null, "2001:db8::1"]`, "203.0.113.7 198.51.100.0/24 ? ? 2001:db8::1"},
		{"objects", "", `[{"ip":"203.0.113.7","ttl":600},{"address":"203.0.113.8"},{"network":"198.51.100.0/24","ttl":"x"},{"ip":7},{"ip":"203.0.113.9","expiresAt":null}]`, "203.0.113.7 203.0.113.8 ? ? 203.0.113.9"},
		{"map", "", `{"203.0.113.7":{"ip":"203.0.113.7","reason":"r","expiresAt":"2026-05-04T10:00:00Z","permanent":false},"198.51.100.0/24":null,"203.0.113.8":"why"}`, "203.0.113.7 198.51.100.0/24 203.0.113.8"},
		{"map with a mistake", "", `{"203.0.113.300":{},"203.0.113.7":{},"next":null}`, "203.0.113.7 ?"},
		{"member", "", `{"count":1,"bans":[{"ip":"203.0.113.7"}],"next":""}`, "203.0.113.7"},
		{"member of members", "", `{"data":{"results":{"list":{"items":["203.0.113.7"]}}}}`, "203.0.113.7"},
		{"member with a map", "", `{"blacklist":{"203.0.113.7":{}}}`, "203.0.113.7"},
		{"decisions", "", `{"new":[{"duration":"3h","origin":"cscli","scenario":"s","scope":"Ip","type":"ban","value":"203.0.113.7"},{"type":"captcha","value":"203.0.113.8"},{"type":"ban","value":"203.0.113.9","simulated":true}],"deleted":[{"type":"ban","value":"203.0.113.10"}]}`, "203.0.113.7"},
		{"no decisions", "", `{"new":null,"deleted":null}`, ""},
		{"empty array", "", `[]`, ""},
		{"empty object", "", ` {} `, ""},
		{"Spamhaus DROP", "", "{\"cidr\":\"1.10.16.0/20\",\"sblid\":\"SBL256894\",\"rir\":\"apnic\"}\n{\"cidr\":\"2a06:e480::/29\",\"sblid\":\"SBL301771\",\"rir\":\"ripencc\"}\n{\"type\":\"metadata\",\"timestamp\":1785000000,\"size\":99,\"records\":2,\"copyright\":\"(c) 2026\",\"terms\":\"https://www.spamhaus.org/drop/terms/\"}\n", "1.10.16.0/20 2a06:e480::/29"},
		{"Spamhaus DROP, empty", "", `{"type":"metadata","timestamp":1785000000,"records":0}`, ""},
		{"JSON lines with a mistake", "", "{\"ip\":\"203.0.113.7\"}\n{\"note\":1}\n{\"ip\":\"203.0.113.8\"}\n", "203.0.113.7 ? 203.0.113.8"},
		{"cscli", "", `[{"id":3,"capacity":0,"decisions":[{"duration":"3h59m2s","id":1,"origin":"cscli","scenario":"manual","scope":"Ip","simulated":false,"type":"ban","value":"203.0.113.7"},{"duration":"1h","scope":"Range","type":"captcha","value":"198.51.100.0/24"}],"events":[],"source":{"ip":"203.0.113.9","scope":"Ip","value":"203.0.113.9"}},{"id":4,"decisions":null,"source":{"value":"203.0.113.10"}},{"id":5,"decisions":[{"duration":"-2h","scope":"Ip","type":"ban","value":"203.0.113.11"},{"duration":"1h","scope":"Country","type":"ban","value":"XX"},7]}]`, "203.0.113.7 203.0.113.11 ? ?"},
		{"saved page", "", `{"ipaddress":["203.0.113.7"],"ID":"1698425647"}`, "203.0.113.7"},
	} {
		if got, err := targets(test.body, test.format); err != nil || got != test.want {
			t.Errorf("%s: %s, %v; want %s", test.name, got, err, test.want)
		}
	}
}

func TestEntries(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"plain", "# a list\n203.0.113.7\n\n 2001:db8::1/64 ; a host\nno\r\n192.0.2.3 - 192.0.2.9\n",
			"line 2: 203.0.113.7; line 4: 2001:db8::/64; line 5: wrong no; line 6: wrong 192.0.2.3 - 192.0.2.9"},
		{"CSV", "ip,ttl,reason\n203.0.113.7,1h,\"a, b\"\n203.0.113.8,60,\n203.0.113.9,permanent,x\n203.0.113.10,soon,x\n203.0.113.11\n",
			"line 2: 203.0.113.7 for 1h (a, b); line 3: 203.0.113.8 for 1m; line 4: 203.0.113.9 for permanent (x); line 5: wrong 203.0.113.10 (x); line 6: 203.0.113.11"},
		{"CSV with ends", "reason,Expires,IP,ttl\nx,2026-05-04T10:00:00Z,203.0.113.7,1h\n,permanent,203.0.113.8\n,tomorrow,203.0.113.9\n,,203.0.113.10,2h\n",
			"line 2: 203.0.113.7 until 2026-05-04T10:00:00Z (x); line 3: 203.0.113.8 for permanent; line 4: wrong 203.0.113.9; line 5: 203.0.113.10 for 2h"},
		{"JSON", ` ["203.0.113.7", {"ip":"203.0.113.8","ttl":60,"reason":"x"}, {"ip":"203.0.113.9","ttl":"7d"}, 5, null, {"ttl":1}]`,
			"entry 1: 203.0.113.7; entry 2: 203.0.113.8 for 1m (x); entry 3: 203.0.113.9 for 7d; entry 4: wrong ; entry 5: wrong ; entry 6: wrong "},
		{"map", `{"203.0.113.7":{"ip":"203.0.113.7","expiresAt":"2026-05-04T10:00:00.5Z","permanent":false},"203.0.113.8":{"permanent":true,"expiresAt":null},"203.0.113.9":"why"}`,
			"entry 1: 203.0.113.7 until 2026-05-04T10:00:00.5Z; entry 2: 203.0.113.8 for permanent; entry 3: 203.0.113.9 (why)"},
		{"page", `{"bans":[{"ip":"203.0.113.7"}],"next":null}`, "entry 1: 203.0.113.7"},
		{"one after the other", "{\"ip\":\"203.0.113.7\"}\n{\"ip\":\"203.0.113.8\",\"ttl\":null}\n", "entry 1: 203.0.113.7; entry 2: 203.0.113.8"},
		{"members of other types", `[{"ip":5},{"ip":"203.0.113.7","reason":["a"]},{"ip":"203.0.113.8","ttl":{}}]`,
			`entry 1: wrong 5; entry 2: 203.0.113.7 (["a"]); entry 3: wrong 203.0.113.8`},
		{"reasons", `[{"ip":"203.0.113.7","reason":" bad\u001b[31m\nman "},{"value":"203.0.113.8","scenario":"s"}]`,
			"entry 1: 203.0.113.7 (bad[31m man); entry 2: 203.0.113.8 (s)"},
		{"no ban", `[{"type":"captcha","value":"203.0.113.8"},{"ip":"203.0.113.9","expires_at":1777890600}]`,
			"entry 1: 203.0.113.8 not banned; entry 2: 203.0.113.9 until 2026-05-04T10:30:00Z"},
	} {
		if got, err := written(c.text, ""); err != nil || got != c.want {
			t.Errorf("%s:\n%s, %v; want\n%s", c.name, got, err, c.want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, test := range []struct{ body, want string }{
		{"<!DOCTYPE html><html>203.0.113.7</html>", errHTML.Error()},
		{" \n<html>\n", errHTML.Error()},
		{`{"error":"unauthorized"}`, errNoList.Error()},
		{`{"items":["203.0.113.1"],"next":"abc"}`, errPaged.Error()},
		{`{"bans":[],"next":"203.0.113.7"}`, errPaged.Error()},
		{`[`, "not JSON, or not all of it"},
		{`{"a":`, "not JSON, or not all of it"},
		{`["203.0.113.1"`, "not JSON, or not all of it"},
		{`["203.0.113.1",]`, "not JSON"},
		{`["203.0.113.1"] x`, errTrailing.Error()},
		{`["203.0.113.1"]["203.0.113.2"]`, errTrailing.Error()},
		{`{"ip":"203.0.113.1"} x`, "not JSON from byte"},
		{strings.Repeat("[", 20000), "not JSON"},
		{strings.Repeat(`{"data":`, 5) + `["203.0.113.1"]` + strings.Repeat("}", 5), errNested.Error()},
	} {
		if got, err := targets(test.body, ""); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%.40q: %s, %v; want %q", test.body, got, err, test.want)
		}
	}
	if err := Read(nil, "hcl", nil); err == nil {
		t.Error("an unknown format is read")
	}
	stop := errors.New("enough")
	for _, body := range []string{"203.0.113.1\n203.0.113.2\n", "ip\n203.0.113.1\n203.0.113.2\n", `["203.0.113.1","203.0.113.2"]`, `{"203.0.113.1":{},"203.0.113.2":{}}`} {
		n := 0
		if err := Read([]byte(body), "", func(Entry) error { n++; return stop }); err != stop || n != 1 {
			t.Errorf("%q: %v after %d entries", body, err, n)
		}
	}
}

func TestEnds(t *testing.T) {
	now := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "permanent": time.Duration(ban.Permanent), "10m": 10 * time.Minute, "3h59m50.123456789s": 4*time.Hour - 10*time.Second + 123456789,
		"600": 10 * time.Minute, "1.5": 1500 * time.Millisecond, "-5s": -5 * time.Second, "-5": -5 * time.Second, "0": 0,
		"2026-05-04T10:30:00Z": 30 * time.Minute, "2026-05-04T12:30:00+02:00": 30 * time.Minute, "1777890600": 30 * time.Minute,
	} {
		var e Entry
		if err := e.setEnd(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		got := time.Duration(e.Term)
		if !e.Expires.IsZero() {
			got = e.Expires.Sub(now)
		}
		if got != want {
			t.Errorf("%q ends after %s, want %s", text, got, want)
		}
	}
	for _, bad := range []string{"soon", "1h x", "99999999999999999", "2026-13-01T00:00:00Z", "{}", "NaN", "Inf", "-Inf", "1e30", "x"} {
		var e Entry
		if err := e.setEnd(bad); err == nil {
			t.Errorf("%q is accepted: %s, %s", bad, e.Term, e.Expires)
		}
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
			if err != nil || strings.Contains(tail, "-") || tail == "x" {
				want = append(want, "?")
			} else {
				want = append(want, strings.TrimSuffix(strings.TrimSuffix(p.String(), "/32"), "/128"))
			}
		}
		if got, err := targets(body.String(), Plain); err != nil || got != strings.Join(want, " ") {
			t.Fatalf("seed %d: %q gives %v, %v; want %v", seed, body.String(), got, err, want)
		}
	}
}
