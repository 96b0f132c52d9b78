package engine

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// An offering source reports bursts of calls in turns on its own goroutine, once the engine takes them, and as
// others do.
type offering struct {
	script
	bursts, refused int
}

func (s *offering) Follow(_ context.Context, stream plugin.Stream) error {
	stream.Ready()
	for n := range s.bursts {
		burst := make([]*event.Event, 3)
		for i := range burst {
			ev := ofCall(event.Call, fmt.Sprint(n, i), time.Now())
			burst[i] = &ev
		}
		for n%2 == 0 && !stream.Offer(burst) {
			s.refused++
			runtime.Gosched()
		}
		for _, ev := range burst {
			if n%2 == 1 {
				stream.Emit(ev)
			}
		}
	}
	return nil
}

// TestOffer offers bursts beside reports, looks at the state and a reload: each event is counted once, and what is
// decided is passed on.
func TestOffer(t *testing.T) {
	t.Parallel()
	source, bans := &offering{bursts: 400}, 0
	cfg := parallel(t, source)
	e := New(cfg, Options{OnChange: func(c *ban.Change) {
		if c.Kind == ban.KindBan {
			bans++
		}
	}})
	ended := make(chan error)
	go func() { ended <- e.Run(t.Context()) }()
	for looks := true; looks; {
		looks = e.Do(t.Context(), func() { e.Reload(cfg) }) == nil
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if bans == 0 || e.events != uint64(3*source.bursts) || source.refused == 0 {
		t.Errorf("%d bans, %d events of %d bursts, %d refused at first", bans, e.events, source.bursts, source.refused)
	}
}

// TestManyDecisions decides on many changes in a burst: those that are mere refusals need no room, also after bans.
func TestManyDecisions(t *testing.T) {
	for name, test := range map[string]struct{ bans, refusals, want int }{
		"refusals": {0, 3 * manyDecided, 0},
		"bans":     {3 * manyDecided, 0, 1},
		"both":     {manyDecided, manyDecided, 1},
	} {
		busy := 0
		e := New(parallel(t, &offering{}), Options{Busy: func() { busy++ }})
		for i := range test.bans + test.refusals {
			kind := ban.KindRefuse
			if i < test.bans {
				kind = ban.KindBan
			}
			e.decide(&ban.Change{Kind: kind, Ban: ban.Ban{Rule: "calls"}})
		}
		if busy != test.want {
			t.Errorf("%s: busy %d times, want %d", name, busy, test.want)
		}
	}
}
