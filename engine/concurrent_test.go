package engine

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
)

// parallel is a configuration with one rule: three calls of an address at once.
func parallel(t testing.TB, source plugin.Source) *config.Config {
	cfg := guessing(t, config.Source{Ref: "esl.x", Source: source})
	match, problems := rule.Compile("event == 'call'", rule.Vocabulary{Events: event.Names})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	cfg.Rules = []*rule.Spec{{
		Name: "parallel", On: []string{"esl.x"}, Match: match,
		Threshold: &rule.Threshold{Count: 3, Concurrent: true, Per: rule.Key{{Field: "ip", Network: rule.Host}}},
		Ban:       &rule.Ban{Terms: []ban.Term{ban.Term(10 * time.Minute)}, Network: rule.Host},
	}}
	return cfg
}

func ofCall(name, uuid string, at time.Time) event.Event {
	return event.Event{Name: name, Source: "esl.x", UUID: uuid, IP: netip.MustParseAddr("203.0.113.7"), Time: at}
}

// TestCallsEndWhileBanned: the end of a call counts, also if the address is banned in a replay.
func TestCallsEndWhileBanned(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, name := range []string{event.CallEnded, event.CallRejected} {
		src := &script{events: []event.Event{
			ofCall(event.Call, "a", start), ofCall(event.Call, "b", start.Add(time.Second)), ofCall(event.Call, "c", start.Add(2*time.Second)),
			ofCall(name, "a", start.Add(time.Minute)), ofCall(event.Call, "d", start.Add(time.Hour)),
		}}
		cfg := parallel(t, src)
		cfg.Actions = []config.Action{{Ref: "wall.x", Blocks: true, Action: &kernel{}}}
		var reasons []string
		e := New(cfg, Options{OnChange: func(c *ban.Change) {
			if c.Kind == ban.KindBan {
				reasons = append(reasons, c.Reason)
			}
		}})
		if _, err := e.Replay(t.Context(), []Input{{Ref: "esl.x", Source: src}}, nil); err != nil {
			t.Fatal(err)
		}
		const want = "3 calls at once, per ip 203.0.113.7"
		if !slices.Equal(reasons, []string{want, want}) {
			t.Errorf("%s: %q", name, reasons)
		}
		if aside := e.SetAside(); name == event.CallRejected && aside != 1 {
			t.Errorf("%d events were set aside: the test shows nothing", aside)
		}
	}
}

// A talker is a source that reports what the test says, until it is ended.
type talker struct {
	script
	say chan event.Event
}

func (s *talker) Follow(ctx context.Context, stream plugin.Stream) error {
	stream.Ready()
	for {
		select {
		case ev := <-s.say:
			stream.Emit(&ev)
		case <-ctx.Done():
			return nil
		}
	}
}

// TestRestartedSourceEndsCalls: a reload keeps the calls that are open. If it restarts the source, they
// are not known any more, because their ends may have been lost.
func TestRestartedSourceEndsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reasons []string
		first, second := &talker{say: make(chan event.Event)}, &talker{say: make(chan event.Event)}
		e := New(parallel(t, first), Options{OnChange: func(c *ban.Change) { reasons = append(reasons, c.Reason) }})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- e.Run(ctx) }()
		n := 0
		call := func(on *talker, want int) {
			t.Helper()
			n++
			on.say <- ofCall(event.Call, fmt.Sprint(n), time.Now())
			synctest.Wait()
			if len(reasons) != want {
				t.Errorf("after call %d: %q, want %d", n, reasons, want)
			}
		}
		reload := func(source plugin.Source) {
			t.Helper()
			if err := e.Do(ctx, func() { e.Reload(parallel(t, source)) }); err != nil {
				t.Fatal(err)
			}
		}
		call(first, 0)
		call(first, 0)
		reload(first)
		call(first, 1)
		reload(second)
		call(second, 1)
		call(second, 1)
		time.Sleep(lookEvery) // after which a refusal is told: it is banned already
		call(second, 2)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
