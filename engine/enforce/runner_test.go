package enforce

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/status"
)

// A wall behaves as a firewall does: it holds addresses, can be broken, be slow,
// and be changed behind one's back.
type wall struct {
	mu      sync.Mutex
	broken  error
	slow    time.Duration                   // of Apply
	long    func(resyncs int) time.Duration // of a Resync after so many; nil: 0
	stands  map[netip.Prefix]time.Time
	batches []int
	resyncs int

	repairs    int
	repaired   plugin.Drift // by the next repair
	unrepaired error

	whileRepairing func() // nil: nothing
}

func (w *wall) Apply(ctx context.Context, b ban.Batch) error {
	if w.slow > 0 {
		<-time.After(w.slow)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	w.batches = append(w.batches, len(b.Changes))
	for _, c := range b.Changes {
		if c.InForce() {
			w.stands[c.Ban.Target.Prefix()] = c.Ban.Until
		} else {
			delete(w.stands, c.Ban.Target.Prefix())
		}
	}
	return nil
}

func (w *wall) Resync(_ context.Context, want iter.Seq[ban.Ban]) (plugin.Drift, error) {
	if w.long != nil {
		<-time.After(w.long(w.resyncs))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resyncs++
	if w.broken != nil {
		return plugin.Drift{}, w.broken
	}
	var drift plugin.Drift
	wanted := map[netip.Prefix]time.Time{}
	for b := range want {
		wanted[b.Target.Prefix()] = b.Until
		if _, ok := w.stands[b.Target.Prefix()]; !ok {
			drift.Missing++
		}
	}
	for target := range w.stands {
		if _, ok := wanted[target]; !ok {
			drift.Surplus++
		}
	}
	w.stands = wanted
	return drift, nil
}

func (w *wall) Repair(context.Context) (plugin.Drift, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.repairs++
	if w.whileRepairing != nil {
		w.whileRepairing()
	}
	return w.repaired, w.unrepaired
}

func (*wall) Withdraw(context.Context) error { return nil }

func (*wall) Inspect(context.Context) (status.Kernel, error) { return status.Kernel{}, nil }

func (w *wall) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.stands)
}

func (w *wall) setBroken(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = err
}

func (w *wall) standing() map[netip.Prefix]time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.stands)
}

func newWall() *wall { return &wall{stands: map[netip.Prefix]time.Time{}} }

func everything(*ban.Ban) bool { return true }

// enter bans an address for an hour, and commits it.
func enter(t *testing.T, l *ban.Ledger, ip string) {
	t.Helper()
	addr := netip.MustParseAddr(ip)
	o := ban.Order{
		Target: ban.Address(addr), Address: addr, Rule: "r", At: time.Now(),
		Terms: []ban.Term{ban.Term(time.Hour)},
	}
	if c := l.Enter(o, time.Now()); !c.InForce() {
		t.Fatal(c.Why)
	}
	commit(t, l)
}

func commit(t *testing.T, l *ban.Ledger) {
	t.Helper()
	if _, err := l.Commit(); err != nil {
		t.Fatal(err)
	}
}

// start runs a runner in the background until the test ends.
func start(t *testing.T, action plugin.Action, l *ban.Ledger, log *slog.Logger) *Runner {
	t.Helper()
	r := New("wall.x", action, l, everything, log)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	synctest.Wait()
	return r
}

var quiet = slog.New(slog.DiscardHandler)

func TestLoneBanIsAppliedAtOnceAndABurstTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
		start(t, w, l, quiet)
		w.slow = 10 * time.Millisecond
		began := time.Now()
		enter(t, l, "203.0.113.1")
		synctest.Wait() // the runner is inside Apply
		for i := range 50 {
			enter(t, l, fmt.Sprint("198.51.100.", i))
		}
		<-time.After(20 * time.Millisecond)
		synctest.Wait()
		if got := fmt.Sprint(w.batches); got != "[1 50]" {
			t.Fatalf("batches %s after %s, want one of 1 and one of 50", got, time.Since(began))
		}
	})
}

func TestFailureIsRetriedWithTheSameChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
		var lines strings.Builder
		r := start(t, w, l, slog.New(slog.NewTextHandler(&lines, nil)))
		w.setBroken(errors.New("exit status 4: resource unavailable"))
		enter(t, l, "203.0.113.1")
		<-time.After(time.Second)
		enter(t, l, "203.0.113.2")
		<-time.After(time.Second)
		if s := r.Status(); s.Failures < 4 || !strings.Contains(s.Error, "exit status 4") {
			t.Fatalf("status while it fails: %+v", s)
		}
		synctest.Wait()
		if n := strings.Count(lines.String(), "action failed"); n != 2 { // the apply, and the resyncs after it
			t.Errorf("%d lines say that it failed:\n%s", n, lines.String())
		}
		w.setBroken(nil)
		<-time.After(longestRetry)
		synctest.Wait()
		if s := r.Status(); len(w.standing()) != 2 || s.Error != "" || s.Waiting != 0 {
			t.Fatalf("after recovery %v stand, status %+v", w.standing(), s)
		}
	})
}

func TestDriftIsRepairedCountedAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
		var lines strings.Builder
		r := start(t, w, l, slog.New(slog.NewTextHandler(&lines, nil)))
		for i := range 5 {
			enter(t, l, fmt.Sprint("203.0.113.", i))
		}
		synctest.Wait()
		w.flush()
		<-time.After(3 * time.Second)
		synctest.Wait()
		if s := r.Status(); len(w.standing()) != 5 || s.Drift.Count != 1 || s.Drift.Missing != 5 {
			t.Fatalf("%d stand, status %+v", len(w.standing()), s)
		}
		if n := strings.Count(lines.String(), "drift repaired"); n != 1 {
			t.Fatalf("%d lines say that it was repaired:\n%s", n, lines.String())
		}
	})
}

// half is a wall of which one part is broken: a resync fails, as a whole, while a
// change that does not touch that part can be carried out.
type half struct{ *wall }

func (h half) Resync(ctx context.Context, want iter.Seq[ban.Ban]) (plugin.Drift, error) {
	_, _ = h.wall.Resync(ctx, want)
	return plugin.Drift{}, errors.New("IPv6: exit status 3")
}

func TestAFailingPartHoldsUpNoBan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
		r := start(t, half{w}, l, quiet)
		<-time.After(time.Minute) // the retries are far apart by now
		began := time.Now()
		enter(t, l, "203.0.113.1")
		synctest.Wait()
		if len(w.standing()) != 1 || time.Since(began) > 0 {
			t.Fatalf("%d stand after %s, status %+v", len(w.standing()), time.Since(began), r.Status())
		}
	})
}

// A stream only gets changes; there is nothing to resync.
type stream struct {
	got    []*ban.Change
	broken atomic.Bool
}

func (s *stream) Apply(_ context.Context, b ban.Batch) error {
	if s.broken.Load() {
		return errors.New("connection refused")
	}
	s.got = append(s.got, b.Changes...)
	return nil
}

func TestActionWithoutLevelSeesEveryChangeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := ban.NewLedger(ban.NewTrust(nil)), &stream{}
		start(t, s, l, quiet)
		for i := range 20 {
			enter(t, l, fmt.Sprint("203.0.113.", i))
		}
		<-time.After(time.Hour)
		l.Advance(time.Now())
		commit(t, l)
		synctest.Wait()
		if len(s.got) != 40 || s.got[0].Kind != ban.KindBan || s.got[39].Kind != ban.KindExpire {
			t.Fatalf("%d changes", len(s.got))
		}
	})
}

func TestAFailureIsLoggedOnceWhileTheBatchGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := ban.NewLedger(ban.NewTrust(nil)), &stream{}
		s.broken.Store(true)
		var lines strings.Builder
		r := start(t, s, l, slog.New(slog.NewTextHandler(&lines, nil)))
		for i := range 20 {
			enter(t, l, fmt.Sprint("203.0.113.", i))
			<-time.After(longestRetry)
		}
		synctest.Wait()
		if n := strings.Count(lines.String(), "action failed"); n != 1 || r.Status().Failures < 10 {
			t.Errorf("%d lines say that it failed, %+v:\n%s", n, r.Status(), lines.String())
		}
		s.broken.Store(false)
		<-time.After(longestRetry)
		synctest.Wait()
		if n := strings.Count(lines.String(), "action works again"); n != 1 || len(s.got) != 20 {
			t.Errorf("%d lines say that it works, %d changes:\n%s", n, len(s.got), lines.String())
		}
	})
}

// TestAnyOrderEndsInTheSameState makes random bans, unbans, failures, foreign changes and
// changes of what is wanted at runners and asks only how it ends.
func TestAnyOrderEndsInTheSameState(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 2))
			l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
			r := start(t, w, l, quiet)
			odd := func(b *ban.Ban) bool { return b.Target.Prefix().Addr().As4()[3]%2 == 1 }
			wants := Wants(everything)
			for range 200 {
				addr := netip.AddrFrom4([4]byte{203, 0, 113, byte(rng.IntN(30))})
				target := netip.PrefixFrom(addr, 32)
				switch rng.IntN(12) {
				case 0:
					w.setBroken(errors.New("broken"))
				case 1, 2:
					w.setBroken(nil)
				case 3:
					w.flush()
				case 4:
					l.Unban(ban.Network(target), "by hand", time.Now(), 0)
				case 5:
					wants = []Wants{everything, odd}[rng.IntN(2)]
					r.Want(wants)
				case 6:
					<-time.After(time.Duration(rng.IntN(5000)) * time.Millisecond)
				default:
					l.Enter(ban.Order{
						Target: ban.Network(target), Address: addr, Rule: "r", At: time.Now(),
						Terms: []ban.Term{ban.Term(time.Duration(1+rng.IntN(60)) * time.Second)},
					}, time.Now())
				}
				l.Advance(time.Now())
				commit(t, l)
			}
			w.setBroken(nil)
			// The longest wait after failures, and a resync.
			for range 20 {
				<-time.After(3 * time.Second)
				l.Advance(time.Now())
				commit(t, l)
			}
			synctest.Wait()
			want := map[netip.Prefix]time.Time{}
			for _, b := range l.Bans() {
				if wants(&b) {
					want[b.Target.Prefix()] = b.Until
				}
			}
			if got := w.standing(); !maps.Equal(got, want) {
				t.Fatalf("seed %d: stands %v, want %v, status %+v", seed, got, want, r.Status())
			}
		})
	}
}
