package engine

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// A speaker is a source that reads lines and emits events every minute.
type speaker struct {
	script
	log, wire      bool
	deaf           int      // the minute after which it reads nothing; 0: never
	lines, doubted uint64   // per minute
	events         []string // per minute
	ends           int      // the minute after which it has no events; 0: never
	unread         int      // the minute until which it cannot be read
}

func (s *speaker) Describe() plugin.Description {
	d := s.script.Describe()
	d.Log, d.Hears, d.Proves = s.log, !s.log, s.wire
	return d
}

func (s *speaker) Follow(ctx context.Context, stream plugin.Stream) error {
	stream.Ready()
	for minute := 0; ; minute++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Minute):
		}
		stream.Progress.Update(func(p *status.Source) {
			if p.Fault = ""; minute < s.unread {
				p.Fault = "refused"
			}
			if s.deaf == 0 || minute < s.deaf {
				p.Lines += s.lines
			}
			p.Doubted += s.doubted
		})
		if s.ends > 0 && minute >= s.ends {
			continue
		}
		for _, name := range s.events {
			e := &event.Event{Name: name, Source: s.ref(), Time: time.Now(), Live: true,
				IP: netip.AddrFrom4([4]byte{198, 51, byte(minute >> 8), byte(minute)})}
			stream.Progress.Emitted(e)
			stream.Emit(e)
		}
	}
}

func (s *speaker) ref() string {
	switch {
	case s.log:
		return "log.a"
	case s.wire:
		return "sip.a"
	}
	return "esl.a"
}

// watched runs an engine with sources for some hours and returns what is wrong with them.
func watched(t *testing.T, hours int, sources ...config.Source) (problems []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := New(guessing(t, sources...), Options{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		<-time.After(time.Duration(hours)*time.Hour + time.Second)
		s, err := e.Status(ctx)
		if err != nil {
			t.Error(err)
		}
		for _, source := range s.Sources {
			for _, p := range source.Problems {
				problems = append(problems, source.Name+" "+p.String())
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return problems
}

func TestSight(t *testing.T) {
	failing, calling := []string{event.AuthFailure}, []string{event.Call, event.Registered}
	log := func(s speaker) config.Source { s.log = true; return config.Source{Ref: "log.a", Source: &s} }
	stream := func(s speaker) config.Source { return config.Source{Ref: "esl.a", Source: &s} }
	wire := func(s speaker) config.Source { s.wire = true; return config.Source{Ref: s.ref(), Source: &s} }
	for _, test := range []struct {
		name    string
		hours   int
		sources []config.Source
		want    string // how the only problem begins
	}{
		{"quiet", 6, []config.Source{log(speaker{lines: 50}), stream(speaker{lines: 3})}, ""},
		{"nothing at all", 6, []config.Source{log(speaker{}), stream(speaker{})}, ""},
		{"calls that the log does not show", 6, []config.Source{log(speaker{lines: 50}), stream(speaker{lines: 3, events: calling})}, ""},
		{"both see", 6, []config.Source{log(speaker{lines: 50, events: failing}), stream(speaker{lines: 3, events: failing})}, ""},
		{"a log that sees nothing", 2, []config.Source{log(speaker{lines: 50}), stream(speaker{lines: 3, events: failing})}, "log.a : it has no attack, and source.esl.a"},
		{"a stream that sees nothing", 2, []config.Source{log(speaker{lines: 50, events: failing}), stream(speaker{lines: 3})}, "esl.a : it reports no attack, and source.log.a"},
		{"a log without lines", 2, []config.Source{log(speaker{}), stream(speaker{lines: 3, events: failing})}, ""},
		{"an attack while the stream was down", 12, []config.Source{log(speaker{lines: 50, events: failing, ends: 30}), stream(speaker{lines: 3, unread: 30})}, ""},
		{"too early", 0, []config.Source{log(speaker{lines: 50}), stream(speaker{lines: 3, events: failing})}, ""},
		{"doubted", 1, []config.Source{log(speaker{lines: 50, doubted: 3, events: failing})}, "log.a : many lines that look like an attack are doubted"},
		{"a few doubted", 1, []config.Source{log(speaker{lines: 50, doubted: 1, events: failing})}, ""},
		{"no refused passwords", 1, []config.Source{log(speaker{lines: 50, events: []string{event.UnknownUser}})}, "log.a : FreeSWITCH does not log refused passwords"},
		{"refused passwords", 1, []config.Source{log(speaker{lines: 50, events: []string{event.UnknownUser, event.AuthFailure}})}, ""},
		{"a wire beside both", 3, []config.Source{log(speaker{lines: 50, events: failing}), stream(speaker{lines: 3, events: failing}), wire(speaker{lines: 9, events: failing})}, ""},
		{"a log that sees nothing beside a wire", 2, []config.Source{log(speaker{lines: 50}), stream(speaker{lines: 3, events: failing}), wire(speaker{lines: 9, events: failing})},
			"log.a : it has no attack, and source.esl.a"},
		{"a wire that sees no attack", 2, []config.Source{stream(speaker{lines: 3, events: failing}), wire(speaker{lines: 9})}, "sip.a : it reports no attack, and source.esl.a"},
		{"a wire without capture", 2, []config.Source{log(speaker{lines: 50, events: failing}), stream(speaker{lines: 3, events: failing}), wire(speaker{})}, ""},
		{"a wire that hears nothing any more", 1, []config.Source{stream(speaker{lines: 3, events: failing}), wire(speaker{lines: 9, deaf: 30, events: failing, ends: 30})}, "sip.a : it hears no packet any more"},
		{"a wire in the quiet", 1, []config.Source{stream(speaker{lines: 3, events: calling}), wire(speaker{lines: 9, deaf: 30})}, ""},
	} {
		got := watched(t, test.hours, test.sources...)
		if (test.want == "") != (got == nil) || len(got) > 1 || !strings.HasPrefix(strings.Join(got, ""), test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	two := []config.Source{log(speaker{lines: 50}), stream(speaker{lines: 3, events: failing}), log(speaker{lines: 50, events: failing})}
	two[2].Ref = "log.b"
	if got := watched(t, 3, two...); got != nil {
		t.Errorf("of several switches: %q", fmt.Sprint(got))
	}
}

// TestDoubtsEnd: a warning about doubted lines ends with them.
func TestDoubtsEnd(t *testing.T) {
	var s source
	s.stream.Progress = &plugin.Progress{}
	now := time.Now()
	step := func(d time.Duration, doubted uint64) status.Severity {
		now = now.Add(d)
		s.stream.Progress.Update(func(p *status.Source) { p.Doubted += doubted })
		s.judgeDoubts(now)
		return status.Worst(s.stream.Progress.Status().Problems)
	}
	for i, c := range []struct {
		d       time.Duration
		doubted uint64
		want    status.Severity
	}{
		{0, 0, status.OK}, {time.Second, minDoubted, status.Warning}, {doubtsWithin, 0, status.Warning}, {time.Second, 0, status.Warning}, {doubtsWithin, 0, status.OK},
	} {
		if got := step(c.d, c.doubted); got != c.want {
			t.Errorf("step %d: %s, want %s", i, got, c.want)
		}
	}
}
