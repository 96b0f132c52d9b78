package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/esl/esltest"
	"freeswitch-security/engine/golden"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"

	"github.com/google/go-cmp/cmp"
)

const concurrentRules = `
source "esl" "pbx" { address = %q }
rule "parallel" {
  on    = [source.esl.pbx]
  match = "event == 'call'"
  threshold { concurrent = 4 }
  alert { every = "0s" }

  test "the fourth call at once, and the fifth" {
    given {
      event = "call"
      ip    = "203.0.113.7"
      times = 5
      every = "1h"
    }
    alerts = { "203.0.113.7" = 2 }
  }

  test "never four at once" {
    given {
      event = "call"
      ip    = "203.0.113.7"
      uuid  = "a<n>"
      times = 3
    }
    given {
      event = "call_ended"
      uuid  = "a2"
    }
    given {
      event = "call"
      ip    = "203.0.113.7"
      uuid  = "b"
    }
    given { event = "call_ended" } # a restart of the switch
    given {
      event = "call"
      ip    = "203.0.113.7"
      times = 3
    }
    alerts = []
  }
}
rule "parallel answered" {
  on    = [source.esl.pbx]
  match = "event == 'call_answered'"
  threshold {
    concurrent = 2
    per        = "user@domain"
  }
  alert {}

  test "a call that rings does not count" {
    given {
      event  = "call"
      user   = "1000"
      domain = "pbx"
      times  = 9
    }
    given {
      event  = "call_answered"
      user   = "1000"
      domain = "pbx"
      ip     = "203.0.113.7"
    }
    alerts = []
  }

  test "a second one that is answered does" {
    given {
      event  = "call_answered"
      user   = "1000"
      domain = "pbx"
      ip     = "203.0.113.7"
      times  = 2
    }
    alerts = ["203.0.113.7"]
  }
}
`

// TestParallelCalls plays a recording of a flood of calls, at most five at once, and expects the same of a
// replay and of a guard that follows the switch.
func TestParallelCalls(t *testing.T) {
	fake := esltest.Start(t, esltest.Options{})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.hcl"), fmt.Appendf(nil, concurrentRules, fake.Addr()), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, diags, _ := config.Load(dir, kinds, func(string) (string, bool) { return "", false })
	if diags.HasErrors() || len(config.Lint(cfg)) > 0 {
		t.Fatal(diags, config.Lint(cfg))
	}
	for _, test := range cfg.Tests {
		if differences, err := engine.RunTest(cfg, test); err != nil || len(differences) > 0 {
			t.Errorf("%s: %v, %v", test.Name, differences, err)
		}
	}

	recording := golden.Read(t, "testdata/parallel.json.gz")
	var want []string
	for _, n := range []int{4, 4, 5, 4, 5, 4} {
		want = append(want, fmt.Sprintf("%d calls at once, per ip 203.0.113.4", n))
	}
	var replayed []string
	e := engine.New(cfg, engine.Options{OnChange: func(c *ban.Change) { replayed = append(replayed, c.Reason) }})
	input := engine.Input{Ref: "esl.pbx", Source: cfg.Sources[0].Source, Recording: plugin.Recording{Name: "parallel", R: bytes.NewReader(recording)}}
	if _, err := e.Replay(t.Context(), []engine.Input{input}, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, replayed); diff != "" {
		t.Errorf("replay: -want +got:\n%s", diff)
	}

	told := make(chan string, 100)
	e = engine.New(cfg, engine.Options{OnChange: func(c *ban.Change) { told <- c.Reason }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- e.Run(ctx) }()
	if err := fake.Await(t.Context(), "event json"); err != nil {
		t.Fatal(err)
	}
	if commands := fake.Commands(); !slices.ContainsFunc(commands, func(c string) bool { return strings.Contains(c, "CHANNEL_HANGUP_COMPLETE") }) {
		t.Errorf("the ends of calls are not subscribed to: %q", commands)
	}
	if err := fake.Play(bytes.NewReader(recording)); err != nil {
		t.Fatal(err)
	}
	var live []string
	for range want {
		select {
		case reason := <-told:
			live = append(live, reason)
		case <-time.After(20 * time.Second):
			t.Fatalf("told %q and no more", live)
		}
	}
	if diff := cmp.Diff(want, live); diff != "" {
		t.Errorf("live: -want +got:\n%s", diff)
	}
	// The last calls of the recording have ended.
	open := []status.Tracker{{}}
	for deadline := time.Now().Add(20 * time.Second); len(open) > 0 && time.Now().Before(deadline); {
		var err error
		if open, err = e.Trackers(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
	}
	if len(open) > 0 {
		t.Errorf("calls that are still open: %+v", open)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestCallsAtOnceInTables: open calls have no time within which they count.
func TestCallsAtOnceInTables(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	var b strings.Builder
	trackers := []status.Tracker{
		{Key: "1000@pbx", Count: 3, Limit: 12, Last: now, Rule: "parallel", Source: "esl.pbx"},
		{Key: "203.0.113.7", Count: 4, Limit: 5, Within: status.InSeconds(10 * time.Minute), Last: now, Rule: "guessing", Source: "esl.pbx"},
	}
	if err := trackerTable(trackers, now).Print(&b, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 of 12 at once", "4 of 5 10m"} {
		if got := strings.Join(strings.Fields(b.String()), " "); !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}
