package engine

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/plugin"
)

// A faulty source cannot be read for a while.
type faulty struct {
	*script
	fault atomic.Value
}

func (f *faulty) Same(other any) bool { return f == other }

func (f *faulty) Progress() plugin.Progress { return plugin.Progress{Fault: f.fault.Load().(string)} }

func (f *faulty) Follow(ctx context.Context, _ []byte, _ map[string]bool, _ plugin.Sink) error {
	<-ctx.Done()
	return nil
}

func TestAFaultIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &faulty{script: &script{}}
		src.fault.Store("")
		var log strings.Builder
		e := New(guessing(t, config.Source{Ref: "esl.pbx", Source: src}), Options{
			Tell: func(Verdict) {}, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		for _, fault := range []string{"", "refused the password", "", ""} {
			src.fault.Store(fault)
			<-time.After(5 * lookEvery)
			synctest.Wait()
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if strings.Count(log.String(), `msg="source cannot be read" source=esl.pbx err="refused the password"`) != 1 ||
			strings.Count(log.String(), `msg="source is read again" source=esl.pbx`) != 1 {
			t.Errorf("the log:\n%s", &log)
		}
	})
}
