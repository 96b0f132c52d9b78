package admin

import (
	"context"
	"net/http"
	"time"

	"freeswitch-security/engine/status"
)

// statusAge is the maximal age of a snapshot: to take one interrupts the engine for
// some microseconds.
const statusAge = 250 * time.Millisecond

// A report is a snapshot of the engine together with a look at the kernel.
type report struct {
	status.Status
	kernel *kernelTable // nil: it could not be read
}

// whole tells whether the numbers of the kernel are complete. In a dry run it is not
// read.
func (r *report) whole() bool { return r.kernel != nil && !r.kernel.unread && !r.DryRun }

// report returns a snapshot with its problems, and a look at the kernel that is no
// older than age. An error says that the engine does not answer.
func (s *Server) report(ctx context.Context, age time.Duration, masked bool) (*report, error) {
	st, err := s.status.within(ctx, statusAge)
	if err != nil {
		return nil, faultf(http.StatusServiceUnavailable, "status: %v", err)
	}
	r := &report{Status: st}
	r.Version = s.Version
	views := []status.Kernel{{Problems: status.List[status.Problem]{{Severity: status.Critical, Subject: "kernel"}}}}
	if r.kernel, err = s.kernel.within(ctx, age); err != nil {
		views[0].Problems[0].Text = err.Error()
	} else {
		views = r.kernel.views
	}
	r.Problems = status.Problems(&st, views)
	r.Severity = status.Worst(r.Problems)
	if masked {
		r.Mask()
	}
	if r.whole() {
		r.Stats.DroppedPackets, r.Stats.DroppedBytes = &r.kernel.packets, &r.kernel.bytes
	}
	return r, nil
}

// Health is the answer to GET /health. Without a token it is the severity alone.
type Health struct {
	Severity status.Severity              `json:"status"`
	Version  string                       `json:"version,omitempty"`
	Problems *status.List[status.Problem] `json:"problems,omitempty"`
}

// health answers GET /health: always 200, so that a supervisor does not restart the
// program because a switch is down.
func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	h := Health{Severity: status.Critical, Problems: &status.List[status.Problem]{}}
	report, err := s.report(r.Context(), s.kernel.affordable(lately), s.masks(r))
	if err != nil {
		*h.Problems = append(*h.Problems, status.Problem{Severity: status.Critical, Subject: "engine", Text: err.Error()})
	} else {
		h.Severity, h.Problems = report.Severity, &report.Problems
	}
	if s.roleOf(r) != stranger {
		h.Version = s.Version
	} else {
		h.Problems = nil
	}
	answer(w, http.StatusOK, h)
	return nil
}

// show answers a GET with a part of the report.
func (s *Server) show(part func(*report) any) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		report, err := s.report(r.Context(), recently, s.masks(r))
		if err == nil {
			answer(w, http.StatusOK, part(report))
		}
		return err
	}
}
