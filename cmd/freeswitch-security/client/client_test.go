package client

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/config"

	"freeswitch-security/engine/ban"
)

// answering is a daemon that answers everything in one way.
func answering(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	c, err := New(Options{Admin: server.URL, Token: "s3cret-s3cret-s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func says(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func TestAdmin(t *testing.T) {
	for admin, want := range map[string]string{
		"":                           config.DefaultSocket,
		"/run/x/admin.sock":          "/run/x/admin.sock",
		"./admin.sock":               "./admin.sock",
		"unix:/run/x.sock":           "/run/x.sock",
		"unix:///run/x.sock":         "/run/x.sock",
		"http://127.0.0.1:8080":      "http://127.0.0.1:8080",
		"https://pbx.example/guard/": "https://pbx.example/guard",
		"127.0.0.1:8080":             "http://127.0.0.1:8080",
		"[::1]:8080":                 "http://[::1]:8080",
	} {
		c, err := New(Options{Admin: admin})
		if err != nil || c.name != want {
			t.Errorf("%q: %v, %v; want %s", admin, c, err, want)
		}
	}
	for _, bad := range []string{"localhost", "ftp://x", "http://", "http://u:p@x", "http://x/?a=b", "http://x#a", "::1"} {
		if c, err := New(Options{Admin: bad}); err == nil {
			t.Errorf("%q is taken for %s", bad, c.name)
		} else if strings.Contains(err.Error(), ":p@") {
			t.Errorf("%q: a password is told: %v", bad, err)
		}
	}
	if _, err := New(Options{Admin: "127.0.0.1:8080", Token: "two words"}); err == nil {
		t.Error("a token with a blank is taken")
	}
}

// TestTrouble wants an error to say what to do.
func TestTrouble(t *testing.T) {
	dir := t.TempDir()
	closed := filepath.Join(dir, "closed.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: closed})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	noTokenSent := func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer s3cret-s3cret-s3cret" {
			t.Errorf("Authorization: %q", got)
		}
		says(401, "application/json", `{"error":"wrong token"}`)(w, r)
	}
	for _, c := range []struct {
		name   string
		client *Client
		want   string
		gone   bool
	}{
		{"no socket", socket(t, filepath.Join(dir, "none.sock")), "none.sock: the daemon is not running, or its admin block names another one", true},
		{"no listener", socket(t, closed), "closed.sock: the daemon is not running", true},
		{"wrong token", answering(t, noTokenSent), "refuses this token: wrong token", false},
		{"a web server", answering(t, says(200, "text/html", "<html>\x1b[31m")), `no admin listener of freeswitch-security: it answers "200 OK", then "<html>\x1b[31m"`, false},
		{"not JSON", answering(t, says(200, "application/json", "{]")), "cannot decode the answer", false},
		{"cut off", answering(t, says(200, "application/json", `{"status":"o`)), "closed the connection", true},
		{"no reason", answering(t, says(500, "application/json", `[]`)), "the answer is 500 Internal Server Error, without a reason", false},
		{"a reason", answering(t, says(503, "application/json", `{"error":"the engine is stopping"}`)), "the engine is stopping", false},
		{"a redirect", answering(t, http.RedirectHandler("http://192.0.2.1/", http.StatusFound).ServeHTTP), "302 Found", false},
		{"breaks off", answering(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), "closed the connection", true},
	} {
		_, err := c.client.Status(context.Background())
		var gone *Unreachable
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &gone) != c.gone {
			t.Errorf("%s: %v; want %s", c.name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the token is told: %v", c.name, err)
		}
		var out int
		err = c.client.Watch(context.Background(), false, func() {}, func(Event) error { out++; return nil })
		if err == nil || out > 0 {
			t.Errorf("%s: watches it: %v", c.name, err)
		}
	}
}

func socket(t *testing.T, path string) *Client {
	t.Helper()
	c, err := New(Options{Admin: path})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNoToken(t *testing.T) {
	c := answering(t, says(401, "application/json", `{"error":"a token is needed"}`))
	c.token = ""
	if _, err := c.Status(context.Background()); err == nil || !strings.Contains(err.Error(), "needs a token: set FREESWITCH_SECURITY_TOKEN") {
		t.Error(err)
	}
}

// TestPermission: a missing permission is reported with what to do.
func TestPermission(t *testing.T) {
	err := socket(t, "/run/x.sock").explain(context.Background(), &net.OpError{Op: "dial", Err: os.ErrPermission})
	if err == nil || !strings.Contains(err.Error(), "use sudo") {
		t.Error(err)
	}
}

// TestBanListed: results are those of the items that are not in force, also where an older daemon answers all.
func TestBanListed(t *testing.T) {
	items := []BanRequest{{IP: "203.0.113.7"}, {IP: "203.0.113.8"}, {IP: "203.0.113.9"}}
	for body, want := range map[string]string{
		`{"results":[],"applied":3}`: "",
		`{"results":[{"item":2,"target":"203.0.113.8","applied":false}],"applied":2}`:                                                            "2 203.0.113.8 false;",
		`{"results":[{"target":"203.0.113.7","applied":true},{"target":"203.0.113.8","applied":false},{"target":"203.0.113.9","applied":true}]}`: "1 203.0.113.7 true;2 203.0.113.8 false;3 203.0.113.9 true;",
		`{"results":[],"applied":2}`:                         "it answers 2 results to 3 items",
		`{"results":[{"item":4,"target":"x"}],"applied":2}`:  "it answers a result of item 4 to 3 items",
		`{"results":[{"item":-1,"target":"x"}],"applied":2}`: "it answers a result of item -1 to 3 items",
	} {
		results, err := answering(t, says(200, "application/json", body)).BanListed(t.Context(), items, "")
		got := ""
		for _, r := range results {
			got += fmt.Sprintf("%d %s %t;", r.Item, r.Target, r.Applied)
		}
		if err != nil {
			_, text, _ := strings.Cut(err.Error(), " answers")
			got = "it answers" + text
		}
		if got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// TestTooOften: what is one request too many is sent again, after the pause that
// the daemon wants.
func TestTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		c := socket(t, "/x.sock")
		c.http.Transport = roundTrip(func(r *http.Request) *http.Response {
			tries++
			if body, _ := io.ReadAll(r.Body); string(body) != `[{"ip":"203.0.113.7"}]` {
				t.Errorf("body %q", body)
			}
			if tries < 3 {
				return response(429, `{"error":"too often"}`, "Retry-After", "2")
			}
			return response(200, `{"results":[{"target":"203.0.113.7","applied":true}]}`)
		})
		start := time.Now()
		results, err := c.BanAll(context.Background(), []BanRequest{{IP: "203.0.113.7"}})
		if err != nil || len(results) != 1 || time.Since(start) != 4*time.Second {
			t.Errorf("%v, %v after %s", results, err, time.Since(start))
		}
		c.http.Transport = roundTrip(func(*http.Request) *http.Response {
			return response(429, `{"error":"too often"}`, "Retry-After", "3600")
		})
		start = time.Now()
		if _, err = c.Status(context.Background()); err == nil || time.Since(start) > answerTime {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

// TestHangs: a daemon that does not answer is given up.
func TestHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := socket(t, "/x.sock")
		c.http.Transport = hanging{}
		start := time.Now()
		_, err := c.Status(context.Background())
		var gone *Unreachable
		if !errors.As(err, &gone) || time.Since(start) != answerTime {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		start = time.Now()
		err = c.Watch(context.Background(), false, func() {}, func(Event) error { return nil })
		if !errors.As(err, &gone) || time.Since(start) != silence {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err = c.Watch(ctx, false, func() {}, func(Event) error { return nil }); err == nil {
			t.Error("watches on after its end")
		}
	})
}

// TestSilence: signs of life keep a stream going, and their absence ends it.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, writer := io.Pipe()
		c := socket(t, "/x.sock")
		c.http.Transport = roundTrip(func(r *http.Request) *http.Response {
			context.AfterFunc(r.Context(), func() { reader.CloseWithError(context.Cause(r.Context())) })
			resp := response(200, "")
			resp.Header.Set("Content-Type", "text/event-stream")
			resp.Body = reader
			return resp
		})
		go func() {
			for range 10 {
				time.Sleep(15 * time.Second)
				fmt.Fprint(writer, ":\n\n")
			}
		}()
		start := time.Now()
		began := false
		err := c.Watch(context.Background(), false, func() { began = true }, func(Event) error { return nil })
		if took := time.Since(start); err == nil || !began || took != 150*time.Second+silence {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// TestPages: a page that leads to itself ends the list with an error, before its entries are passed on again.
func TestPages(t *testing.T) {
	c := answering(t, says(200, "application/json", `{"bans":[{"target":"203.0.113.7"}],"next":"203.0.113.7"}`))
	n := 0
	for _, err := range c.Bans(context.Background(), 1) {
		if n++; err != nil {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d steps", n)
	}
}

func TestPaths(t *testing.T) {
	var got string
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Method + " " + r.RequestURI
		says(404, "application/json", `{"error":"not there"}`)(w, r)
	})
	network := netip.MustParsePrefix("2001:db8::/64")
	if b, why, err := c.Ban(context.Background(), ban.Network(network)); b != nil || why != "not there" || err != nil || got != "GET /security/blacklist/2001:db8::%2F64" {
		t.Errorf("%s: %v, %q, %v", got, b, why, err)
	}
	if _, err := c.Unban(context.Background(), ban.Network(network), time.Hour, true, "a & b"); err == nil || got != "DELETE /security/blacklist/2001:db8::%2F64?grace=1h&here=true&reason=a+%26+b" {
		t.Errorf("%s: %v", got, err)
	}
	if _, err := c.TrustAll(context.Background(), []TrustRequest{{IP: "x"}}); err == nil || got != "POST /security/whitelist/batch" {
		t.Errorf("%s: %v", got, err)
	}
}

func TestReadToken(t *testing.T) {
	for content, want := range map[string]string{"abc\n": "abc", "abc": "abc", "": "", " \n": "", strings.Repeat("x", 5000): ""} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadToken(path); got != want || (err == nil) != (want != "") {
			t.Errorf("%.20q: %q, %v", content, got, err)
		}
	}
}

// A roundTrip answers requests without a connection.
type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := f(r)
	resp.Request = r
	return resp, nil
}

func response(status int, body string, header ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	resp.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp
}

// hanging never answers.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestTLS trusts the authority that is named, and no other.
func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(says(200, "application/json", `{"status":"ok"}`))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) // of handshakes that are to fail
	authority := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authority, text, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		authority string
		works     bool
	}{{authority, true}, {"", false}} {
		client, err := New(Options{Admin: server.URL, CAFile: c.authority})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = client.Status(context.Background()); (err == nil) != c.works {
			t.Errorf("authority %q: %v", c.authority, err)
		}
	}
	if _, err := New(Options{Admin: server.URL, CertFile: authority, KeyFile: authority}); err == nil {
		t.Error("a certificate is taken for a key")
	}
}
