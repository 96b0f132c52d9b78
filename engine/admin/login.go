package admin

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A role is what a caller may do.
type role int

const (
	stranger role = iota // nothing
	viewer               // see
	operator             // see and change
)

// open are the paths that need no token: they tell nothing about the guard, or what /health tells strangers.
var open = map[string]bool{"/health": true, "/login": true, "/logout": true, "/page.css": true, "/page.js": true, "/favicon.ico": true}

// identify refuses a request without a token, if one is configured.
func (s *Server) identify(r *http.Request) *fault {
	if open[r.URL.Path] || s.roleOf(r) != stranger {
		return nil
	}
	if !s.guesses.Allow() {
		return faultf(http.StatusTooManyRequests, "too many requests without the right token")
	}
	if r.Header.Get("Authorization") == "" {
		return faultf(http.StatusUnauthorized, "a token is needed: send \"Authorization: Bearer TOKEN\"")
	}
	return faultf(http.StatusUnauthorized, "wrong token")
}

// roleOf returns the role of a caller: by the unix socket, the token in its request, or the cookie of a login.
func (s *Server) roleOf(r *http.Request) role {
	if s.token == nil {
		return operator
	}
	if c, ok := r.Context().Value(callerKey{}).(caller); ok && c.local {
		return operator
	}
	if scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return s.roleOfToken(strings.TrimSpace(given))
	}
	return s.roleOfCookie(r)
}

// digest returns the digest of a token; nil if there is none.
func digest(token string) *[sha256.Size]byte {
	if token == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(token))
	return &sum
}

// roleOfToken compares digests, so that neither a token nor its length can be measured by time.
func (s *Server) roleOfToken(given string) role {
	sum := sha256.Sum256([]byte(given))
	switch {
	case s.token != nil && subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1:
		return operator
	case s.viewer != nil && subtle.ConstantTimeCompare(sum[:], s.viewer[:]) == 1:
		return viewer
	}
	return stranger
}

// The cookie of a login. It holds no token: programs on other ports of the host get it, too. It is the end of
// the login, and a code of that which only the token makes. Another token ends all logins.
const (
	cookieName = "freeswitch-security"
	loginTime  = 7 * 24 * time.Hour
)

// seal returns the code of the end of a login.
func seal(token *[sha256.Size]byte, end string) []byte {
	mac := hmac.New(sha256.New, token[:])
	mac.Write([]byte("freeswitch-security login until " + end))
	return mac.Sum(nil)
}

func (s *Server) roleOfCookie(r *http.Request) role {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return stranger
	}
	end, code, _ := strings.Cut(cookie.Value, ".")
	given, err := base64.RawURLEncoding.DecodeString(code)
	if err != nil {
		return stranger
	}
	until, err := strconv.ParseInt(end, 10, 64)
	switch {
	case err != nil || time.Now().Unix() >= until:
		return stranger
	case hmac.Equal(given, seal(s.token, end)):
		return operator
	case s.viewer != nil && hmac.Equal(given, seal(s.viewer, end)):
		return viewer
	}
	return stranger
}

// Login implements [page.Guard].
func (g pageGuard) Login(r *http.Request, token string) (*http.Cookie, error) {
	of := g.token
	switch g.roleOfToken(token) {
	case stranger:
		f := faultf(http.StatusUnauthorized, "This is not the token.")
		if !g.guesses.Allow() {
			f = faultf(http.StatusTooManyRequests, "Too many wrong tokens. Wait a second.")
		}
		if g.refused.Allow() {
			g.Log.Warn("admin request refused", "who", r.RemoteAddr, "status", f.status, "why", "wrong token at the login")
		}
		return nil, f
	case viewer:
		of = g.viewer
	}
	end := strconv.FormatInt(time.Now().Add(loginTime).Unix(), 10)
	c := cookieFor(r)
	c.Value, c.MaxAge = end+"."+base64.RawURLEncoding.EncodeToString(seal(of, end)), int(loginTime.Seconds())
	return c, nil
}

// Logout implements [page.Guard].
func (pageGuard) Logout(r *http.Request) *http.Cookie {
	c := cookieFor(r)
	c.MaxAge = -1
	return c
}

// cookieFor is an empty cookie. Behind a proxy the browser's Origin says that it uses TLS.
func cookieFor(r *http.Request) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://"),
	}
}
