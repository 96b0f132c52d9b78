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

// TestCountersGoOn: the counters of a source that failed stay, and go on when it is started again.
func TestCountersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := runQuietly(t, guessing(t, config.Source{Ref: "log.x", Source: &failing{}}))
		for i, want := range []status.Source{{Lines: 1, Fault: "broken pipe"}, {Lines: 2, Running: true}} {
			time.Sleep(restartAfter - time.Second)
			s, err := e.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Sources[0]; got.Running != want.Running || got.Lines != want.Lines || got.Fault != want.Fault {
				t.Errorf("%d: %+v, want %+v", i, got, want)
			}
		}
	})
}
