package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/page"
)

const viewerToken = "fedcba9876543210fedcba9876543210"

func withBoth(o *Options, lim *limits) { o.Token, o.ViewerToken, lim.guesses = token, viewerToken, 100 }

// submit sends a form as a browser does.
func (l *lab) submit(path string, form url.Values, header ...string) *http.Response {
	l.t.Helper()
	r := request("POST", path, form.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded", "Origin", "http://127.0.0.1:8080"}, header...)...)
	w := httptest.NewRecorder()
	l.server.ServeHTTP(w, r)
	answer := w.Result()
	if answer.StatusCode != http.StatusSeeOther { // the contract cannot say it
		l.conforms(r, w.Result())
	}
	return answer
}

// TestPage shows the page of the engine, and takes changes by forms of the page alone.
func TestPage(t *testing.T) {
	l := newLab(t, nil)
	l.attack()
	l.want(200, "203.0.113.1", "GET", "/", "")
	l.want(200, "4 of 5", "GET", "/", "")
	l.want(200, "Nothing found", "GET", "/?q=198.51.100.1", "")
}

// TestTrackersAreShared: the page of one target leaves what other pages show of the others.
func TestTrackersAreShared(t *testing.T) {
	l := newLab(t, nil)
	l.attack()
	for i := range 3 {
		l.want(200, "Not banned", "GET", fmt.Sprintf("/ban/198.51.100.%d", i), "")
		l.want(200, "4 of 5", "GET", fmt.Sprintf("/?page=%d", i), "")
	}
}

// TestForms: a change by a form reaches the ledger, is logged with its author, and needs a page of ours.
func TestForms(t *testing.T) {
	l := newLab(t, nil)
	form := url.Values{"ip": {"203.0.113.7"}, "ttl": {"1h"}, "reason": {"scanner"}}
	if code, _ := l.ask("POST", "/page/ban", form.Encode(), "Content-Type", "application/x-www-form-urlencoded"); code != 403 {
		t.Errorf("a form without an origin: %d", code)
	}
	if answer := l.submit("/page/ban", form, "Origin", "http://evil.example"); answer.StatusCode != 403 {
		t.Errorf("a form of another page: %d", answer.StatusCode)
	}
	if l.engine.Ledger().Size() != 0 {
		t.Fatal("banned all the same")
	}
	if answer := l.submit("/page/ban", form); answer.StatusCode != 200 {
		t.Fatalf("%d", answer.StatusCode)
	}
	if b, ok := l.covering("203.0.113.7"); !ok || b.Term.String() != "1h" || b.Reason != "scanner" || !strings.Contains(l.log.String(), "what=ban ip=203.0.113.7 for=1h why=scanner") {
		t.Errorf("%+v\n%s", b, l.log)
	}
	l.want(200, "203.0.113.7", "GET", "/", "")
	l.submit("/page/unban", url.Values{"ip": {"203.0.113.7"}, "grace": {"10m"}})
	if _, ok := l.covering("203.0.113.7"); ok {
		t.Error("not unbanned")
	}
	if text := l.want(200, "No ban is in force", "GET", "/", ""); strings.Contains(text, `href="/ban/203.0.113.7"`) {
		t.Error("the page shows a ban that has ended")
	}
	l.submit("/page/trust", url.Values{"ip": {"203.0.113.7"}, "ttl": {"1d"}})
	l.want(200, "Trusted as", "GET", "/ban/203.0.113.7", "")
	for path, want := range map[string]int{"/page/ban": 409, "/page/unban": 200} {
		if answer := l.submit(path, url.Values{"ip": {"203.0.113.7"}}); answer.StatusCode != want {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
	if answer := l.submit("/page/ban", url.Values{"ip": {"x y"}}); answer.StatusCode != 400 {
		t.Errorf("%d", answer.StatusCode)
	}
}

// TestViewer: the viewer's token sees everything and changes nothing, on every route.
func TestViewer(t *testing.T) {
	l := newLab(t, withBoth)
	bearer := []string{"Authorization", "Bearer " + viewerToken}
	for _, path := range []string{"/", "/security/status", "/security/blacklist", "/security/rules", "/metrics", "/ban/203.0.113.7"} {
		l.want(200, "", "GET", path, "", bearer...)
	}
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/security/blacklist", `{"ip":"203.0.113.7"}`}, {"POST", "/security/blacklist/batch", `[{"ip":"203.0.113.7"}]`},
		{"DELETE", "/security/blacklist/203.0.113.7", ""}, {"POST", "/security/whitelist", `{"ip":"203.0.113.7"}`},
		{"POST", "/security/whitelist/batch", `[{"ip":"203.0.113.7"}]`}, {"DELETE", "/security/whitelist/203.0.113.7", ""},
		{"POST", "/security/reload", ""}, {"POST", "/security/test", `{"line":"x"}`},
		{"POST", "/page/ban", "ip=203.0.113.7"}, {"POST", "/page/unban", "ip=203.0.113.7"}, {"POST", "/page/trust", "ip=203.0.113.7"},
	} {
		l.want(403, "the viewer token changes nothing", c.method, c.path, c.body, bearer...)
	}
	if l.engine.Ledger().Size() != 0 || strings.Contains(l.log.String(), "admin change") {
		t.Errorf("something has changed:\n%s", l.log)
	}
	if text := l.want(200, "read only", "GET", "/", "", bearer...); strings.Contains(text, "data-open") || strings.Contains(text, "/page/ban") {
		t.Error("the page offers a change")
	}
}

// TestMaskedViewer: with masked numbers, no operation shows the viewer an account or a number in full. One that is not known to mask them is refused.
func TestMaskedViewer(t *testing.T) {
	l := newLab(t, withBoth)
	l.history.Configure(history.Settings{Days: 90, Masked: true})
	const account, reason = "6177@pbx.example", "6177@pbx.example calls +4930123456"
	full, reader := []string{"Authorization", "Bearer " + token}, []string{"Authorization", "Bearer " + viewerToken}
	pbx := l.withAccounts()
	l.want(200, "", "POST", "/security/blacklist", `{"ip":"`+account+`","reason":"`+reason+`"}`, full...)
	l.want(200, "", "POST", "/security/whitelist", `{"ip":"6177@other.example","comment":"a dialer"}`, full...)
	alert := change(1, reason)
	alert.Kind, alert.Ban.Key = ban.KindAlert, account
	l.history.Decide(alert)
	l.courier.mu.Lock()
	l.courier.failed = "400: " + account
	l.courier.mu.Unlock()
	pbx.set(func(w *wall) { w.stuck = errors.New("flush " + account + ": refused") })
	l.want(200, "", "POST", "/security/blacklist", `{"ip":"203.0.113.7","reason":"`+reason+`"}`, full...)
	l.want(200, "flush "+account, "POST", "/security/blacklist", `{"ip":"1008@pbx.example"}`, full...)
	l.want(200, account, "GET", "/security/status", "", full...)

	want := map[string]int{"/?q=1007": 200, "/ban/203.0.113.7": 200, "/ban/1008@pbx.example": 200, "/events": 403, "/events?brief=false": 403, "/security/blacklist/203.0.113.7": 403, "/nothing": 403}
	for path, item := range contract().Paths.Map() {
		if _, known := want[path]; item.Get != nil && !known && !strings.Contains(path, "{") {
			want[path] = 0
		}
	}
	for _, path := range []string{"/", "/health", "/metrics", "/security/status", "/security/rules", "/security/sources", "/security/stats", "/security/history", "/security/incidents"} {
		want[path] = 200
	}
	for path, want := range want {
		code, text := l.ask("GET", path, "", reader...)
		if want != 0 && code != want || code >= 500 {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
		for _, private := range []string{"6177@", "4930123456"} {
			if strings.Contains(text, private) {
				t.Errorf("%s shows %s in %s", path, private, text)
			}
		}
	}
	if text := l.want(200, "", "GET", "/", "", full...); strings.Contains(text, "400: ") || !strings.Contains(text, "shows it") {
		t.Error("the page shows what an endpoint answered: " + text)
	}
	l.want(200, "", "GET", "/security/trackers", "", full...)
}

// TestLogin exchanges a token for a cookie, which holds no token and ends with it.
func TestLogin(t *testing.T) {
	l := newLab(t, withBoth)
	l.want(401, "Log in", "GET", "/", "")
	l.want(200, "Log in", "GET", "/login", "")
	l.want(200, "", "GET", "/page.css", "")
	l.want(401, "Log in", "GET", "/ban/203.0.113.7", "")
	for given, change := range map[string]int{token: 200, viewerToken: 403} {
		answer := l.submit("/login", url.Values{"token": {given}, "next": {"/ban/203.0.113.7"}})
		cookies := answer.Cookies()
		if answer.StatusCode != 303 || answer.Header.Get("Location") != "/ban/203.0.113.7" || len(cookies) != 1 {
			t.Fatalf("%d %v", answer.StatusCode, answer.Header)
		}
		c := cookies[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "/" || strings.Contains(c.Value, given) {
			t.Errorf("%+v", c)
		}
		cookie := []string{"Cookie", c.Name + "=" + c.Value}
		l.want(200, "Log out", "GET", "/", "", cookie...)
		l.want(change, "", "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`, cookie...)
		l.want(403, "other", "POST", "/security/blacklist", `{"ip":"203.0.113.8"}`, append(cookie, "Sec-Fetch-Site", "cross-site")...)
		for _, wrong := range []string{"9" + c.Value, strings.Replace(c.Value, ".", "0.", 1), c.Value[:len(c.Value)-2], "x", "1.", ".", "99999999999." + strings.Repeat("A", 43)} {
			l.want(401, "", "GET", "/security/status", "", "Cookie", c.Name+"="+wrong)
		}
		if answer := l.submit("/logout", nil, cookie...); answer.StatusCode != 303 || answer.Cookies()[0].MaxAge >= 0 {
			t.Errorf("%d %v", answer.StatusCode, answer.Header)
		}
	}
	for origin, secure := range map[string]bool{"http://127.0.0.1:8080": false, "https://127.0.0.1:8080": true} {
		if c := l.submit("/login", url.Values{"token": {token}}, "Origin", origin).Cookies(); len(c) != 1 || c[0].Secure != secure {
			t.Errorf("%s: %v", origin, c)
		}
	}
	for _, elsewhere := range []string{"//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/security/status",
		"/ban/../\\evil.example", "/ban/x/../../\\evil.example", "/ban/\\evil.example", "/ban/..//evil.example", "/?/..\\..\\evil.example/../..", "/page.css"} {
		if to := l.submit("/login", url.Values{"token": {token}, "next": {elsewhere}}).Header.Get("Location"); to != "/" && !strings.HasPrefix(to, "/?") {
			t.Errorf("after the login to %q", to)
		}
	}
	if log := l.log.String(); strings.Contains(log, token[:8]) || strings.Contains(log, viewerToken[:8]) {
		t.Errorf("the log tells a token:\n%s", log)
	}
}

// TestWrongLogins: wrong tokens are limited in rate and logged, and do not lock out the right one.
func TestWrongLogins(t *testing.T) {
	l := newLab(t, func(o *Options, lim *limits) { o.Token, lim.guesses = token, 3 })
	for i, want := range []int{401, 401, 401, 429} {
		answer := l.submit("/login", url.Values{"token": {"wrong wrong wrong"}})
		if answer.StatusCode != want || len(answer.Cookies()) != 0 {
			t.Errorf("guess %d: %d", i, answer.StatusCode)
		}
	}
	if answer := l.submit("/login", url.Values{"token": {token}}); answer.StatusCode != 303 {
		t.Errorf("the right token: %d", answer.StatusCode)
	}
	if log := l.log.String(); !strings.Contains(log, "admin request refused") || strings.Contains(log, "wrong wrong") {
		t.Error(log)
	}
	if code, _ := l.ask("POST", "/login", "token="+token, "Content-Type", "application/x-www-form-urlencoded"); code != 403 {
		t.Errorf("a form that no page sent: %d", code)
	}
}

// TestArrival: a link from another site shows nothing of the guard, and leads to the same address.
func TestArrival(t *testing.T) {
	l := newLab(t, nil)
	from := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	text := l.want(200, `http-equiv="refresh"`, "GET", "/ban/203.0.113.7", "", from...)
	if !strings.Contains(text, `href="/ban/203.0.113.7"`) || strings.Contains(text, "banned") {
		t.Error(text)
	}
	l.want(403, "other sites", "POST", "/page/ban", "ip=203.0.113.7", from...)
	l.want(403, "other sites", "GET", "/security/status", "", from...)
	from[5] = "iframe"
	l.want(403, "other sites", "GET", "/", "", from...)
	l.want(403, "Host", "GET", "/", "", append(from, "Host", "evil.example")...)
}

// TestPolicy: every page has the policy, whatever the answer.
func TestPolicy(t *testing.T) {
	l := newLab(t, withToken)
	for _, path := range []string{"/", "/login", "/ban/x", "/ban/203.0.113.7"} {
		for _, header := range [][]string{nil, {"Authorization", "Bearer " + token}} {
			w := httptest.NewRecorder()
			l.server.ServeHTTP(w, request("GET", path, "", header...))
			for name, want := range map[string]string{"Content-Security-Policy": page.Policy, "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s %v: %s: %q", path, header, name, got)
				}
			}
		}
	}
}
