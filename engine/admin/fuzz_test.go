package admin

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// A forger makes requests from the contract: some that keep it, more that do not
// quite.
type forger struct{ *rand.Rand }

// words are what is sent where a text is asked for.
var words = []string{
	"", "203.0.113.7", "203.0.113.0/24", "2001:db8::7", "2001:db8::/48", "::ffff:203.0.113.9", "198.51.100.1", "127.0.0.1", "0.0.0.0/0", "::/0",
	"fe80::1%eth0", "10m", "permanent", "-1", "0", "99999999999999999999", "1e5", "true", "null", "list", "map", "..", "../../etc/passwd", "%2e%2e%2f",
	"a\r\nb: c", "<script>", "\x1b[2J", "\x00", "\xff\xfe", "\u202e", "${jndi:x}", "'; drop table bans; --", "log.freeswitch", "SIP auth failure",
	strings.Repeat("x", 3000), strings.Repeat("é", 300),
}

func (f forger) word() string { return words[f.IntN(len(words))] }

// value makes JSON of a schema, or of something else.
func (f forger) value(s *openapi3.Schema, depth int) any {
	if depth > 4 || f.IntN(8) == 0 {
		return []any{nil, true, -1, 1e308, 5.5, "", f.word(), []any{}, []any{f.word()}, map[string]any{}, map[string]any{f.word(): f.word()}}[f.IntN(11)]
	}
	if len(s.AnyOf) > 0 {
		return f.value(s.AnyOf[f.IntN(len(s.AnyOf))].Value, depth)
	}
	switch {
	case s.Type.Is("array"):
		var all []any
		for range f.IntN(4) {
			all = append(all, f.value(s.Items.Value, depth+1))
		}
		return all
	case s.Type.Is("object"):
		all := map[string]any{}
		for name, p := range s.Properties {
			if slices.Contains(s.Required, name) && f.IntN(10) > 0 || f.IntN(2) == 0 {
				all[name] = f.value(p.Value, depth+1)
			}
		}
		if f.IntN(10) == 0 || len(s.Properties) == 0 {
			all[f.word()] = f.word()
		}
		return all
	case s.Type.Is("boolean"):
		return f.IntN(2) == 0
	case s.Type.Is("number"), s.Type.Is("integer"):
		return []any{0, 1, -1, 60, 3600, 1e9, 1e18, 0.5, 1e300}[f.IntN(9)]
	}
	return f.word()
}

// body makes a body of an operation, cut short now and then, and its content type.
func (f forger) body(op *openapi3.Operation) (text, kind string) {
	if op.RequestBody == nil {
		return "", ""
	}
	if op.RequestBody.Value.Content["application/json"] == nil {
		return url.Values{"ip": {f.word()}, "ttl": {f.word()}, "grace": {f.word()}, "token": {f.word()}, "next": {f.word()}}.Encode(), "application/x-www-form-urlencoded"
	}
	return f.json(op), "application/json"
}

func (f forger) json(op *openapi3.Operation) string {
	text, err := json.Marshal(f.value(op.RequestBody.Value.Content["application/json"].Schema.Value, 0))
	if err != nil {
		panic(err)
	}
	switch f.IntN(12) {
	case 0:
		return string(text[:f.IntN(len(text)+1)])
	case 1:
		return string(text) + f.word()
	}
	return string(text)
}

// target makes a path of a template, with a query.
func (f forger) target(template string, item *openapi3.PathItem, op *openapi3.Operation) string {
	word := f.word()
	if f.IntN(2) == 0 {
		word = url.PathEscape(word)
	} else {
		word = (&url.URL{Path: "/" + word}).EscapedPath()[1:]
	}
	target := strings.ReplaceAll(template, "{ip}", word)
	query := url.Values{}
	for _, p := range append(slices.Clone(item.Parameters), op.Parameters...) {
		if p.Value.In == "query" && f.IntN(2) == 0 {
			query.Set(p.Value.Name, f.word())
			if f.IntN(2) == 0 {
				query.Set(p.Value.Name, fmt.Sprint(f.value(p.Value.Schema.Value, 3)))
			}
		}
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return target
}

// TestForged throws requests at the server that are made from its own contract:
// every answer keeps the contract, and none is an internal error.
func TestForged(t *testing.T) {
	const seed = 11
	f := forger{rand.New(rand.NewPCG(seed, 0))}
	l := newLab(t, func(_ *Options, lim *limits) { lim.writes, lim.watchers = 10_000, 0 }) // a watch would not end
	paths := contract().Paths
	statuses := map[int]int{}
	for round := range 150 {
		for _, template := range paths.InMatchingOrder() {
			item := paths.Value(template)
			for method, op := range item.Operations() {
				target := f.target(template, item, op)
				body, kind := f.body(op)
				status, text := l.ask(method, target, body, "Content-Type", kind, "Origin", "http://127.0.0.1:8080")
				statuses[status]++
				if status >= 500 && template != "/events" {
					t.Fatalf("seed %d round %d: %s %s %s: %d %s", seed, round, method, target, body, status, text)
				}
			}
		}
	}
	for _, status := range []int{200, 400, 404, 409} {
		if statuses[status] == 0 {
			t.Errorf("seed %d: no answer was %d: %v", seed, status, statuses)
		}
	}
	for _, b := range l.engine.Ledger().Bans() {
		for _, trusted := range []string{"198.51.100.0/24", "127.0.0.0/8", "192.0.2.200"} {
			if b.Target.Prefix().Overlaps(prefix(trusted)) {
				t.Errorf("seed %d: %s is banned", seed, b.Target)
			}
		}
	}
}

func fuzzBody(f *testing.F, target string, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		l := newLab(t, nil)
		l.ask("POST", target, string(body), "Content-Type", "application/json")
	})
}

func FuzzBan(f *testing.F) {
	fuzzBody(f, "/security/blacklist", `{"ip":"203.0.113.7","reason":"x","permanent":false,"ttl":"10m"}`, `{"ip":"::1","ttl":1e3}`, `{"IP":null}`, `[`)
}

func FuzzBatch(f *testing.F) {
	fuzzBody(f, "/security/blacklist/batch", `[{"ip":"203.0.113.7"},{"ip":"x"},5,null]`, `[]`, `[{}`, `[{"ip":"203.0.113.7"}]]`)
}

func FuzzTrust(f *testing.F) {
	fuzzBody(f, "/security/whitelist", `{"ip":"203.0.113.0/24","comment":"x","ttl":60}`, `{"ip":"::/0"}`)
}

func FuzzPath(f *testing.F) {
	f.Add("203.0.113.7", "grace=10m&reason=x")
	f.Add("203.0.113.0%2F24", "format=list&limit=1&cursor=x")
	f.Add("../..", "")
	f.Fuzz(func(t *testing.T, path, query string) {
		l := newLab(t, nil)
		r := request("GET", "/", "")
		r.URL.RawQuery = query
		r.URL.Path = "/security/blacklist/" + path
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			r.Method = method
			w := httptest.NewRecorder()
			l.server.ServeHTTP(w, r)
			l.conforms(r, w.Result())
		}
	})
}
