package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const token = "0123456789abcdef0123456789abcdef"

func withToken(o *Options, _ *limits) { o.Token = token }

func TestToken(t *testing.T) {
	l := newLab(t, withToken)
	l.want(401, "a token is needed", "GET", "/security/status", "")
	for _, wrong := range []string{"Bearer x", "Bearer", "Bearer " + token + "0", "Bearer " + token[1:], "Basic " + token, token} {
		l.want(401, "wrong token", "GET", "/security/status", "", "Authorization", wrong)
	}
	l.want(200, "", "GET", "/security/status", "", "Authorization", "Bearer "+token)
	l.want(200, "", "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`, "Authorization", "bearer "+token)
	l.want(401, "", "GET", "/nothing/here", "")
	l.want(401, "", "GET", "/metrics", "")
	if text := l.want(200, "", "GET", "/health", ""); strings.TrimSpace(text) != `{"status":"ok"}` {
		t.Errorf("health without a token: %s", text)
	}
	l.want(200, "1.2.3", "GET", "/health", "", "Authorization", "Bearer "+token)
	if log := l.log.String(); strings.Contains(log, token[:8]) {
		t.Errorf("the log tells the token:\n%s", log)
	}
}

// TestGuessing: wrong tokens are limited in rate, and do not lock out the right one.
func TestGuessing(t *testing.T) {
	l := newLab(t, func(o *Options, lim *limits) { o.Token, lim.guesses = token, 3 })
	for range 3 {
		l.want(401, "", "GET", "/security/status", "", "Authorization", "Bearer wrong")
	}
	l.want(429, "without the right token", "GET", "/security/status", "", "Authorization", "Bearer wrong")
	l.want(200, "", "GET", "/security/status", "", "Authorization", "Bearer "+token)
}

// TestForeignPages: the requests of a web page in a browser are refused.
func TestForeignPages(t *testing.T) {
	l := newLab(t, func(o *Options, _ *limits) { o.Hosts = []string{"guard.example"} })
	for _, host := range []string{"evil.example", "evil.example:8080", "127.0.0.1.evil.example", "203.0.113.7:8080", "localhost.evil.example", "", "[::2]:8080", "127.0.0.1@evil.example"} {
		l.want(403, "Host", "GET", "/security/status", "", "Host", host)
		l.want(403, "Host", "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`, "Host", host)
	}
	for _, host := range []string{"127.0.0.1:8080", "127.0.0.1", "localhost:8080", "LOCALHOST", "localhost.", "[::1]:9000", "guard.example", "Guard.Example:443"} {
		l.want(200, "", "GET", "/security/status", "", "Host", host)
	}
	for _, origin := range []string{"http://evil.example", "https://127.0.0.1:3000", "http://localhost:8080", "null", "x", "http://127.0.0.1:8080.evil.example"} {
		l.want(403, "origins", "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`, "Origin", origin)
		l.want(403, "origins", "GET", "/events", "", "Origin", origin)
		l.want(403, "origins", "POST", "/security/reload", "", "Origin", origin)
	}
	l.want(200, "", "POST", "/security/reload", "", "Origin", "http://127.0.0.1:8080")
	for _, site := range []string{"cross-site", "same-site"} {
		l.want(403, "sites", "POST", "/security/reload", "", "Sec-Fetch-Site", site)
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""} {
		l.want(415, "", "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`, "Content-Type", kind)
		l.want(415, "", "POST", "/security/blacklist/batch", `[{"ip":"203.0.113.7"}]`, "Content-Type", kind)
	}
	if n := l.engine.Ledger().Size(); n != 0 {
		t.Errorf("%d bans", n)
	}
}

func TestPaths(t *testing.T) {
	l := newLab(t, nil)
	for _, p := range []string{
		"/security/blacklist/../status", "/security/../../etc/passwd", "/security/blacklist/%2e%2e/status", "/security/blacklist/..%2f..%2fstatus",
		"//security/status", "/security//status", "/security/./status", "/security/blacklist//203.0.113.7",
	} {
		l.want(400, "the path", "GET", p, "")
		l.want(400, "the path", "DELETE", p, "")
	}
	for _, p := range []string{"/security/blacklist/%00", "/security/blacklist/203.0.113.7%0d%0aX:%20y", "/security/blacklist/%ff%fe", "/security/blacklist/" + strings.Repeat("9", 5000)} {
		text := l.want(400, "neither", "GET", p, "")
		if len(text) > 300 {
			t.Errorf("%d bytes of answer", len(text))
		}
	}
}

// TestReasonIsData: no reason has an effect on a log, a page or a terminal.
func TestReasonIsData(t *testing.T) {
	l := newLab(t, nil)
	nasty := "a\r\nmsg=\"admin change\" who=root\x1b[2J\u009b31m<script>alert(1)</script>\u202e\x00\xff" + strings.Repeat("é", 600)
	body, _ := json.Marshal(map[string]string{"ip": "203.0.113.7", "reason": nasty})
	l.want(200, "", "POST", "/security/blacklist", string(body))
	b, _ := l.covering("203.0.113.7")
	if len(b.Reason) > maxReason || strings.ContainsAny(b.Reason, "\r\n\x1b\u009b\u202e\x00") || !strings.HasPrefix(b.Reason, "a  msg=") {
		t.Errorf("kept is %q", b.Reason)
	}
	for _, target := range []string{"/security/blacklist/203.0.113.7", "/security/blacklist"} {
		text := l.want(200, "", "GET", target, "")
		if strings.ContainsAny(text, "<>\x1b\r\u009b\u202e") {
			t.Errorf("%s answers %q", target, text)
		}
	}
	if n := strings.Count(l.log.String(), "\nmsg="); n != 0 {
		t.Errorf("a reason has begun a line of the log:\n%s", l.log)
	}
	w := httptest.NewRecorder()
	l.server.ServeHTTP(w, request("GET", "/security/blacklist", ""))
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Content-Type": "application/json", "Cache-Control": "no-store", "Access-Control-Allow-Origin": ""} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestOversized(t *testing.T) {
	l := newLab(t, func(_ *Options, lim *limits) { lim.batchBytes, lim.banItems = 1<<20, 100 })
	large := `{"ip":"203.0.113.7","reason":"` + strings.Repeat("x", 1<<17) + `"}`
	l.want(413, "more than 65536 bytes", "POST", "/security/blacklist", large)
	l.want(413, "more than 65536 bytes", "POST", "/security/test", `{"line":"`+strings.Repeat("x", 1<<17)+`"}`)
	l.want(200, success, "POST", "/security/blacklist/batch", "["+large+"]")
	l.want(413, "", "POST", "/security/blacklist/batch", "["+strings.Repeat(large+",", 10)+large+"]")
	l.want(413, "more than 100 items", "POST", "/security/blacklist/batch", "["+strings.Repeat(`{"ip":"203.0.113.7"},`, 100)+`{}]`)
	l.want(400, "", "POST", "/security/blacklist", strings.Repeat("[", 60000))
	l.want(400, "", "POST", "/security/blacklist/batch", strings.Repeat("[", 60000))

	addr := l.start()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go fmt.Fprintf(conn, "GET /health HTTP/1.1\r\nHost: %s\r\nX: %s\r\n\r\n", addr, strings.Repeat("x", 1<<20))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of a megabyte: %v %v", answer, err)
	}
}

func TestTooOften(t *testing.T) {
	l := newLab(t, func(_ *Options, lim *limits) { lim.reads, lim.writes = 5, 3 })
	for range 3 {
		l.want(200, "", "POST", "/security/reload", "")
	}
	l.want(429, "too many requests", "POST", "/security/reload", "")
	for range 5 {
		l.want(200, "", "GET", "/health", "")
	}
	l.want(429, "too many requests", "GET", "/health", "")
}

// TestSlowloris: a caller that sends its header or body too slowly is disconnected, and
// so is one that does not read the answer or stays idle after it.
func TestSlowloris(t *testing.T) {
	const host = "Host: 127.0.0.1\r\n"
	lim := defaultLimits()
	for name, c := range map[string]struct {
		sent, answer string
		after        time.Duration
		reads        time.Duration // after which it begins to read
	}{
		"nothing":       {"", "", lim.header, 0},
		"half a header": {"GET /health HTTP/1.1\r\n" + host + "X-A: b", "", lim.header, 0},
		"half a body":   {"POST /security/blacklist HTTP/1.1\r\n" + host + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{", "408 Request Timeout", lim.body, 0},
		"half a batch":  {"POST /security/blacklist/batch HTTP/1.1\r\n" + host + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n[", "408 Request Timeout", lim.batch, 0},
		"idle":          {"GET /health HTTP/1.1\r\n" + host + "\r\n", "200 OK", lim.idle, 0},
		"never reads":   {"GET /health HTTP/1.1\r\n" + host + "\r\n", "", lim.body + lim.write, lim.body + lim.write},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := newLab(t, nil).inMemory()
				conn, began := listener.dial(), time.Now()
				defer conn.Close()
				if _, err := io.WriteString(conn, c.sent); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.reads)
				synctest.Wait()
				text, err := io.ReadAll(conn) // to its end: the server has closed it
				if took := time.Since(began); err != nil || took != c.after || !strings.Contains(string(text), c.answer) {
					t.Errorf("%v after %s: %q", err, took, text)
				}
			})
		})
	}
}

// TestRefusedAtOnce: a refusal does not wait for the rest of the body, and closes the
// connection.
func TestRefusedAtOnce(t *testing.T) {
	const head = " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct {
		sent   string
		status int
	}{
		"endless blanks": {"POST /security/blacklist" + head + "Authorization: Bearer " + token + "\r\nContent-Length: 1000000000\r\n\r\n" + strings.Repeat(" ", 70<<10), 413},
		"endless chunks": {"POST /security/blacklist" + head + "Authorization: Bearer " + token + "\r\nTransfer-Encoding: chunked\r\n\r\n11170\r\n" + strings.Repeat(" ", 70<<10), 413},
		"no token":       {"POST /security/blacklist" + head + "Content-Length: 100\r\n\r\n{", 401},
		"a foreign host": {strings.Replace("POST /security/blacklist"+head, "127.0.0.1", "evil.example", 1) + "Content-Length: 100\r\n\r\n{", 403},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := newLab(t, withToken).inMemory()
				conn, began := listener.dial(), time.Now()
				defer conn.Close()
				go io.WriteString(conn, c.sent) // not all of it is read
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 0 || answer.StatusCode != c.status || !answer.Close {
					t.Errorf("%d after %s, closing: %t", answer.StatusCode, took, answer.Close)
				}
			})
		})
	}
}

// TestConnections: beyond the limit the connection that has waited longest for a request is closed,
// also one that has begun a header; while all are busy, a further one waits.
func TestConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newLab(t, func(_ *Options, lim *limits) { lim.connections = 2 }).inMemory()
		send := func(conn net.Conn, text string) {
			if _, err := io.WriteString(conn, text); err != nil {
				t.Error(err)
			}
		}
		answered := func(conn net.Conn) chan error {
			done := make(chan error, 1)
			go func() {
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err == nil && answer.StatusCode != http.StatusOK {
					err = fmt.Errorf("status %d", answer.StatusCode)
				}
				done <- err
			}()
			synctest.Wait()
			return done
		}
		const get, post = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "POST /security/blacklist HTTP/1.1\r\nHost: 127.0.0.1\r\n" +
			"Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{"
		began := time.Now()
		var open []net.Conn
		for range 1000 {
			conn := listener.dial()
			defer conn.Close()
			synctest.Wait()
			send(conn, "GET /hea")
			open = append(open, conn)
		}
		for i := range 2 {
			conn := listener.dial()
			defer conn.Close()
			go send(conn, get)
			if err := <-answered(conn); err != nil {
				t.Fatal(i, err)
			}
			open = append(open, conn)
		}
		if err := <-answered(open[999]); err == nil {
			t.Error("a connection that waits is not closed for another one")
		}
		send(open[1000], post)
		send(open[1001], post)
		synctest.Wait() // until both headers have been read
		late := listener.dial()
		defer late.Close()
		go send(late, get)
		answer := answered(late)
		if len(answer) > 0 {
			t.Fatalf("a third connection was answered beside two requests: %v", <-answer)
		}
		first := answered(open[1000])
		send(open[1000], `"ip":"203.0.113.7"}`)
		if err := <-first; err != nil {
			t.Error(err)
		}
		if err := <-answer; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("a caller waited for %s", took)
		}
	})
}

// TestClientsApart: a client that sends too much, or all it can at once, takes nothing from others.
func TestClientsApart(t *testing.T) {
	l := newLab(t, func(_ *Options, lim *limits) { lim.writes, lim.busy, lim.batches = 1, 1, 1 })
	post := func(from string, local bool, path, body string) int {
		r := request("POST", path, body)
		r.RemoteAddr = from
		if local {
			r = r.WithContext(context.WithValue(r.Context(), callerKey{}, caller{local: true, name: from}))
		}
		w := httptest.NewRecorder()
		l.server.ServeHTTP(w, r)
		return w.Code
	}
	for _, step := range []struct {
		from  string
		local bool
		want  int
	}{
		{"127.0.0.1:1", false, 200}, {"127.0.0.1:2", false, 429}, {"127.0.0.2:1", false, 200}, {"[::ffff:127.0.0.2]:1", false, 429},
		{"[2001:db8::1]:1", false, 200}, {"[2001:db8::2]:1", false, 429}, {"root", true, 200}, {"root", true, 429}, {"uid 1000", true, 200},
	} {
		if got := post(step.from, step.local, "/security/reload", ""); got != step.want {
			t.Errorf("%s: %d, want %d", step.from, got, step.want)
		}
	}
	l.server.tcp.busy <- struct{}{}
	l.server.tcp.batches <- struct{}{}
	if got := post("127.0.0.3:1", false, "/security/blacklist/batch", `[]`); got != 503 {
		t.Errorf("a second batch over TCP: %d", got)
	}
	if got := post("operator", true, "/security/blacklist/batch", `[{"ip":"203.0.113.9"}]`); got != 200 {
		t.Errorf("the unix socket has to wait for TCP: %d", got)
	}
}

// TestBusy: an engine that does not answer delays changes, for a limited time, and
// nothing else.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, func(_ *Options, lim *limits) { lim.busy = 1 })
		l.server.tcp.busy <- struct{}{}
		l.want(503, "busy", "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`)
		l.want(200, "", "GET", "/security/blacklist", "")
		<-l.server.tcp.busy
		l.wall.set(func(w *wall) { w.slow = time.Minute })
		l.want(200, `"applied":false,"why":"action iptables.drop: not done yet: context deadline exceeded"`, "POST", "/security/blacklist", `{"ip":"203.0.113.7"}`)
		go l.engine.Do(t.Context(), func() { time.Sleep(time.Minute) })
		synctest.Wait()
		l.want(503, "the engine has too much to do", "POST", "/security/blacklist", `{"ip":"203.0.113.8"}`)
		for range cap(l.server.tcp.batches) {
			l.server.tcp.batches <- struct{}{}
		}
		l.want(503, "too many batches", "POST", "/security/blacklist/batch", `[]`)
	})
}

// TestTogether makes requests of all kinds at the same time, for the race detector.
func TestTogether(t *testing.T) {
	l := newLab(t, nil)
	ask := func(method, target, body string) {
		w := httptest.NewRecorder()
		if l.server.ServeHTTP(w, request(method, target, body)); w.Code == http.StatusInternalServerError {
			t.Errorf("%s %s: %s", method, target, w.Body)
		}
	}
	var all sync.WaitGroup
	for worker := range 6 {
		all.Go(func() {
			for i := range 30 {
				ip := fmt.Sprintf("203.0.113.%d", i)
				switch worker {
				case 0:
					ask("POST", "/security/blacklist", `{"ip":"`+ip+`"}`)
				case 1:
					ask("DELETE", "/security/blacklist/"+ip, "")
				case 2:
					ask("POST", "/security/whitelist", `{"ip":"`+ip+`","ttl":1}`)
				case 3:
					ask("GET", "/security/blacklist", "")
					ask("GET", "/metrics", "")
				case 4:
					l.server.Send(change(1, ip))
				case 5:
					r := request("GET", "/events", "")
					ctx, cancel := context.WithTimeout(r.Context(), time.Millisecond)
					l.server.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
					cancel()
				}
			}
		})
	}
	all.Wait()
}

func TestPanicIsAnswered(t *testing.T) {
	l := newLab(t, nil)
	l.server.mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("oh") })
	w := httptest.NewRecorder()
	l.server.ServeHTTP(w, request("GET", "/panic", ""))
	if w.Code != 500 || !strings.Contains(l.log.String(), "admin request panicked") {
		t.Errorf("%d %s\n%s", w.Code, w.Body, l.log)
	}
}

func TestServeRefusesUnprotected(t *testing.T) {
	l := newLab(t, nil)
	open, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.server.Serve(context.Background(), open); err == nil || !strings.Contains(err.Error(), "needs a token") {
		t.Errorf("served: %v", err)
	}
	if _, err := open.Accept(); err == nil {
		t.Error("the listener is still open")
	}
}
