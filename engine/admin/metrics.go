package admin

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// requestCounter counts requests by route and status. Both come from us, so that
// no caller can make labels.
type requestCounter struct{ *prometheus.CounterVec }

func newRequestCounter() requestCounter {
	return requestCounter{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "freeswitch_security_api_requests_total",
		Help: "Requests to the HTTP API that were let in.",
	}, []string{"method", "route", "status"})}
}

// counted has the requests to a handler counted.
func (c requestCounter) counted(pattern string, h http.HandlerFunc) http.HandlerFunc {
	method, route, _ := strings.Cut(pattern, " ")
	return func(w http.ResponseWriter, r *http.Request) {
		seen := &seenStatus{ResponseWriter: w, status: http.StatusOK}
		h(seen, r)
		c.WithLabelValues(method, route, strconv.Itoa(seen.status)).Inc()
	}
}

// seenStatus remembers the status of an answer.
type seenStatus struct {
	http.ResponseWriter
	status int
}

func (s *seenStatus) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap is how [http.ResponseController] finds the writer beneath.
func (s *seenStatus) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// metrics answers GET /metrics from a registry of its own.
func (s *Server) metrics(requests requestCounter) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(s), requests, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}
