package esl

import (
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A summary writes lines of one kind to the log. In a flood a line has the number of those that
// it stands for, and the values of the last.
type summary struct {
	message, unit string

	mu    sync.Mutex // guards what follows
	limit *rate.Limiter
	count int // since the last line
	last  []any
}

func newSummary(message, unit string) summary {
	return summary{message: message, unit: unit, limit: rate.NewLimiter(rate.Every(10*time.Second), 10)}
}

// add counts one, and writes a line if there was none lately.
func (s *summary) add(log *slog.Logger, attrs ...any) {
	s.mu.Lock()
	s.count++
	s.last = attrs
	s.mu.Unlock()
	s.tell(log)
}

// tell writes what is left of a flood, if there was no line lately.
func (s *summary) tell(log *slog.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count > 0 && s.limit.Allow() {
		log.Info(s.message, append(s.last, s.unit, s.count)...)
		s.count, s.last = 0, nil
	}
}
