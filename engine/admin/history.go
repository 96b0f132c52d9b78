package admin

import (
	"net/http"
	"net/url"
	"time"

	"freeswitch-security/engine/history"
)

// showHistory answers GET /security/history: by default of the last day.
func (s *Server) showHistory(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	now := time.Now()
	from, err := timeOf(q, "from", now.Add(-24*time.Hour))
	if err != nil {
		return err
	}
	to, err := timeOf(q, "to", now)
	if err != nil {
		return err
	}
	var step time.Duration
	if text := q.Get("step"); text != "" {
		term, err := parseTTL(text)
		if err != nil {
			return faultf(http.StatusBadRequest, "step: %q is not a duration such as 5m", cut(text))
		}
		step = time.Duration(term)
	}
	span, err := s.History.Between(from, to, step)
	if err != nil {
		return &fault{http.StatusBadRequest, err.Error()}
	}
	answer(w, http.StatusOK, span)
	return nil
}

// The default and the maximum of the incidents in an answer.
const (
	someIncidents = 100
	maxIncidents  = 1000
)

// showIncidents answers GET /security/incidents: by default of the last day.
func (s *Server) showIncidents(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	from, err := timeOf(q, "from", time.Now().Add(-24*time.Hour))
	if err != nil {
		return err
	}
	limit, err := whole(q, "limit", someIncidents, maxIncidents)
	if err != nil {
		return err
	}
	all := s.History.Incidents(from)
	answer(w, http.StatusOK, struct {
		Incidents []history.Incident `json:"incidents"`
		All       int                `json:"all"`
	}{all[:min(limit, len(all))], len(all)})
	return nil
}

// timeOf reads a time from a query.
func timeOf(q url.Values, name string, standard time.Time) (time.Time, error) {
	text := q.Get(name)
	if text == "" {
		return standard, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, faultf(http.StatusBadRequest, "%s: %q is not a time such as 2026-05-04T10:00:00Z", name, cut(text))
	}
	return at, nil
}
