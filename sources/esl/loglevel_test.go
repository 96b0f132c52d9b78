package esl

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/event"
)

// TestHiddenLevel sets the log level of a quiet switch to ERR and back, and listens for a day.
func TestHiddenLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := testSource().follower(map[string]bool{event.UnknownUser: true}, newSink())
		var hidden atomic.Bool
		tests := 0
		f.lister.hidesWarnings = func(context.Context) (bool, error) { tests++; return hidden.Load(), nil }
		f.hears()
		end := start(t, f)
		want := func(after time.Duration, problem string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			p := f.progress.Status().Problems
			if (p == nil) != (problem == "") || p != nil && !strings.HasPrefix(p[0].Text, problem) {
				t.Errorf("%v, want %q", p, problem)
			}
		}
		set := func(quiet bool, level string) {
			hidden.Store(quiet)
			f.take(*message("API", time.Now(), "API-Command", "fsctl", "API-Command-Argument", "loglevel "+level))
		}
		want(24*time.Hour, "")
		if tests != 1 {
			t.Errorf("%d tests in a quiet day", tests)
		}
		f.take(*message("API", time.Now(), "API-Command", "status"))
		set(true, "3")
		want(time.Minute, "the log level of FreeSWITCH hides warnings")
		want(time.Hour, "the log level of FreeSWITCH hides warnings")
		set(false, "7")
		want(time.Minute, "")
		set(true, "3")
		want(time.Minute, "the log level of FreeSWITCH hides warnings")
		hidden.Store(false) // without a report
		want(time.Minute, "")
		end()
	})
}
