package enforce

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
)

// TestChangesAreRepairedAtOnce: what was heard is repaired before the next resync, and counted as
// drift; a repair that fails is followed by a resync.
func TestChangesAreRepairedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
		r := start(t, w, l, quiet)
		enter(t, l, "203.0.113.1")
		synctest.Wait()
		w.repaired = plugin.Drift{Notes: []string{"jump was missing"}}
		r.Changed()
		synctest.Wait()
		if s := r.Status(); w.repairs != 1 || w.resyncs != 1 || s.Drift.Count != 1 || len(s.Drift.Notes) != 1 {
			t.Fatalf("%d repairs, %d resyncs, %+v", w.repairs, w.resyncs, s.Drift)
		}
		w.repaired, w.unrepaired = plugin.Drift{}, errors.New("set missing")
		r.Changed()
		synctest.Wait()
		if s := r.Status(); w.resyncs != 2 || s.Failures != 0 {
			t.Fatalf("%d resyncs after a failed repair, %+v", w.resyncs, s)
		}
	})
}

// TestNothingPostponesResyncs: neither a change by others every second keeps the resync away, nor a ban.
func TestNothingPostponesResyncs(t *testing.T) {
	for name, do := range map[string]func(r *Runner, l *ban.Ledger, second int){
		"changes": func(r *Runner, _ *ban.Ledger, _ int) { r.Changed() },
		"bans":    func(_ *Runner, l *ban.Ledger, second int) { enter(t, l, fmt.Sprint("198.51.100.", second)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
				r := start(t, w, l, quiet)
				for second := range 31 {
					do(r, l, second)
					<-time.After(time.Second)
				}
				synctest.Wait()
				if w.repairs+len(w.batches) < 20 || w.resyncs < 10 {
					t.Errorf("in 31 s %d repairs, %d batches and %d resyncs", w.repairs, len(w.batches), w.resyncs)
				}
			})
		})
	}
}

// TestLongResyncsAreRarer: resyncs take at most a tenth of the time, and the next one waits a minute at most. A single long
// one, which waited for another program, postpones none.
func TestLongResyncsAreRarer(t *testing.T) {
	all := func(long time.Duration) func(int) time.Duration { return func(int) time.Duration { return long } }
	for name, test := range map[string]struct {
		long func(resyncs int) time.Duration
		want int
	}{
		"100 ms": {all(100 * time.Millisecond), 38},
		"1 s":    {all(time.Second), 11},
		"20 s":   {all(20 * time.Second), 2},
		"one of 5 s": {func(resyncs int) time.Duration {
			if resyncs == 10 {
				return 5 * time.Second
			}
			return 10 * time.Millisecond
		}, 39},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWall()
			w.long = test.long
			r := New("wall.x", w, ban.NewLedger(ban.NewTrust(nil)), everything, quiet)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			r.Run(ctx)
			if w.resyncs < test.want-1 || w.resyncs > test.want+1 {
				t.Errorf("%s: %d resyncs in two minutes, want some %d", name, w.resyncs, test.want)
			}
		})
	}
}

// TestDriftInTheLogIsBounded: of a program that changes something every second the log has some
// lines, and they sum to all repairs.
func TestDriftInTheLogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
		w.repaired = plugin.Drift{Notes: []string{"jump was missing"}}
		var lines strings.Builder
		r := start(t, w, l, slog.New(slog.NewTextHandler(&lines, nil)))
		for range 600 {
			<-time.After(time.Second)
			r.Changed()
		}
		synctest.Wait()
		n := strings.Count(lines.String(), "drift repaired")
		if n < 25 || n > 35 || !strings.Contains(lines.String(), "repairs=60") || r.Status().Drift.Count != 600 {
			t.Errorf("%d lines of %d repairs", n, r.Status().Drift.Count)
		}
	})
}

// TestInForce: an answer follows a look, has what that could not repair, and the reason of a level
// that fails or has ended.
func TestInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
		ctx, cancel := context.WithCancel(t.Context())
		r := New("wall.x", w, l, everything, quiet)
		go r.Run(ctx)
		synctest.Wait()
		for range 5 {
			go r.InForce(t.Context(), false)
		}
		synctest.Wait()
		w.repaired = plugin.Drift{Gaps: []plugin.Gap{{Why: "no hook"}}}
		gaps, err := r.InForce(t.Context(), false)
		if err != nil || len(gaps) != 1 || w.resyncs != 1 || w.repairs == 0 {
			t.Errorf("%v, %v after %d repairs, %d resyncs", gaps, err, w.repairs, w.resyncs)
		}
		if gaps, err = r.InForce(t.Context(), true); err != nil || len(gaps) != 0 || w.resyncs != 2 {
			t.Errorf("%v, %v after %d resyncs", gaps, err, w.resyncs)
		}
		w.setBroken(errors.New("exit status 4"))
		if _, err = r.InForce(t.Context(), true); err == nil || !strings.Contains(err.Error(), "action wall.x: resync: exit status 4") {
			t.Error(err)
		}
		w.setBroken(nil)
		if _, err = r.InForce(t.Context(), false); err == nil {
			t.Error("while it fails, no error")
		}
		cancel()
		if _, err = r.InForce(t.Context(), false); err == nil || !strings.Contains(err.Error(), "ended") {
			t.Error(err)
		}
	})
}

// TestRepairWhileFailing: an entry whose removal has failed is no drop by hand, and no drift.
func TestRepairWhileFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := New("wall.x", w, l, everything, quiet)
		adopted := 0
		w.whileRepairing = func() {
			if r.Others() {
				adopted++
			}
		}
		go r.Run(ctx)
		enter(t, l, "203.0.113.1")
		synctest.Wait()
		w.setBroken(errors.New("exit status 4"))
		target := ban.Address(netip.MustParseAddr("203.0.113.1"))
		if l.Unban(target, "by ops", time.Now(), 0) == nil {
			t.Fatal("it is not banned")
		}
		commit(t, l)
		synctest.Wait()
		w.repaired = plugin.Drift{Surplus: 1}
		repairs := w.repairs
		r.Changed()
		synctest.Wait()
		if s := r.Status(); adopted != 0 || s.Drift.Count != 0 || w.repairs == repairs {
			t.Errorf("taken over %d times after %d repairs, %+v", adopted, w.repairs-repairs, s.Drift)
		}
		w.setBroken(nil)
		<-time.After(time.Minute)
		r.Changed()
		synctest.Wait()
		if adopted != 1 {
			t.Errorf("after it works again, taken over %d times", adopted)
		}
	})
}

// TestInForceWhileItEnds: a look that the end cuts short does not say that a ban is in force.
func TestInForceWhileItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
		ctx, cancel := context.WithCancel(t.Context())
		r := New("wall.x", w, l, everything, quiet)
		go r.Run(ctx)
		synctest.Wait()
		w.unrepaired = context.Canceled
		w.setBroken(context.Canceled)
		w.whileRepairing = cancel
		if _, err := r.InForce(t.Context(), false); err == nil || !strings.Contains(err.Error(), "ended") {
			t.Error(err)
		}
	})
}
