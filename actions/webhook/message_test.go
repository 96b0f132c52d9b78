package webhook

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"freeswitch-security/engine/ban"

	"github.com/google/go-cmp/cmp"
)

// start is the beginning of the tests.
var start = time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)

// change is the n-th change of a test: an address is banned for an hour.
func change(n int, kind ban.Kind) ban.Change {
	addr := netip.AddrFrom4([4]byte{203, 0, byte(n >> 8), byte(n)})
	return ban.Change{Kind: kind, Seq: uint64(n), At: start, Ban: ban.Ban{
		Target: ban.Address(addr), Rule: "password guessing", Source: "esl.pbx", Author: ban.ByRule,
		Reason: "5 × auth_failure within 10m", Key: addr.String(), Start: start, Until: start.Add(time.Hour), Term: ban.Term(time.Hour), Offence: 1,
		Evidence: []ban.Evidence{{
			Time: start, Event: "auth_failure", Source: "esl.pbx", IP: addr, User: "1000", Domain: "pbx",
			Text: "SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@pbx] from ip " + addr.String(),
		}},
	}}
}

func TestDefaultForm(t *testing.T) {
	c := change(7, ban.KindUnban)
	c.Why = "unbanned by alice"
	m := Message{ID: "0f", Action: "webhook.noc", Host: "pbx1", SentAt: start, Lost: 2, Notifications: []ban.Change{notification(41, c)}}
	body, err := (&form{contentType: typeJSON}).render(&m)
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	// The change of the engine, with the number of the notification.
	text := strings.Replace(string(want), `"seq":7,"kind":"unban"`, `"seq":41,"kind":"unban"`, 1)
	text = `{"id":"0f","action":"webhook.noc","host":"pbx1","sentAt":"2026-11-23T04:05:06Z","lost":2,"notifications":[` + text + `]}`
	if diff := cmp.Diff(text, string(body)); diff != "" {
		t.Error(diff)
	}
}

func TestNotificationOfEachKind(t *testing.T) {
	for _, test := range []struct {
		name               string
		change             ban.Change
		term, target, time string
	}{
		{"ban", change(7, ban.KindBan), "1h", "203.0.0.7", "04:05:06"},
		{"permanent", ban.Change{Kind: ban.KindBan, At: start, Ban: ban.Ban{Target: ban.Network(netip.MustParsePrefix("2001:db8::/64")), Start: start}}, "permanent", "2001:db8::/64", "04:05:06"},
		{"alert without an address", ban.Change{Kind: ban.KindAlert, At: start}, "", "", "04:05:06"},
		{"a time beyond JSON", ban.Change{Kind: ban.KindAlert, At: time.Unix(1<<40, 0)}, "", "", "00:00:00"},
	} {
		c := notification(1, test.change)
		if term(c) != test.term || c.Target.String() != test.target || c.At.Format(time.TimeOnly) != test.time {
			t.Errorf("%s: term %q, target %s, at %v", test.name, term(c), c.Target, c.At)
		}
		if _, err := json.Marshal(c); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestSubject(t *testing.T) {
	for want, b := range map[string]ban.Ban{
		"203.0.0.7":            {Target: change(7, "").Target, Key: "203.0.0.7"},
		"203.0.0.7 (1000@pbx)": {Target: change(7, "").Target, Key: "1000@pbx"},
		"1000@pbx":             {Key: "1000@pbx"},
		"2001:db8::/64":        {Target: ban.Network(netip.MustParsePrefix("2001:db8::/64"))},
		"":                     {},
	} {
		if got := subject(ban.Change{Ban: b}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	c := change(7, ban.KindBan)
	for len(c.Ban.Evidence) < 100 {
		c.Ban.Evidence = append(c.Ban.Evidence, ban.Evidence{Time: start, Text: strings.Repeat("ä", 4096)})
	}
	c.Ban.Evidence[99].User = "the last"
	n := notification(1, c)
	if len(n.Evidence) != maxEvidence || latest(n).User != "the last" || n.Evidence[0].Text != strings.Repeat("ä", maxText/2) {
		t.Errorf("%d events, the first with %d bytes", len(n.Evidence), len(n.Evidence[0].Text))
	}
}

func TestEscapes(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{slack("<!channel> & <https://x|y> `a`\n@here"), "&lt;!channel&gt; &amp; &lt;https://x|y&gt; 'a' @\u200bhere"},
		{markdown("[a](https://b) *c* @everyone <@1>"), `\[a\]\(https:` + "\u200b" + `//b\) \*c\* @` + "\u200b" + `everyone \<@` + "\u200b" + `1\>`},
		{plain("a\r\n\x1b[31mb\u202ec\x00\xff"), "a  \uFFFD[31mb\uFFFDc\uFFFD\uFFFD"},
		{truncate(3, "abc"), "abc"}, {truncate(3, "abcd"), "ab…"}, {truncate(3, "äöüß"), "äö…"}, {truncate(1, "ab"), "…"}, {truncate(0, "ab"), ""},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

// FuzzNotification demands that any text becomes valid JSON in the default form and in
// templates, is bounded, and can be read back.
func FuzzNotification(f *testing.F) {
	f.Add("1000", "pbx", "\"}\n\x1b[0m<!channel>", int64(0))
	f.Add("\xff\xfe", strings.Repeat("ä", 600), "\u2028\x00", int64(1)<<60)
	chat, err := newForm(`{"a": {{json (index .Notifications 0).Reason}}, "b": [{{range $i, $n := .Notifications}}{{if $i}}, {{end}}{{(latest $n).Text | slack | truncate 99 | json}}{{end}}], `+
		`"c": {{with index .Notifications 0}}{{truncate 99 .Key | markdown | json}}{{end}}}`, typeJSON, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, user, domain, said string, at int64) {
		c := change(7, ban.KindBan)
		c.At, c.Ban.Reason, c.Ban.Key = time.Unix(at, 0), said, user+"@"+domain
		c.Ban.Evidence = append(c.Ban.Evidence, ban.Evidence{Time: c.At, User: user, Domain: domain, Text: said})
		n := notification(1, c)
		out, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		var back ban.Change
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(n, back, cmp.Comparer(func(a, b ban.Target) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
		if len(n.Reason) > maxText+utf8.UTFMax*3 && utf8.ValidString(said) {
			t.Errorf("%d bytes", len(n.Reason))
		}
		m := Message{ID: "x", SentAt: start, Notifications: []ban.Change{n}}
		if _, err := chat.render(&m); err != nil {
			t.Error(err)
		}
		for _, s := range []string{slack(said), markdown(said), plain(said)} {
			if strings.ContainsAny(s, "\n\r\x1b\x00") || strings.Contains(s, "@everyone") && s != plain(said) {
				t.Errorf("%q", s)
			}
		}
		if strings.ContainsAny(slack(said), "<>") {
			t.Errorf("%q", slack(said))
		}
	})
}
