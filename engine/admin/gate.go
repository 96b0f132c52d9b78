package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"runtime/debug"
	"slices"
	"strings"
)

// ServeHTTP lets a request in or refuses it, in this order of reasons: it comes by
// way of a web page, its path is not what it seems, it lacks the token, it is one
// too many.
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

	if f := s.admit(r); f != nil {
		if s.refused.Allow() {
			s.Log.Warn("admin request refused", "who", r.RemoteAddr, "status", f.status, "why", f.text)
		}
		h.Set("Connection", "close") // who is not let in has neither our time for his body nor one of our slots
		refuse(w, f)
		return
	}
	s.route(w, r)
}

// route hands the request to whom it is for. What nobody is there for is answered
// in JSON, too.
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
	refuse(w, faultf(http.StatusNotFound, "there is nothing of this name; GET /openapi.yaml lists what there is"))
}

// notAllowed refuses a method where there are others.
func notAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	refuse(w, faultf(http.StatusMethodNotAllowed, "%s cannot be done here: %s can", cut(r.Method), allow))
}

// unrouted takes the answer of the standard library to a request that fits no
// route, to be put into our words.
type unrouted struct {
	header http.Header
	status int
}

func (u *unrouted) Header() http.Header         { return u.header }
func (u *unrouted) Write(p []byte) (int, error) { return len(p), nil }
func (u *unrouted) WriteHeader(status int)      { u.status = status }

// admit returns why a request is not let in; nil: it is.
func (s *Server) admit(r *http.Request) *fault {
	if c, ok := r.Context().Value(callerKey{}).(caller); !ok || !c.local {
		if f := s.fromPage(r); f != nil {
			return f
		}
		if f := s.identify(r); f != nil {
			return f
		}
	}
	if p := r.URL.Path; p != path.Clean(p) && p != path.Clean(p)+"/" {
		return faultf(http.StatusBadRequest, "the path holds an empty element, \".\" or \"..\"")
	}
	budget := s.reads
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		budget = s.writes
	}
	if !budget.Allow() {
		return faultf(http.StatusTooManyRequests, "too many requests: %g in a second is the most", float64(budget.Limit()))
	}
	return nil
}

// fromPage refuses what a web page in somebody's browser asks for. Such a page
// can send requests to any address the browser reaches: as a foreign origin,
// which the browser tells, or, having its own name resolved to our address, as
// a foreign host.
func (s *Server) fromPage(r *http.Request) *fault {
	if !s.known(r) {
		return faultf(http.StatusForbidden, "the Host header names somebody else: use the address that this listens on, or add the name to hosts")
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

// known tells whether the Host of a request is one of ours: a name that was
// configured, or the very address that was connected to. The port does not
// matter: it may have been forwarded.
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

// identify refuses whoever has no token where there must be one. The health of
// the server everybody may ask for.
func (s *Server) identify(r *http.Request) *fault {
	if s.hasToken(r) || r.URL.Path == "/health" {
		return nil
	}
	if !s.guesses.Allow() {
		return faultf(http.StatusTooManyRequests, "too many requests without the right token")
	}
	if r.Header.Get("Authorization") == "" {
		return faultf(http.StatusUnauthorized, "a token is needed: send it as \"Authorization: Bearer TOKEN\"")
	}
	return faultf(http.StatusUnauthorized, "this is not the token")
}

// hasToken tells whether a request carries the token, if one is needed. Digests
// are compared, so that the time tells nothing, the length of the token neither.
func (s *Server) hasToken(r *http.Request) bool {
	if s.token == nil {
		return true
	}
	if c, ok := r.Context().Value(callerKey{}).(caller); ok && c.local {
		return true
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(given)))
	return subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}
