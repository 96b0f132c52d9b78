package admin

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/status"
)

// The default and the maximum of the trackers in an answer.
const (
	topTrackers    = 20
	maxTopTrackers = 1000
)

// showTrackers answers GET /security/trackers. The trackers belong to the goroutine that
// counts, so requests for them wait for one another.
func (s *Server) showTrackers(w http.ResponseWriter, r *http.Request) error {
	top, err := whole(r.URL.Query(), "top", topTrackers, maxTopTrackers)
	if err != nil {
		return err
	}
	banned := true
	if r.URL.Query().Has("banned") {
		if banned, err = flagOf(r, "banned"); err != nil {
			return err
		}
	}
	most := top
	if !banned {
		most = maxTopTrackers
	}
	var trackers []status.Tracker
	err = s.look(r.Context(), s.limits.change, func(ctx context.Context) (err error) {
		trackers, err = s.Engine.Trackers(ctx, most)
		return err
	})
	if err != nil {
		return err
	}
	if !banned {
		trackers = slices.DeleteFunc(trackers, s.isBanned)
	}
	trackers = trackers[:min(top, len(trackers))]
	answer(w, http.StatusOK, map[string]any{"trackers": status.List[status.Tracker](trackers)})
	return nil
}

// isBanned reports whether the address or the account of a key is banned.
func (s *Server) isBanned(t status.Tracker) bool {
	for part := range strings.SplitSeq(t.Key, ",") {
		if target, err := ban.ParseTarget(part); err == nil {
			if _, banned := s.Engine.Ledger().Covering(target); banned {
				return true
			}
		}
	}
	return false
}

// look asks the engine beyond its snapshots, for one request at a time, within a time.
func (s *Server) look(ctx context.Context, within time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	select {
	case s.looking <- struct{}{}:
		defer func() { <-s.looking }()
		return do(ctx)
	case <-ctx.Done():
		return faultf(http.StatusServiceUnavailable, "the engine is busy with other requests")
	}
}

// reload answers POST /security/reload.
func (s *Server) reload(w http.ResponseWriter, r *http.Request) error {
	who := s.callerOf(r)
	var diagnostics status.List[status.Diagnostic]
	// Without support for deadlines, that of the whole server holds.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.limits.reload + s.limits.write))
	err := s.look(r.Context(), s.limits.reload, func(ctx context.Context) (err error) {
		diagnostics, err = s.Reload(ctx)
		return err
	})
	s.outdate()
	s.audit(&who, auditEntry{what: "reload", reason: reasonOf(r)}, err)
	if err != nil && slices.ContainsFunc(diagnostics, func(d status.Diagnostic) bool { return d.Severity == "error" }) {
		answer(w, http.StatusUnprocessableEntity, struct {
			failure
			Diagnostics status.List[status.Diagnostic] `json:"diagnostics"`
		}{failure{err.Error()}, diagnostics})
		return nil
	}
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, struct {
		Status      string                         `json:"status"`
		Message     string                         `json:"message"`
		Diagnostics status.List[status.Diagnostic] `json:"diagnostics"`
	}{success, "rules reloaded", diagnostics})
	return nil
}

// A probeRequest is the body of a test.
type probeRequest struct {
	Source string            `json:"source"`
	Line   string            `json:"line"`
	Event  map[string]string `json:"event"`
}

// test answers POST /security/test.
func (s *Server) test(w http.ResponseWriter, r *http.Request) error {
	var q probeRequest
	if err := decode(r, &q); err != nil {
		return err
	}
	if (q.Line == "") == (len(q.Event) == 0) {
		return faultf(http.StatusBadRequest, "body: give a line or an event, not both")
	}
	var found engine.Findings
	err := s.look(r.Context(), s.limits.change, func(ctx context.Context) (err error) {
		found, err = s.Engine.Probe(ctx, engine.Probe(q))
		return err
	})
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, found)
	return nil
}
