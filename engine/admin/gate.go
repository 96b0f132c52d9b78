package admin

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"runtime/debug"
	"slices"
	"strings"
)

// ServeHTTP refuses a request that comes from a web page, lacks the token, has an
// ambiguous path, or exceeds the rate limit, in this order. It serves all others.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("admin request panicked", "method", r.Method, "panic", p, "stack", string(debug.Stack()))
			refuse(w, faultf(http.StatusInternalServerError, "internal error: see the log"))
		}
	}()
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

	if s.arrives(r) {
		s.web.Arrive(w, r)
		return
	}
	if f := s.admit(r); f != nil {
		if s.refused.Allow() {
			s.Log.Warn("admin request refused", "who", r.RemoteAddr, "status", f.status, "why", f.text)
		}
		h.Set("Connection", "close") // so that the body of a refused request takes neither time nor a slot
		if isPage(r) {
			s.web.Fail(w, r, f)
			return
		}
		refuse(w, f)
		return
	}
	s.route(w, r)
}

// route calls the handler of a request. A request without a handler is answered in
// JSON, too.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	h, pattern := s.mux.Handler(r)
	if pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	miss := &unrouted{header: http.Header{}, status: http.StatusNotFound}
	h.ServeHTTP(miss, r)
	if miss.status == http.StatusMethodNotAllowed {
		notAllowed(w, r, miss.header.Get("Allow"))
		return
	}
	refuse(w, faultf(http.StatusNotFound, "no such path; GET /openapi.yaml lists all paths"))
}

// notAllowed refuses a method of a path that has others.
func notAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	refuse(w, faultf(http.StatusMethodNotAllowed, "method %s is not allowed here; allowed: %s", cut(r.Method), allow))
}

// unrouted takes the answer of the standard library to a request that has no route.
type unrouted struct {
	header http.Header
	status int
}

func (u *unrouted) Header() http.Header         { return u.header }
func (u *unrouted) Write(p []byte) (int, error) { return len(p), nil }
func (u *unrouted) WriteHeader(status int)      { u.status = status }

// admit returns why a request is refused; nil if it is not.
func (s *Server) admit(r *http.Request) *fault {
	if c, ok := r.Context().Value(callerKey{}).(caller); !ok || !c.local {
		if f := s.fromPage(r); f != nil {
			return f
		}
		if f := s.identify(r); f != nil {
			return f
		}
	}
	writes := r.Method != http.MethodGet && r.Method != http.MethodHead
	if writes && !open[r.URL.Path] && s.roleOf(r) == viewer {
		return faultf(http.StatusForbidden, "the viewer token changes nothing")
	}
	if p := r.URL.Path; p != path.Clean(p) && p != path.Clean(p)+"/" {
		return faultf(http.StatusBadRequest, "the path holds an empty element, \".\" or \"..\"")
	}
	if s.masks(r) && !masked(r) {
		return faultf(http.StatusForbidden, `history { numbers = "masked" }: the viewer token reads the page, and of the API what shows numbers and accounts masked or not at all: see openapi.yaml`)
	}
	budget := s.budgets.of(r)
	limit := budget.reads
	if writes {
		limit = budget.writes
	}
	if !limit.Allow() {
		return faultf(http.StatusTooManyRequests, "too many requests: the limit of a client is %g per second", float64(limit.Limit()))
	}
	return nil
}

// masks reports whether a caller may read numbers and accounts only as the history masks them.
func (s *Server) masks(r *http.Request) bool {
	return s.History.Settings().Masked && s.roleOf(r) == viewer
}

// masked reports whether an answer to such a caller has no number and no account in full.
func masked(r *http.Request) bool {
	switch r.URL.Path {
	case "/events":
		brief, _ := flagOf(r, "brief") // else it is refused
		return brief
	case "/security/status", "/security/stats", "/security/rules", "/security/sources",
		"/security/history", "/security/incidents", "/metrics", "/openapi.yaml":
		return true
	}
	return open[r.URL.Path] || isPage(r)
}

// fromPage refuses the requests of a web page in a browser. Such a page can send
// requests to any address that the browser reaches: with a foreign Origin, or, if its
// own name resolves to our address, with a foreign Host.
func (s *Server) fromPage(r *http.Request) *fault {
	if !s.known(r) {
		return faultf(http.StatusForbidden, "the Host header names another host: use the address of this listener, or add the name to hosts")
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return faultf(http.StatusForbidden, "requests from other sites are refused")
	}
	for _, origin := range r.Header.Values("Origin") {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return faultf(http.StatusForbidden, "requests from other origins are refused")
		}
	}
	return nil
}

// known reports whether the Host of a request is a configured name or the address of
// the connection. The port does not matter: it may have been forwarded.
func (s *Server) known(r *http.Request) bool {
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"), ".")
	if slices.ContainsFunc(s.hosts, func(h string) bool { return strings.EqualFold(h, name) }) {
		return true
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil {
		return false
	}
	ours, ok := addrOf(local)
	if !ok {
		return false
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		addr = addr.Unmap().WithZone("")
		return addr == ours || addr.IsLoopback() && ours.IsLoopback()
	}
	return strings.EqualFold(name, "localhost") && ours.IsLoopback()
}
