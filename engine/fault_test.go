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
	"freeswitch-security/engine/status"
)

// A faulty source cannot be read for a while.
type faulty struct {
	*script
	fault   atomic.Value
	warning atomic.Value
	lost    atomic.Int64
}

func (f *faulty) Follow(ctx context.Context, stream plugin.Stream) error {
	stream.Progress.Look(func(s *status.Source) {
		s.Fault, s.Lost = f.fault.Load().(string), uint64(f.lost.Load())
		for _, severity := range []status.Severity{status.Warning, status.Info} {
			if text := f.warning.Load().(string); text != "" {
				s.Problems = append(s.Problems, status.Problem{Severity: severity, Text: text})
			}
		}
	})
	stream.Ready()
	<-ctx.Done()
	return nil
}

// logged runs an engine while its source has a problem, and returns the log.
func logged(t *testing.T, befall func(src *faulty)) string {
	t.Helper()
	var log strings.Builder
	synctest.Test(t, func(t *testing.T) {
		src := &faulty{script: &script{}}
		src.fault.Store("")
		src.warning.Store("")
		e := New(guessing(t, config.Source{Ref: "esl.pbx", Source: src}), Options{
			Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		befall(src)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
	return log.String()
}

func TestAFaultIsLoggedOnce(t *testing.T) {
	log := logged(t, func(src *faulty) {
		for _, fault := range []string{"", "refuse the password", "", ""} {
			src.fault.Store(fault)
			<-time.After(5 * lookEvery)
			synctest.Wait()
		}
	})
	if strings.Count(log, `msg="source cannot be read" source=esl.pbx err="refuse the password"`) != 1 ||
		strings.Count(log, `msg="source is read again" source=esl.pbx`) != 1 {
		t.Errorf("the log:\n%s", log)
	}
}

// TestAWarningIsLoggedOnce: a degraded source that reads has no fault.
func TestAWarningIsLoggedOnce(t *testing.T) {
	log := logged(t, func(src *faulty) {
		for _, warning := range []string{"", "no list", "no list", "", ""} {
			src.warning.Store(warning)
			<-time.After(5 * lookEvery)
			synctest.Wait()
		}
	})
	if strings.Count(log, `level=WARN msg="source degraded" source=esl.pbx err="no list"`) != 1 || strings.Count(log, `level=INFO msg="source notice" source=esl.pbx notice="no list"`) != 1 || strings.Contains(log, "read") {
		t.Errorf("the log:\n%s", log)
	}
}

// TestALossIsLogged loses an event a second for two minutes: the first is logged,
// and then, once a minute, how many more there were.
func TestALossIsLogged(t *testing.T) {
	log := logged(t, func(src *faulty) {
		<-time.After(lookEvery / 2)
		for range int(2 * lossEvery / time.Second) {
			src.lost.Add(1)
			<-time.After(time.Second)
			synctest.Wait()
		}
	})
	if strings.Count(log, "source has lost events") != 2 || !strings.Contains(log, "source=esl.pbx lost=1\n") || !strings.Contains(log, "lost=60\n") {
		t.Errorf("the log:\n%s", log)
	}
}
