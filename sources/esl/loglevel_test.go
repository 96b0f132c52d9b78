package esl

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/esl"
	"freeswitch-security/engine/esl/esltest"
	"freeswitch-security/engine/event"
)

// A levelled switch hides warnings while quiet is set.
type levelled struct {
	take  func(esl.Message)
	quiet bool
	tests int
}

func (s *levelled) API(_ context.Context, command string, args ...string) (string, error) {
	if command != "log" || args[0] != "warning" {
		return "", &esl.Refusal{Text: "-ERR"}
	}
	if s.tests++; !s.quiet {
		s.take(esl.Message{Record: true, Headers: headers{"Log-Level": "4", "Log-File": "mod_commands.c"}, Body: "2026-11-22 22:17:30.481842 18.50% [WARNING] mod_commands.c:7247 " + args[1]})
	}
	return "+OK", nil
}

func (s *levelled) Close() error { return nil }

// TestHiddenLevel sets the log level of a quiet switch to ERR and back, and listens for a day.
func TestHiddenLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := testSource().follower(map[string]bool{event.UnknownUser: true}, newSink())
		sw := &levelled{take: f.take}
		f.lister.dial = func(context.Context) (console, error) { return sw, nil }
		f.listen = func(ctx context.Context, _ esl.Subscription, up func(), _ func(esl.Message)) error {
			up()
			<-ctx.Done()
			return ctx.Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.run(ctx)
		}()
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
			sw.quiet = quiet
			f.take(*message("API", time.Now(), "API-Command", "fsctl", "API-Command-Argument", "loglevel "+level))
		}
		want(24*time.Hour, "")
		if sw.tests != 1 {
			t.Errorf("%d tests in a quiet day", sw.tests)
		}
		f.take(*message("API", time.Now(), "API-Command", "status"))
		set(true, "3")
		want(time.Minute, "the log level of FreeSWITCH hides warnings")
		want(time.Hour, "the log level of FreeSWITCH hides warnings")
		set(false, "7")
		want(time.Minute, "")
		cancel()
		<-done
	})
}

// TestLevelOverTheSocket: the fake switch shows and hides the record of a test.
func TestLevelOverTheSocket(t *testing.T) {
	fake := esltest.Start(t, esltest.Options{})
	records := make(chan esl.Message, 10)
	sw, ctx := switchAt(fake), t.Context()
	go func() {
		_ = sw.Listen(ctx, esl.Subscription{Events: []string{"API"}, LogLevel: warning}, func() {}, func(m esl.Message) { records <- m })
	}()
	if err := fake.Await(ctx, "log 4"); err != nil {
		t.Fatal(err)
	}
	c, err := sw.Console(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, level := range []string{"3", "warning"} { // the first hides its test
		if answer, err := c.API(ctx, "fsctl", "loglevel", level); err != nil || !strings.HasPrefix(answer, "+OK log level: ") {
			t.Fatal(answer, err)
		}
		if m := <-records; m.Name() != "API" || m.Headers["API-Command-Argument"] != "loglevel "+level {
			t.Fatalf("%+v", m)
		}
		if err := esl.TestLevel(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	if m := <-records; !esl.IsLevelTest(&m) {
		t.Errorf("%+v", m)
	}
}
