package esl

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// TestSilentSwitch: a switch without heartbeats is reported, over all of its connections, and a
// quiet one with heartbeats has no problem for a day.
func TestSilentSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := testSource().follower(map[string]bool{event.AuthFailure: true}, newSink())
		beats := make(chan bool)
		f.listen = func(ctx context.Context, _ esl.Subscription, up func(), take func(esl.Message)) error {
			up()
			for {
				select {
				case <-beats:
					take(*message(esl.Heartbeat, time.Now()))
				case <-time.After(time.Minute):
					return esl.ErrSilent
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		end := start(t, f)
		want := func(severity status.Severity) {
			t.Helper()
			synctest.Wait()
			if p := f.progress.Status(); p.Fault != "" || status.Worst(p.Problems) != severity {
				t.Errorf("%+v, want %s", p, severity)
			}
		}
		day := func() {
			for range 3 * 60 * 24 {
				time.Sleep(20 * time.Second)
				beats <- true
				want(status.OK)
			}
		}
		day()
		for range 3 {
			time.Sleep(62 * time.Second)
			want(status.Warning)
		}
		day()
		end()
	})
}
