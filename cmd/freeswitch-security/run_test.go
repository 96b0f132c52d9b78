package main

import (
	"log/slog"
	"strings"
	"testing"
)

// TestStatusInTheLog: what has not happened yet has no time.
func TestStatusInTheLog(t *testing.T) {
	var log strings.Builder
	d := &running{engine: guard(t).engine, log: slog.New(slog.NewTextHandler(&log, nil))}
	d.status(t.Context())
	if !strings.Contains(log.String(), `msg="status of source" source=log.freeswitch running=true lines=0 events=0 last=never `) {
		t.Errorf("the log:\n%s", &log)
	}
}
