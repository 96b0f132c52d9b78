package esl

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/event"
)

// TestHearing follows a stream that comes up, loses events, falls behind and goes down.
func TestHearing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, busy := testSource(), newSink()
		busy.free = make(chan struct{})
		f := s.follower(map[string]bool{event.AuthFailure: true, event.ACLReject: true}, busy)
		steps := make(chan func(func(esl.Message)))
		down := errors.New("unplugged")
		f.listen = func(ctx context.Context, _ esl.Subscription, up func(), take func(esl.Message)) error {
			up()
			for step := range steps {
				if step == nil {
					return down
				}
				step(take)
			}
			<-ctx.Done()
			return ctx.Err()
		}
		end := start(t, f)
		heard := func(since time.Time, what string) {
			t.Helper()
			synctest.Wait()
			h := f.progress.Hearing()
			if !h.Events.Equal(since) || !h.Records.Equal(since) {
				t.Errorf("%s: heard since %s, records since %s; want %s", what, h.Events, h.Records, since)
			}
		}
		heard(time.Now(), "up")
		<-time.After(time.Second)
		steps <- func(take func(esl.Message)) {
			take(esl.Message{Record: true, Headers: map[string]string{"Log-File": "mod_event_socket.c"},
				Body: "2026-11-22 22:13:32.361853 90.00% [CRIT] mod_event_socket.c:401 Lost [3] events! Event Queue size: [1/100000]"})
		}
		heard(time.Now(), "after a loss")
		steps <- func(take func(esl.Message)) {
			for range maxQueued + 10 {
				take(*failure(noon, "192.0.2.1", "5060", "1"))
			}
		}
		heard(time.Time{}, "behind")
		since := time.Now()
		close(busy.free)
		heard(since, "caught up")
		steps <- nil
		heard(time.Time{}, "down")
		close(steps)
		end()
	})
}
