package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// A failing source reads a line each time that it starts, and fails the first time.
type failing struct {
	script
	failed bool
}

func (f *failing) Follow(ctx context.Context, stream plugin.Stream) error {
	stream.Ready()
	stream.Progress.Update(func(s *status.Source) { s.Lines++ })
	if !f.failed {
		f.failed = true
		return errors.New("broken pipe")
	}
	<-ctx.Done()
	return nil
}

// TestCountersGoOn: the counters of a source go on when it is started again.
func TestCountersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := runQuietly(t, guessing(t, config.Source{Ref: "log.x", Source: &failing{}}))
		time.Sleep(time.Minute)
		var s status.Status
		if err := e.Do(t.Context(), func() { s = e.status() }); err != nil {
			t.Fatal(err)
		}
		if got := s.Sources[0]; !got.Running || got.Lines != 2 || got.Fault != "" {
			t.Errorf("%+v", got)
		}
	})
}
