package admin

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// requestsMetric counts the requests to the API. Its labels come from the routes, so
// that no caller can make up new ones.
var requestsMetric = Metric{
	Name: "freeswitch_security_api_requests_total", Type: "counter",
	Help: "Requests to the HTTP API that were let in.", Labels: []string{"method", "route", "status"},
}

// requestCounter counts requests by route and status.
type requestCounter struct{ *prometheus.CounterVec }

func newRequestCounter() requestCounter {
	return requestCounter{prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: requestsMetric.Name, Help: requestsMetric.Help}, requestsMetric.Labels)}
}

// counted wraps the handler of a pattern.
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

// Unwrap gives [http.ResponseController] the writer beneath.
func (s *seenStatus) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// metrics answers GET /metrics from a registry of its own.
func (s *Server) metrics(requests requestCounter) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{s}, requests, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// A collector makes the metrics in [families] from the snapshots that the API shows.
type collector struct{ server *Server }

func (c collector) Describe(out chan<- *prometheus.Desc) {
	out <- upMetric.desc()
	out <- buildMetric.desc()
	for _, f := range families {
		out <- f.desc()
	}
}

func (c collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), c.server.limits.look)
	defer cancel()
	out <- prometheus.MustNewConstMetric(buildMetric.desc(), prometheus.GaugeValue, 1, c.server.Version)
	report, err := c.server.report(ctx, recently, false)
	out <- prometheus.MustNewConstMetric(upMetric.desc(), prometheus.GaugeValue, number(err == nil))
	if err != nil {
		return
	}
	for _, f := range families {
		f.emit(f.desc(), report, out)
	}
}
