package page

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/chart"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/status"
)

// Policy is the Content-Security-Policy of every page.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// A Guard is what the page shows and changes. It is safe for concurrent use.
type Guard interface {
	// Status has the problems, and the numbers of the kernel if it could be read.
	Status(context.Context) (*status.Status, error)
	Ledger() *ban.Ledger
	// Trusted is the narrowest trust that covers a target; nil: there is none.
	Trusted(ban.Target) *status.Trusted
	// Kernel looks at the kernel: now, or without waiting for it if that was some seconds ago.
	Kernel(ctx context.Context, now bool) (Kernel, error)
	// Trackers are the keys closest to a ban. The caller does not change them.
	Trackers(ctx context.Context, most int) ([]status.Tracker, error)
	// History is what happened between two times; nil: it is not kept.
	History(ctx context.Context, from, to time.Time) (*history.Span, error)
	// Masked reports whether numbers and accounts are not shown in full.
	Masked() bool
	// Caller is the author of an admitted request.
	Caller(*http.Request) Caller
	// Change makes a change that a form asks for, and says what was done.
	Change(*http.Request, Action, url.Values) (status.Done, error)
	// Login returns the cookie of a right token.
	Login(*http.Request, string) (*http.Cookie, error)
	// Logout returns the cookie that replaces it.
	Logout(*http.Request) *http.Cookie
}

// A Kernel is a look at what is enforced.
type Kernel interface {
	Ban(*ban.Ban) status.Ban
}

// A Caller is the author of a request, as far as the page shows it.
type Caller struct {
	Viewer bool // changes nothing
	Cookie bool // is known by the cookie of a login
}

// An Action is what a form changes.
type Action string

// The actions.
const (
	Ban   Action = "ban"
	Unban Action = "unban"
	Trust Action = "trust"
)

// A Fault is an error with an HTTP status.
type Fault interface {
	error
	Status() int
}

// A Handler answers a request. It returns no error that it has answered.
type Handler = func(http.ResponseWriter, *http.Request) error

//go:embed *.html page.css page.js
var files embed.FS

// A Page is the page of one guard. [New] makes it.
type Page struct {
	guard     Guard
	templates *template.Template
	assets    map[string]asset
	bans      index
	rendered  cache
}

// An asset is a file that is the same for all callers.
type asset struct {
	kind, name string // "text/css; charset=utf-8", "/page.css?0123456789abcdef"
	text       []byte
}

// New returns the page of a guard.
func New(g Guard) *Page {
	p := &Page{guard: g, assets: map[string]asset{}}
	for file, kind := range map[string]string{"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"} {
		text, err := files.ReadFile(file)
		if err != nil {
			panic(err) // it is embedded
		}
		if file == "page.css" {
			text = append(text, chart.CSS...)
		}
		sum := sha256.Sum256(text)
		p.assets[file] = asset{kind, "/" + file + "?" + hex.EncodeToString(sum[:8]), text}
	}
	funcs := template.FuncMap{"asset": func(name string) string { return p.assets[name].name }, "target": p.shown}
	p.templates = template.Must(template.New("").Funcs(words).Funcs(funcs).ParseFS(files, "*.html"))
	return p
}

// Routes are the handlers of the page by their patterns.
func (p *Page) Routes() map[string]Handler {
	routes := map[string]Handler{
		"GET /{$}":         p.front,
		"GET /ban/{ip...}": p.target,
		"GET /login":       p.login,
		"POST /login":      p.enter,
		"POST /logout":     p.leave,
		"POST /page/ban":   p.change(Ban),
		"POST /page/unban": p.change(Unban),
		"POST /page/trust": p.change(Trust),
		"GET /page.css":    p.asset("page.css"),
		"GET /page.js":     p.asset("page.js"),
		"GET /favicon.ico": func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Cache-Control", "public, max-age=86400") // a browser asks again with each search
			w.WriteHeader(http.StatusNoContent)
			return nil
		},
	}
	for pattern, h := range routes {
		routes[pattern] = func(w http.ResponseWriter, r *http.Request) error {
			if err := h(w, r); err != nil {
				p.Fail(w, r, err)
			}
			return nil
		}
	}
	return routes
}

// Outdate makes later pages show what has changed until now.
func (p *Page) Outdate() {
	p.bans.outdate()
	p.rendered.outdate()
}

func (p *Page) asset(name string) Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		a := p.assets[name]
		w.Header().Set("Content-Type", a.kind)
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable") // the name changes with the text
		w.Header().Set("Content-Length", strconv.Itoa(len(a.text)))
		_, _ = w.Write(a.text) // after an error the caller is gone
		return nil
	}
}

// A document is what every page has.
type document struct {
	Title  string
	Caller Caller
	Known  bool // the caller is admitted
	Now    time.Time
	Body   any
}

// render executes a template.
func (p *Page) render(name, title string, c Caller, known bool, body any) ([]byte, error) {
	var b bytes.Buffer
	err := p.templates.ExecuteTemplate(&b, name, document{title, c, known, time.Now(), body})
	return b.Bytes(), err
}

// send writes a page.
func send(w http.ResponseWriter, code int, text []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", Policy)
	h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers send forms with "Origin: null"
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(code)
	_, _ = w.Write(text) // after an error the caller is gone
}

// Fail answers with an error as a page: the login, if the caller is not known.
func (p *Page) Fail(w http.ResponseWriter, r *http.Request, err error) {
	code := http.StatusServiceUnavailable
	if f, ok := err.(Fault); ok {
		code = f.Status()
	}
	name, title, body := "message.html", cmp.Or(http.StatusText(code), "Error"), any(message{Text: err.Error(), Failed: true})
	c, known := Caller{}, code != http.StatusUnauthorized && code != http.StatusTooManyRequests
	if code == http.StatusUnauthorized {
		name, title, body = "login.html", "Log in", loginForm{Next: r.URL.RequestURI()}
	} else if known {
		c = p.guard.Caller(r)
	}
	text, err := p.render(name, title, c, known, body)
	if err != nil {
		text = []byte(http.StatusText(code))
	}
	send(w, code, text)
}

// Arrive answers a person who comes from another site: the browser asks again, with its cookie. It shows nothing
// of the guard.
func (p *Page) Arrive(w http.ResponseWriter, r *http.Request) {
	text, err := p.render("arrive.html", "", Caller{}, false, r.URL.RequestURI())
	if err != nil {
		p.Fail(w, r, err)
		return
	}
	send(w, http.StatusOK, text)
}

// A message is the answer to a form.
type message struct {
	Text   string
	Why    string // it is not applied; "" if it is
	Target string // a page to go on with; "": the front
	Failed bool
}

// readForm reads a form. Only a page of ours may send one: a browser says so in one of two headers, and the
// admin listener has refused what they say of others.
func readForm(r *http.Request) error {
	if r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		return fault{http.StatusForbidden, "a form comes from a page in a browser: programs use the API"}
	}
	if err := r.ParseForm(); err != nil {
		return fault{http.StatusBadRequest, "the form cannot be read"}
	}
	return nil
}

// change answers a form.
func (p *Page) change(a Action) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := readForm(r); err != nil {
			return err
		}
		done, err := p.guard.Change(r, a, r.PostForm)
		if err != nil {
			return err
		}
		m := message{Text: done.Message, Target: r.PostForm.Get("ip")}
		if !done.Applied {
			m.Why = cmp.Or(done.Why, "it is not in force yet")
		}
		text, err := p.render("message.html", "Done", p.guard.Caller(r), true, m)
		if err == nil {
			send(w, http.StatusOK, text)
		}
		return err
	}
}

type fault struct {
	code int
	text string
}

func (f fault) Error() string { return f.text }
func (f fault) Status() int   { return f.code }

// A cache holds what was rendered in the last second, by what it is of.
type cache struct {
	mu      sync.Mutex // guards what follows
	entries map[string]*entry
}

type entry struct {
	once sync.Once
	at   time.Time
	text []byte
	err  error
}

const (
	fresh      = time.Second
	maxEntries = 32
)

// within returns what make returned for the key in the last second, or calls it: once for all that ask at
// the same time.
func (c *cache) within(key string, make func() ([]byte, error)) ([]byte, error) {
	c.mu.Lock()
	e := c.entries[key]
	if now := time.Now(); e == nil || now.Sub(e.at) > fresh {
		if c.entries == nil || len(c.entries) >= maxEntries {
			c.entries = map[string]*entry{}
		}
		e = &entry{at: now}
		c.entries[key] = e
	}
	c.mu.Unlock()
	e.once.Do(func() { e.text, e.err = make() })
	return e.text, e.err
}

func (c *cache) outdate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
}

// key is what a page is of: the same for all callers that see the same.
func key(r *http.Request, c Caller) string {
	return fmt.Sprint(c.Viewer, c.Cookie, r.URL.RequestURI())
}
