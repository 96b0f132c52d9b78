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
	m := Message{ID: "0f", Action: "webhook.noc", Host: "pbx1", SentAt: start, Lost: 2, Notices: []Notice{toNotice(41, &c)}}
	body, err := (&form{contentType: typeJSON}).render(&m)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"0f","action":"webhook.noc","host":"pbx1","sentAt":"2026-11-23T04:05:06Z","lost":2,"notices":[{` +
		`"seq":41,"kind":"unban","at":"2026-11-23T04:05:06Z","ip":"203.0.0.7","rule":"password guessing","reason":"5 × auth_failure within 10m",` +
		`"why":"unbanned by alice","key":"203.0.0.7","addedAt":"2026-11-23T04:05:06Z","expiresAt":"2026-11-23T05:05:06Z","permanent":false,` +
		`"offence":1,"author":"rule","source":"esl.pbx","evidence":[{"time":"2026-11-23T04:05:06Z","event":"auth_failure","source":"esl.pbx",` +
		`"ip":"203.0.0.7","user":"1000","domain":"pbx","text":"SIP auth failure (REGISTER) on sofia profile 'internal' for [1000@pbx] from ip 203.0.0.7"}]}]}`
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Error(diff)
	}
}

func TestNoticeOfEachKind(t *testing.T) {
	for _, test := range []struct {
		name            string
		change          ban.Change
		term, ip, added string
		permanent       bool
	}{
		{"ban", change(7, ban.KindBan), "1h", "203.0.0.7", "04:05:06", false},
		{"permanent", ban.Change{Kind: ban.KindBan, At: start, Ban: ban.Ban{Target: ban.Network(netip.MustParsePrefix("2001:db8::/64")), Start: start}}, "permanent", "2001:db8::/64", "04:05:06", true},
		{"alert without an address", ban.Change{Kind: ban.KindAlert, At: start}, "", "", "04:05:06", false},
		{"a time beyond JSON", ban.Change{Kind: ban.KindAlert, At: time.Unix(1<<40, 0)}, "", "", "00:00:00", false},
	} {
		n := toNotice(1, &test.change)
		if n.Term() != test.term || n.IP != test.ip || n.Permanent != test.permanent || n.AddedAt.Format(time.TimeOnly) != test.added {
			t.Errorf("%s: term %q, ip %q, added %v, permanent %v", test.name, n.Term(), n.IP, n.AddedAt, n.Permanent)
		}
		if _, err := json.Marshal(n); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestWhom(t *testing.T) {
	for want, n := range map[string]Notice{
		"203.0.113.7":            {IP: "203.0.113.7", Key: "203.0.113.7"},
		"203.0.113.7 (1000@pbx)": {IP: "203.0.113.7", Key: "1000@pbx"},
		"1000@pbx":               {Key: "1000@pbx"},
		"2001:db8::/64":          {IP: "2001:db8::/64"},
		"":                       {},
	} {
		if got := n.Whom(); got != want {
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
	n := toNotice(1, &c)
	if len(n.Evidence) != maxEvidence || n.Latest().User != "the last" || n.Evidence[0].Text != strings.Repeat("ä", maxText/2) {
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

// FuzzNotice demands that any text becomes valid JSON in the default form and in
// templates, is bounded, and can be read back.
func FuzzNotice(f *testing.F) {
	f.Add("1000", "pbx", "\"}\n\x1b[0m<!channel>", int64(0))
	f.Add("\xff\xfe", strings.Repeat("ä", 600), "\u2028\x00", int64(1)<<60)
	chat, err := newForm(`{"a": {{json (index .Notices 0).Reason}}, "b": [{{range $i, $n := .Notices}}{{if $i}}, {{end}}{{$n.Latest.Text | slack | truncate 99 | json}}{{end}}], `+
		`"c": {{with index .Notices 0}}{{truncate 99 .Key | markdown | json}}{{end}}}`, typeJSON, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, user, domain, said string, at int64) {
		c := change(7, ban.KindBan)
		c.At, c.Ban.Reason, c.Ban.Key = time.Unix(at, 0), said, user+"@"+domain
		c.Ban.Evidence = append(c.Ban.Evidence, ban.Evidence{Time: c.At, User: user, Domain: domain, Text: said})
		n := toNotice(1, &c)
		out, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		var back Notice
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(n, back); diff != "" {
			t.Error(diff)
		}
		if len(n.Reason) > maxText+utf8.UTFMax*3 && utf8.ValidString(said) {
			t.Errorf("%d bytes", len(n.Reason))
		}
		m := Message{ID: "x", SentAt: start, Notices: []Notice{n}}
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
