package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/status"

	"golang.org/x/net/html"
)

// A watchman is a guard with what a test gives it.
type watchman struct {
	ledger   *ban.Ledger
	status   status.Status
	trackers []status.Tracker
	series   []history.Series
	tops     []history.Top
	caller   Caller
	masked   bool
	asked    atomic.Int64 // calls of Status
}

func (w *watchman) Status(context.Context) (*status.Status, error) {
	w.asked.Add(1)
	s := w.status
	s.Stats.ActiveBans = w.ledger.Size()
	return &s, nil
}
func (w *watchman) Ledger() *ban.Ledger                          { return w.ledger }
func (w *watchman) Trusted(ban.Target) *status.Trusted           { return nil }
func (w *watchman) Kernel(context.Context, bool) (Kernel, error) { return w, nil }
func (w *watchman) Ban(b *ban.Ban) status.Ban {
	packets, applied := uint64(1234567), true
	return status.Ban{Ban: *b, Permanent: b.Until.IsZero(), Packets: &packets, Bytes: &packets, Applied: &applied}
}
func (w *watchman) Trackers(context.Context, int) ([]status.Tracker, error) {
	return slices.Clone(w.trackers), nil
}
func (w *watchman) History(_ context.Context, from, to time.Time) (*history.Span, error) {
	span := &history.Span{From: from, To: to, Step: 900, Tops: w.tops}
	for _, one := range w.series {
		one.Values = one.Values[max(0, len(one.Values)-int(to.Sub(from)/(15*time.Minute))):]
		span.Series = append(span.Series, one)
	}
	return span, nil
}
func (w *watchman) Masked() bool                { return w.masked }
func (w *watchman) Caller(*http.Request) Caller { return w.caller }
func (w *watchman) Change(_ *http.Request, a Action, form url.Values) (status.Done, error) {
	return status.Done{Message: string(a) + " " + form.Get("ip")}, nil
}
func (w *watchman) Login(*http.Request, string) (*http.Cookie, error) { return nil, errors.New("no") }
func (w *watchman) Logout(*http.Request) *http.Cookie                 { return &http.Cookie{Name: "x"} }

func newWatchman() *watchman {
	return &watchman{ledger: ban.NewLedger(ban.NewTrust(nil)), status: status.Status{Version: "1.2.3"}}
}

var start = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)

func (w *watchman) ban(t testing.TB, o ban.Order) {
	t.Helper()
	if len(o.Terms) == 0 {
		o.Terms = []ban.Term{ban.Permanent}
	}
	if o.At.IsZero() {
		o.At = start
	}
	if c := w.ledger.Enter(o, o.At); !c.InForce() {
		t.Fatal(c.Why)
	}
}

// get asks for a page and returns the answer.
func get(t testing.TB, p *Page, path string) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	for pattern, h := range p.Routes() {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := h(w, r); err != nil {
				t.Error(err)
			}
		})
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

// strict parses a page and fails where the policy would, or where the structure is not that of ours.
func strict(t *testing.T, text string) (visible string) {
	t.Helper()
	allowed := strings.Fields("html head meta title link script body a header b nav div form button main section h1 h2 h3 ol ul li p span bdi dl dt dd time label input select option " +
		"table caption thead tbody tr th td progress noscript code br dialog figure figcaption svg title desc g rect line text details summary small")
	z := html.NewTokenizer(strings.NewReader(text))
	var b strings.Builder
	for {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			b.Write(z.Text())
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			if !slices.Contains(allowed, token.Data) {
				t.Errorf("a tag that is not ours: %s", token)
			}
			for _, a := range token.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s", token)
				}
				if token.Data == "script" && a.Key == "src" && !strings.HasPrefix(a.Val, "/page.js?") || (a.Key == "href" || a.Key == "action") && !strings.HasPrefix(a.Val, "/") && a.Val != "#main" {
					t.Errorf("%s", token)
				}
			}
			if token.Data == "script" && z.Next() == html.TextToken {
				t.Errorf("an inline script: %s", z.Text())
			}
		}
	}
}

// hostile are texts as an attacker may write them.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'onmouseover='alert(1)`, `javascript:alert(1)`, "\u202egnp.exe\u2066", "a\x00\x1b[2J\r\n\xff",
	`{{.}}`, `</title><script>x</script>`, `</noscript><script>x</script>`, strings.Repeat("A", 8192), strings.Repeat("\u202e", 3000), "&lt;b&gt;", "]]>-->",
}

// TestHostile: what an attacker wrote is text on every page, bounded, and changes no direction.
func TestHostile(t *testing.T) {
	for _, bad := range hostile {
		w := newWatchman()
		w.status = status.Status{
			Severity: status.Critical, Version: "1", Problems: []status.Problem{{Severity: status.Critical, Subject: "source " + bad, Text: bad}},
			Rules: []status.Rule{{Name: bad, Where: bad, LastError: bad, Errors: 1}}, Sources: []status.Source{{Name: bad, Fault: bad}},
			Actions: []status.Action{{Name: bad, Error: bad, Drift: status.Drift{Count: 1, Notes: []string{bad}}}}, Fleet: &status.Fleet{Node: bad},
		}
		w.trackers = []status.Tracker{{Rule: bad, Source: bad, Key: bad, Then: bad, Count: 1, Limit: 2, Last: start}, {Key: "203.0.113.7," + bad, Limit: 2, Last: start}}
		w.series = []history.Series{{Name: history.Name{Kind: history.KindEvent, Name: bad}, Values: []uint64{1, 2}}, {Name: history.Name{Kind: "ban", Name: bad}, Values: []uint64{1, 2}}}
		w.tops = []history.Top{{By: "agents", Items: []history.Count{{Name: bad, Count: 2}}}, {By: "networks", Items: []history.Count{{Name: bad, Count: 2}}}}
		account, err := ban.ParseAccount("u"+strings.Map(func(r rune) rune {
			if r <= ' ' || r == '@' {
				return -1
			}
			return r
		}, bad[:min(len(bad), 60)]), "pbx.example")
		target := ban.Network(netip.MustParsePrefix("203.0.113.7/32"))
		w.ledger.SetKinds([]ban.TargetKind{ban.TargetAccount})
		w.ban(t, ban.Order{Target: target, Rule: bad, Author: ban.ByRule, Reason: bad, Key: bad, Source: bad, Evidence: []ban.Evidence{{Time: start, Event: bad, Source: bad, User: bad, Domain: bad, Text: bad}}})
		if err == nil {
			w.ban(t, ban.Order{Target: account, Author: bad, Reason: bad})
		}
		limit, more := 64_000, 0
		if len(bad) > 3000 { // the page is full
			limit, more = 350_000, 2*perPage
		}
		for i := range more {
			w.ban(t, ban.Order{Target: ban.Address(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})), Rule: bad, Author: ban.ByRule, Reason: bad})
			w.trackers = append(w.trackers, status.Tracker{Rule: bad, Source: bad, Key: fmt.Sprint(i, bad), Then: bad, Count: 1, Limit: 2, Last: start})
			w.series = append(w.series, history.Series{Name: history.Name{Kind: history.KindEvent, Name: fmt.Sprint(i, bad)[:64]}, Values: slices.Repeat([]uint64{1}, 96)})
			for top := range w.tops {
				w.tops[top].Items = append(w.tops[top].Items, history.Count{Name: fmt.Sprint(i, bad), Count: 2})
			}
		}
		p := New(w)
		for _, path := range []string{"/", "/?q=" + url.QueryEscape(bad), "/?sort=" + url.QueryEscape(bad) + "&page=9&dir=" + url.QueryEscape(bad), "/ban/203.0.113.7", "/ban/" + url.PathEscape(account.String()), "/ban/" + url.PathEscape(bad), "/login?next=" + url.QueryEscape(bad)} {
			text := get(t, p, path).Body.String()
			strict(t, text)
			if strings.ContainsAny(text, "\u202e\u2066\x00\x1b") {
				t.Errorf("%q: %.20q changes what is seen", path, bad)
			}
			if len(text) > limit {
				t.Errorf("%.30q: %.20q makes a page of %d bytes", path, bad, len(text))
			}
		}
	}
}

// TestCharts: they show the shortest time with all that happened in the last day.
func TestCharts(t *testing.T) {
	t.Parallel()
	for before, want := range map[int]string{0: "last day", 30: "last day", 90: "last 6 hours", 92: "last hour", 95: "last 15 minutes"} {
		w := newWatchman()
		values := make([]uint64, 96) // of a quarter of an hour each
		values[before] = 7
		w.series = []history.Series{{Name: history.Name{Kind: history.KindEvent, Name: "call"}, Values: values}}
		if text := get(t, New(w), "/").Body.String(); !strings.Contains(text, "Events in the "+want+" ") {
			t.Errorf("%d quarters before: not of the %s", 96-before, want)
		}
	}
}

// TestClose leaves out of the keys close to a ban those that are banned already.
func TestClose(t *testing.T) {
	w := newWatchman()
	w.ban(t, ban.Order{Target: ban.Network(netip.MustParsePrefix("198.51.100.0/24")), Author: "x"})
	w.trackers = []status.Tracker{{Key: "198.51.100.7", Limit: 5}, {Key: "192.0.2.7", Limit: 5}, {Key: "1000@pbx", Limit: 5}}
	keys, err := (&Page{guard: w}).close(t.Context())
	if err != nil || len(keys) != 2 || keys[0].Key != "192.0.2.7" || keys[1].Key != "1000@pbx" {
		t.Errorf("%v %v", keys, err)
	}
}

// TestHeaders: every page has the policy.
func TestHeaders(t *testing.T) {
	p := New(newWatchman())
	for path, code := range map[string]int{"/": 200, "/ban/203.0.113.7": 200, "/ban/x": 400, "/login": 200} {
		w := get(t, p, path)
		if w.Code != code || w.Header().Get("Content-Security-Policy") != Policy || w.Header().Get("Referrer-Policy") != "same-origin" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	for _, unsafe := range []string{"unsafe", "*", "http:", "data:", "blob:"} {
		if strings.Contains(Policy, unsafe) {
			t.Errorf("the policy allows %s", unsafe)
		}
	}
}

// TestWords says in words whether the guard sees, decides and bans.
func TestWords(t *testing.T) {
	for _, c := range []struct {
		problems []status.Problem
		want     string
	}{
		{nil, "No problems|ok ok ok"},
		{[]status.Problem{{Severity: status.Info, Subject: "source a", Text: "x"}}, "No problems|ok ok ok"},
		{[]status.Problem{{Severity: status.Critical, Subject: "source a", Text: "x"}}, "Attacks are not seen|critical ok ok"},
		{[]status.Problem{{Severity: status.Critical, Subject: "action b", Text: "x"}, {Severity: status.Warning, Subject: "rules", Text: "y"}}, "Bans are not enforced|ok warning critical"},
		{[]status.Problem{{Severity: status.Critical, Subject: "sources", Text: "x"}, {Severity: status.Critical, Subject: "kernel", Text: "y"}}, "Attacks are not seen, bans are not enforced|critical ok critical"},
		{[]status.Problem{{Severity: status.Warning, Subject: "dry run", Text: "x"}}, "Degraded|ok ok warning"},
		{[]status.Problem{{Severity: status.Warning, Subject: "state", Text: "x"}}, "Degraded|ok warning ok"},
		{[]status.Problem{{Severity: status.Critical, Subject: "action b", Text: "x"}, {Severity: status.Warning, Subject: "action email.noc", Text: "y"}}, "Bans are not enforced|ok ok critical warning"},
	} {
		s := status.Status{Problems: c.problems, Severity: status.Worst(c.problems)}
		if strings.Contains(c.want, "ok ok critical warning") {
			s.Actions = []status.Action{{Name: "b"}, {Name: "email.noc", Report: status.Report{Delivery: &status.Delivery{}}}}
		}
		f := front{Status: &s, Steps: stepsOf(&s)}
		var severities []string
		for _, one := range f.Steps {
			severities = append(severities, string(one.Severity))
		}
		got := f.Verdict() + "|" + strings.Join(severities, " ")
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.problems, got, c.want)
		}
	}
}

// TestShared: pages that are open at the same time ask the guard once a second, and show a change at once.
func TestShared(t *testing.T) {
	w := newWatchman()
	p := New(w)
	for range 200 {
		get(t, p, "/")
	}
	if n := w.asked.Load(); n > 3 {
		t.Errorf("asked %d times", n)
	}
	w.ban(t, ban.Order{Target: ban.Network(netip.MustParsePrefix("203.0.113.7/32")), Author: "api x"})
	p.Outdate()
	if text := get(t, p, "/").Body.String(); !strings.Contains(text, "203.0.113.7") {
		t.Error("a change is not shown")
	}
	w.caller.Viewer = true
	if text := get(t, p, "/").Body.String(); strings.Contains(text, "data-open") || strings.Contains(text, "<form method=\"post\"") {
		t.Error("a viewer is shown what an operator is")
	}
}

// TestFind searches, sorts and pages.
func TestFind(t *testing.T) {
	w := newWatchman()
	w.ledger.SetKinds([]ban.TargetKind{ban.TargetAccount})
	for i := range 120 {
		o := ban.Order{Target: ban.Network(netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 32)), Rule: "Guessing", Author: ban.ByRule, Reason: "5 in 10m", At: start.Add(time.Duration(i) * time.Second), Terms: []ban.Term{ban.Term(time.Duration(200-i) * time.Hour)}}
		if i%2 == 0 {
			o.Rule, o.Author, o.Reason = "", "api alice", "Scanner of the NOC"
		}
		w.ban(t, o)
	}
	w.ban(t, ban.Order{Target: ban.Network(netip.MustParsePrefix("198.51.100.0/24")), Author: "api bob"})
	w.ban(t, ban.Order{Target: ban.Account("1007", "pbx.example"), Author: "api bob"})
	var x index
	for _, c := range []struct {
		query, first, last string
		found              int
	}{
		{"", "203.0.113.119", "203.0.113.70", 122},
		{"page=3", "203.0.113.19", "198.51.100.0/24", 122},
		{"page=99", "203.0.113.19", "198.51.100.0/24", 122},
		{"sort=target", "198.51.100.0/24", "203.0.113.48", 122},
		{"sort=target&dir=desc", "1007@pbx.example", "203.0.113.71", 122},
		{"sort=until", "203.0.113.119", "203.0.113.70", 122},
		{"sort=until&dir=desc", "1007@pbx.example", "203.0.113.47", 122},
		{"sort=since", "198.51.100.0/24", "203.0.113.47", 122},
		{"q=198.51.100.77", "198.51.100.0/24", "198.51.100.0/24", 1},
		{"q=203.0.113.0/30&sort=target", "203.0.113.0", "203.0.113.3", 4},
		{"q=203.0.113.7:5060/udp", "203.0.113.7", "203.0.113.7", 1},
		{"q=113.11&sort=target", "203.0.113.11", "203.0.113.119", 11},
		{"q=guessING", "203.0.113.119", "203.0.113.21", 60},
		{"q=scanner+of", "203.0.113.118", "203.0.113.20", 60},
		{"q=1007@PBX", "1007@pbx.example", "1007@pbx.example", 1},
		{"q=nothing+like+it", "", "", 0},
	} {
		v, _ := url.ParseQuery(c.query)
		q := queryOf(v)
		page, found, all := x.look(w.ledger).find(&q)
		first, last := "", ""
		if len(page) > 0 {
			first, last = page[0].String(), page[len(page)-1].String()
		}
		if first != c.first || last != c.last || found != c.found || all != 122 {
			t.Errorf("%q: %s to %s, %d of %d", c.query, first, last, found, all)
		}
	}
	if text := get(t, New(w), "/?q=guess&sort=until&dir=desc").Body.String(); !strings.Contains(text, `href="/?dir=desc&amp;page=2&amp;q=guess&amp;sort=until#bans"`) || !strings.Contains(text, `aria-sort="descending"`) {
		t.Error("the links of the table lose the search or the order")
	}
}

// TestTable: a step of the search is answered with the table alone, as it is in the page.
func TestTable(t *testing.T) {
	w := newWatchman()
	w.ban(t, ban.Order{Target: ban.Network(netip.MustParsePrefix("203.0.113.7/32")), Author: "api x"})
	p := New(w)
	page, table := get(t, p, "/?q=203.0.113").Body.String(), get(t, p, "/?q=203.0.113&only=bans").Body.String()
	if !strings.HasPrefix(table, `<div id="bans-table"`) || !strings.Contains(table, "203.0.113.7") || !strings.Contains(page, table) || w.asked.Load() != 1 {
		t.Errorf("asked %d times: %s", w.asked.Load(), table)
	}
	if strings.Contains(page, "only=") {
		t.Error("a link of the page leads to the table")
	}
}

// TestSnapshot: while another snapshot is read, the one before is shown, unless a change was made here.
func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatchman()
		var x index
		shown := func() int {
			_, _, all := x.look(w.ledger).find(&Query{Sort: "since"})
			return all
		}
		for i, c := range []struct {
			after time.Duration
			want  int // of i bans
		}{{0, 0}, {0, 0}, {time.Second, 0}, {0, 2}, {tooOld, 4}} {
			time.Sleep(c.after)
			if got := shown(); got != c.want {
				t.Errorf("look %d: %d bans, want %d", i, got, c.want)
			}
			synctest.Wait()
			w.ban(t, ban.Order{Target: ban.Network(netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 32)), Author: "api x"})
		}
		if x.outdate(); shown() != 5 {
			t.Error("a change is not shown")
		}
	})
}

// TestMasked shows no number and no account in full, on any page.
func TestMasked(t *testing.T) {
	w := newWatchman()
	w.masked = true
	w.ledger.SetKinds([]ban.TargetKind{ban.TargetAccount})
	w.trackers = []status.Tracker{{Rule: "r", Key: "1007@pbx.example", Limit: 5}, {Rule: "r", Key: "203.0.113.7,+4930123456789", Limit: 5}, {Rule: "r", Key: "192.0.2.7,+4930123456789", Limit: 5}}
	evidence := []ban.Evidence{{Time: start, Event: "call", Source: "log.a", User: "1007", Domain: "pbx.example", Text: "INVITE +4930123456789 of 1007@pbx.example"}}
	w.ban(t, ban.Order{Target: ban.Network(netip.MustParsePrefix("203.0.113.7/32")), Rule: "calls", Author: ban.ByRule, Reason: "40 calls, per to_user +4930123456789", Key: "203.0.113.7,+4930123456789", Evidence: evidence})
	w.ban(t, ban.Order{Target: ban.Account("1007", "pbx.example"), Rule: "calls", Author: ban.ByRule, Reason: "40 calls, per user 1007@pbx.example", Key: "1007@pbx.example", Evidence: evidence})
	p := New(w)
	for path, want := range map[string]string{"/": "192.0.2.7,&#43;4930********9", "/ban/203.0.113.7": "4930********9", "/ban/1007@pbx.example": "<h1 id=\"subject-title\"><bdi>1**7@pbx.example"} {
		text := get(t, p, path).Body.String()
		visible := strict(t, regexp.MustCompile("(?s)<noscript>.*?</noscript>").ReplaceAllString(text, "")) // forms need the account
		if strings.Contains(visible, "1007@") || strings.Contains(text, "123456") || !strings.Contains(text, "1**7@pbx.example") || !strings.Contains(text, want) {
			t.Errorf("%s: %s", path, visible)
		}
	}
	w.caller.Viewer = true
	for _, path := range []string{"/", "/ban/203.0.113.7"} { // no link, either
		if text := get(t, p, path).Body.String(); strings.Contains(text, "1007") || !strings.Contains(text, "1**7@pbx.example") {
			t.Errorf("the viewer sees in %s: %s", path, text)
		}
	}
	for _, viewer := range []bool{true, false} { // a search tells the viewer no digits
		w.caller.Viewer = viewer
		for _, part := range []string{"1007", "123456"} {
			if table := get(t, p, "/?only=bans&q="+part).Body.String(); strings.Contains(table, "<tbody>") == viewer {
				t.Errorf("viewer %t finds by %s: %s", viewer, part, table)
			}
		}
	}
}

// TestLatest: the feed begins with the latest bans, masked, also without JavaScript. An update has none of them.
func TestLatest(t *testing.T) {
	w := newWatchman()
	w.ledger.SetKinds([]ban.TargetKind{ban.TargetAccount})
	p, feed := New(w), regexp.MustCompile(`(?s)<ol id="live-feed".*?</ol>`)
	if text := get(t, p, "/").Body.String(); !strings.Contains(text, `id="live-empty"`) {
		t.Error("an empty feed does not say so")
	}
	now := time.Now()
	for i := range 2 * mostLatest {
		w.ban(t, ban.Order{Target: ban.Network(netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 32)), Rule: "Guessing", Author: ban.ByRule, Reason: hostile[i%len(hostile)], At: start.Add(time.Duration(i) * time.Second)})
	}
	w.ban(t, ban.Order{Target: ban.Account("1007", "pbx.example"), Author: "api bob", Reason: "calls +4930123456789", At: now})
	w.masked = true
	p.Outdate()
	text := feed.FindString(get(t, p, "/").Body.String())
	strict(t, text)
	first, second := strings.Index(text, "1**7@pbx.example"), strings.Index(text, "203.0.113.39")
	if strings.Count(text, "<li>") != mostLatest || first < 0 || second < first || strings.Contains(text, "1007") || strings.Contains(text, "123456") {
		t.Error(text)
	}
	for _, want := range []string{`href="/ban/203.0.113.39"`, "api bob", ">4 May</time>", now.UTC().Format(">15:04:05</time>")} {
		if !strings.Contains(text, want) {
			t.Errorf("the feed lacks %q", want)
		}
	}
	if text := feed.FindString(get(t, p, "/?live=1").Body.String()); strings.Contains(text, "<li>") {
		t.Error("an update has the latest bans, too")
	}
}

// TestEvidence groups the evidence and shows the ladder.
func TestEvidence(t *testing.T) {
	w := newWatchman()
	w.status.Rules = []status.Rule{{Name: "guessing", Terms: []ban.Term{ban.Term(10 * time.Minute), ban.Term(time.Hour), ban.Permanent}}}
	var evidence []ban.Evidence
	for i, user := range []string{"1000", "1000", "1001", "1000"} {
		evidence = append(evidence, ban.Evidence{Time: start.Add(time.Duration(i) * time.Second), Event: "auth_failure", Source: "log.a", User: user, Domain: "pbx", Text: fmt.Sprintf("line %d", i)})
	}
	groups := grouped(evidence)
	if len(groups) != 2 || len(groups[0].Items) != 3 || groups[0].Account != "1000@pbx" || !groups[0].Last.Equal(start.Add(3*time.Second)) || len(groups[1].Items) != 1 {
		t.Errorf("%+v", groups)
	}
	w.ban(t, ban.Order{Target: ban.Network(netip.MustParsePrefix("203.0.113.7/32")), Rule: "guessing", Author: ban.ByRule, Offence: 2, Terms: []ban.Term{ban.Term(time.Hour)}, Evidence: evidence})
	text := get(t, New(w), "/ban/203.0.113.7").Body.String()
	for _, want := range []string{`aria-current="step">1h<`, "3 × <bdi>auth_failure</bdi>", "line 3", "1,234,567 packets"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for offence, want := range map[int]int{1: 0, 2: 1, 3: 2, 9: 2} {
		rungs := ladder(&ban.Ban{Rule: "guessing", Offence: offence}, w.status.Rules)
		if i := slices.IndexFunc(rungs, func(r rung) bool { return r.Here }); i != want {
			t.Errorf("offence %d: rung %d", offence, i)
		}
	}
}
