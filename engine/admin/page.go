package admin

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/page"
	"freeswitch-security/engine/status"
)

// A pageGuard is the server as its page asks it.
type pageGuard struct{ *Server }

// isPage reports whether a request is answered with a page.
func isPage(r *http.Request) bool {
	p := r.URL.Path
	return p == "/" || p == "/login" || p == "/logout" || strings.HasPrefix(p, "/ban/") || strings.HasPrefix(p, "/page/")
}

// arrives reports whether a person has followed a link to a page from another site, such as a chat. The
// browser sends no cookie then. It is sent on to the same address, as if from a page of ours.
func (s *Server) arrives(r *http.Request) bool {
	h := r.Header
	return isPage(r) && r.Method == http.MethodGet && h.Get("Sec-Fetch-Site") == "cross-site" &&
		h.Get("Sec-Fetch-Mode") == "navigate" && h.Get("Sec-Fetch-Dest") == "document" && s.known(r)
}

// Status implements [page.Guard].
func (g pageGuard) Status(ctx context.Context) (*status.Status, error) {
	r, err := g.report(ctx, g.kernel.affordable(lately), g.Masked())
	if err != nil {
		return nil, err
	}
	return &r.Status, nil
}

// Ledger implements [page.Guard].
func (g pageGuard) Ledger() *ban.Ledger { return g.Engine.Ledger() }

// Trusted implements [page.Guard].
func (g pageGuard) Trusted(target ban.Target) *status.Trusted {
	t, ok := g.covering(target, false)
	if !ok {
		return nil
	}
	view := trustView(&t)
	return &view
}

// Kernel implements [page.Guard].
func (g pageGuard) Kernel(ctx context.Context, now bool) (page.Kernel, error) {
	if now {
		return g.standing(ctx, recently)
	}
	t, err := g.kernel.shortly(ctx, g.kernel.affordable(lately))
	if err != nil {
		return nil, faultf(http.StatusServiceUnavailable, "kernel: %v", err)
	}
	return t, nil
}

// Trackers implements [page.Guard].
func (g pageGuard) Trackers(ctx context.Context, most int) ([]status.Tracker, error) {
	all, err := g.trackers.within(ctx, lately)
	return all[:min(most, len(all))], err
}

// History implements [page.Guard].
func (g pageGuard) History(_ context.Context, from, to time.Time) (*history.Span, error) {
	span, err := g.Server.History.Between(from, to, 0)
	return &span, err
}

// Masked implements [page.Guard].
func (g pageGuard) Masked() bool { return g.Server.History.Settings().Masked }

// Caller implements [page.Guard].
func (g pageGuard) Caller(r *http.Request) page.Caller {
	_, err := r.Cookie(cookieName)
	return page.Caller{Viewer: g.roleOf(r) == viewer, Cookie: err == nil && g.token != nil}
}

// Change implements [page.Guard].
func (g pageGuard) Change(r *http.Request, a page.Action, form url.Values) (status.Done, error) {
	d, err := g.submit(r, a, form)
	if err != nil {
		return d, asFault(err)
	}
	return d, nil
}

func (g pageGuard) submit(r *http.Request, a page.Action, form url.Values) (d status.Done, err error) {
	q := addRequest{IP: strings.TrimSpace(form.Get("ip")), Reason: form.Get("reason")}
	if a == page.Unban {
		target, err := parseTarget(q.IP)
		if err != nil {
			return d, &fault{http.StatusBadRequest, err.Error()}
		}
		return g.unban(r, target, form.Get("grace"), clean(q.Reason))
	}
	if ttl := form.Get("ttl"); ttl != "" {
		if q.TTL.term, err = parseTTL(ttl); err != nil {
			return d, &fault{http.StatusBadRequest, err.Error()}
		}
	}
	if a == page.Trust {
		return addOne(g.Server, r, g.trusts(), &q)
	}
	return addOne(g.Server, r, g.bans(), &q)
}
