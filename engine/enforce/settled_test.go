package enforce

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
)

func TestSettledWaitsUntilAChangeIsCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
		r := start(t, w, l, quiet)
		w.slow = 10 * time.Millisecond
		began := time.Now()
		enter(t, l, "203.0.113.1")
		enter(t, l, "203.0.113.2")
		if err := r.Settled(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		if n := len(w.standing()); n != 2 || time.Since(began) < w.slow {
			t.Fatalf("settled after %s with %d standing", time.Since(began), n)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Settled(ctx, 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a change that has not come: %v", err)
		}
	})
}

func TestSettledTellsWhyAnActionFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
		r := start(t, w, l, quiet)
		w.setBroken(errors.Join(errors.New("IPv4: exit status 4"), errors.New("IPv6: exit status 4")))
		enter(t, l, "203.0.113.1")
		if err := r.Settled(t.Context(), 1); err == nil || !strings.HasSuffix(err.Error(), ": IPv4: exit status 4; IPv6: exit status 4") {
			t.Fatalf("while it fails: %v", err)
		}
		w.setBroken(nil)
		<-time.After(longestRetry)
		if err := r.Settled(t.Context(), 1); err != nil {
			t.Fatalf("after it was repaired: %v", err)
		}
	})
}

// Two reloads in a row may end an action before its first attempt.
func TestAnActionThatEndsBeforeItsFirstAttemptHasTried(t *testing.T) {
	for range 50 { // the order of what is ready is not foreseeable
		r := New("wall.x", newWall(), ban.NewLedger(ban.NewTrust(nil)), everything, quiet)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r.Run(ctx)
		select {
		case <-r.Tried():
		default:
			t.Fatal("who waits for it waits for ever")
		}
	}
}

// A reload may end an action while a caller waits for it.
func TestSettledTellsThatTheActionWasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ban.NewLedger(ban.NewTrust(nil))
		r := New("wall.x", newWall(), l, everything, quiet)
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		answered := make(chan error, 1)
		go func() { answered <- r.Settled(t.Context(), 1) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		select {
		case err := <-answered:
			if err == nil {
				t.Fatal("settled")
			}
		default:
			t.Fatal("it waits for what will never come")
		}
	})
}

func TestSettledPassesWhatIsNotTheActionsBusiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
		r := start(t, w, l, quiet)
		r.Want(func(*ban.Ban) bool { return false })
		enter(t, l, "203.0.113.1")
		if err := r.Settled(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		l.Add(ban.Change{Kind: ban.KindAlert})
		commit(t, l)
		if err := r.Settled(t.Context(), 2); err != nil || len(w.standing()) != 0 {
			t.Fatalf("%v, %v stand", err, w.standing())
		}
	})
}

// TestWhatIsNoLongerWantedIsNoDrift resyncs between the two steps of Want: what a reload changes was
// not changed by others.
func TestWhatIsNoLongerWantedIsNoDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := ban.NewLedger(ban.NewTrust(nil)), newWall()
		r := start(t, w, l, quiet)
		enter(t, l, "203.0.113.1")
		synctest.Wait()
		nothing := Wants(func(*ban.Ban) bool { return false })
		r.wants.Store(&nothing)
		<-time.After(resyncEvery + time.Second)
		synctest.Wait()
		if n := r.Status().Drift.Count; n != 0 || len(w.standing()) != 0 {
			t.Errorf("%d repairs, %v stand", n, w.standing())
		}
		w.mu.Lock()
		w.stands[netip.MustParsePrefix("203.0.113.9/32")] = time.Now()
		w.mu.Unlock()
		<-time.After(resyncEvery + time.Second)
		synctest.Wait()
		if n := r.Status().Drift.Count; n != 1 {
			t.Errorf("%d repairs of what others have added", n)
		}
	})
}
