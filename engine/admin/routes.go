package admin

import (
	_ "embed"
	"net/http"
)

//go:embed openapi.yaml
var openAPI []byte

// routes lists the operations that openapi.yaml describes.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	requests := newRequestCounter()
	sized := func(pattern string, most int64, h handler) {
		counted := requests.counted(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := h(w, r); err != nil {
				refuse(w, asFault(err))
			}
		})
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			// w must be the standard library's own here. Else the library does not learn that
			// the rest of a body is unwanted, and waits for it before it answers.
			r.Body = http.MaxBytesReader(w, r.Body, most)
			counted(w, r)
		})
	}
	handle := func(pattern string, h handler) { sized(pattern, s.limits.bodyBytes, h) }

	handle("GET /health", s.health)
	handle("GET /security/status", s.show(func(r *report) any { return &r.Status }))
	handle("GET /security/stats", s.show(func(r *report) any { return &r.Stats }))

	handle("GET /security/blacklist", s.listBans)
	handle("POST /security/blacklist", add(s, s.bans()))
	sized("POST /security/blacklist/batch", s.limits.batchBytes, addAll(s, s.bans()))
	handle("GET /security/blacklist/{ip...}", s.showBan)
	handle("DELETE /security/blacklist/{ip...}", s.removeBan)
	handle("DELETE /security/blacklist", s.removeBans)

	handle("GET /security/whitelist", s.listTrusted)
	handle("POST /security/whitelist", add(s, s.trusts()))
	sized("POST /security/whitelist/batch", s.limits.batchBytes, addAll(s, s.trusts()))
	handle("GET /security/whitelist/{ip...}", s.showTrusted)
	handle("DELETE /security/whitelist/{ip...}", s.removeTrust)

	// Else the standard library redirects other methods to the path with an empty {ip}.
	for list, allow := range map[string]string{"/security/blacklist": "DELETE, GET, HEAD, POST", "/security/whitelist": "GET, HEAD, POST"} {
		mux.HandleFunc(list, func(w http.ResponseWriter, r *http.Request) { notAllowed(w, r, allow) })
	}

	handle("GET /security/iptables", s.showKernel)
	handle("GET /security/rules", s.show(func(r *report) any { return map[string]any{"rules": r.Rules} }))
	handle("GET /security/sources", s.show(func(r *report) any { return map[string]any{"sources": r.Sources} }))
	handle("GET /security/trackers", s.showTrackers)
	handle("GET /security/history", s.showHistory)
	handle("GET /security/incidents", s.showIncidents)
	handle("POST /security/reload", s.reload)
	handle("POST /security/test", s.test)

	for pattern, h := range s.web.Routes() {
		handle(pattern, h)
	}

	handle("GET /events", s.watch)
	metrics := s.metrics(requests)
	handle("GET /metrics", func(w http.ResponseWriter, r *http.Request) error {
		metrics.ServeHTTP(w, r)
		return nil
	})
	handle("GET /openapi.yaml", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(openAPI) // after an error the caller is gone
		return nil
	})
	return mux
}
