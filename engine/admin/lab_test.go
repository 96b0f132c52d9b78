package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/status"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// A lab is a server of a real engine with fake plugins. Each answer is compared with the contract.
type lab struct {
	t       testing.TB
	engine  *engine.Engine
	source  *scribe
	wall    *wall
	courier *courier
	disk    *disk
	broken  []status.Diagnostic // mistakes in the rule files
	server  *Server
	history *history.History
	log     *golden.Output
}

// newLab runs an engine and makes its server; change may be nil.
func newLab(t testing.TB, change func(*Options, *limits)) *lab {
	return newLabOf(t, engine.Options{}, change)
}

func newLabOf(t testing.TB, run engine.Options, change func(*Options, *limits)) *lab {
	t.Helper()
	l := &lab{
		t: t, source: &scribe{events: make(chan *event.Event)}, wall: &wall{entries: map[ban.Target]status.Entry{}},
		courier: &courier{}, disk: &disk{}, log: &golden.Output{},
		history: history.New(history.Settings{Days: 90}),
	}
	ready := make(chan struct{})
	run.Ready = func() { close(ready) }
	run.Hosts = func() []ban.Trusted {
		return []ban.Trusted{{Target: ban.Network(prefix("192.0.2.200/32")), Name: "this host"}}
	}
	l.engine = engine.New(l.configuration(), run)
	if err := l.engine.Restore(l.disk, time.Now()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.engine.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	<-ready
	o := Options{
		Config: Config{Listen: "127.0.0.1:8080"}, Engine: l.engine, History: l.history, Reload: l.reload, Version: "1.2.3",
		Log: slog.New(slog.NewTextHandler(l.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	lim := defaultLimits()
	if change != nil {
		change(&o, &lim)
	}
	var err error
	if l.server, err = newServer(o, lim); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) reload(context.Context) ([]status.Diagnostic, error) {
	if len(l.broken) > 0 {
		return l.broken, errors.New("1 mistake in rules.d")
	}
	return []status.Diagnostic{{Severity: "warning", Summary: "Rule never fires", Where: "rules.d/20-registration.hcl:3:1"}}, nil
}

var contract = sync.OnceValue(func() *openapi3.T {
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		panic(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		panic(err)
	}
	for _, kind := range []string{"text/event-stream", "application/yaml", "text/html", "text/css", "text/javascript"} {
		openapi3filter.RegisterBodyDecoder(kind, openapi3filter.PlainBodyDecoder)
	}
	return doc
})

// template is the path of the contract that a request's path is of. Paths with
// an address in them may have slashes there, which the contract cannot say.
func template(p string) string {
	for _, list := range []string{"/security/blacklist/", "/security/whitelist/"} {
		if rest, ok := strings.CutPrefix(p, list); ok && rest != "batch" {
			return list + "{ip}"
		}
	}
	if strings.HasPrefix(p, "/ban/") {
		return "/ban/{ip}"
	}
	return p
}

// request makes a request as the standard library hands it to the server, from
// this host.
func request(method, target, body string, header ...string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+target, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:40000"
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// ask makes a request and compares the answer with the contract.
func (l *lab) ask(method, target, body string, header ...string) (int, string) {
	l.t.Helper()
	r := request(method, target, body, header...)
	w := httptest.NewRecorder()
	l.server.ServeHTTP(w, r)
	l.conforms(r, w.Result())
	return w.Code, w.Body.String()
}

// conforms compares an answer with the contract.
func (l *lab) conforms(r *http.Request, answer *http.Response) {
	l.t.Helper()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	if answer.StatusCode >= 500 && answer.StatusCode != http.StatusServiceUnavailable {
		l.t.Fatalf("%s %s: %d %s", r.Method, r.URL, answer.StatusCode, body)
	}
	path := template(r.URL.Path)
	item := contract().Paths.Value(path)
	if item == nil || item.GetOperation(r.Method) == nil {
		var f failure
		if err := json.Unmarshal(body, &f); answer.StatusCode < 400 || err != nil || f.Error == "" {
			l.t.Fatalf("%s %s is not in the contract and is answered %d %s", r.Method, r.URL, answer.StatusCode, body)
		}
		return
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: r,
			Route:   &routers.Route{Spec: contract(), Path: path, PathItem: item, Method: r.Method, Operation: item.GetOperation(r.Method)},
		},
		Status: answer.StatusCode, Header: answer.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	input.SetBodyBytes(body)
	if err := openapi3filter.ValidateResponse(context.Background(), input); err != nil {
		l.t.Fatalf("%s %s: the answer is not of the contract: %v\n%d %s", r.Method, r.URL, err, answer.StatusCode, body)
	}
}

// want makes a request and checks the status and a part of the answer.
func (l *lab) want(status int, part, method, target, body string, header ...string) string {
	l.t.Helper()
	got, text := l.ask(method, target, body, header...)
	if got != status || !strings.Contains(text, part) {
		l.t.Fatalf("%s %s %s: %d %s\nwant %d with %q", method, target, body, got, text, status, part)
	}
	return text
}

// parse reads an answer.
func parse[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// start serves on a listener of this host until the test ends, and returns its
// address.
func (l *lab) start(listeners ...net.Listener) string {
	l.t.Helper()
	if len(listeners) == 0 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			l.t.Fatal(err)
		}
		listeners = append(listeners, listener)
	}
	addr := listeners[0].Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.server.Serve(ctx, listeners...) }()
	l.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			l.t.Error(err)
		}
	})
	return addr
}

// escaped is a target as it stands in a path.
func escaped(s string) string { return url.PathEscape(s) }
