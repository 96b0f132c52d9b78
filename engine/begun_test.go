package engine

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
)

// A beginner is a source that becomes ready after a while.
type beginner struct {
	*script
	begun  chan struct{}
	breaks chan error // ends Follow
}

func newBeginner() *beginner {
	return &beginner{script: &script{}, begun: make(chan struct{}), breaks: make(chan error)}
}

func (b *beginner) Follow(ctx context.Context, stream plugin.Stream) error {
	begun := b.begun
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-b.breaks:
			return err
		case <-begun:
			stream.Ready()
			begun = nil
		}
	}
}

// TestReadyOnceSourcesHaveBegun: Ready and the end of a reload wait until every source is
// ready: what is written to it afterwards is seen. A source that fails delays no other.
func TestReadyOnceSourcesHaveBegun(t *testing.T) {
	for name, goOn := range map[string]func(*beginner){
		"it begins": func(b *beginner) { close(b.begun) },
		"it fails":  func(b *beginner) { b.breaks <- errors.New("no such file") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := newBeginner(), newBeginner()
				ready, reloaded, done := make(chan struct{}), make(chan struct{}), make(chan error)
				e := New(guessing(t, config.Source{Ref: "log.x", Source: first}), Options{
					Ready: func() { close(ready) },
				})
				ctx, cancel := context.WithCancel(t.Context())
				go func() { done <- e.Run(ctx) }()
				after(t, ready, func() { goOn(first) })
				go func() {
					_ = e.Do(ctx, func() { e.Reload(guessing(t, config.Source{Ref: "log.x", Source: second})) })
					close(reloaded)
				}()
				after(t, reloaded, func() { goOn(second) })
				cancel()
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// TestReadyWithoutASourceThatHangs: a source that never begins, as a log on a file
// system that hangs, delays Ready and a reload for a bounded time, and is logged.
func TestReadyWithoutASourceThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		ready, done := make(chan struct{}), make(chan error)
		hanging, begun := newBeginner(), newBeginner()
		close(begun.begun)
		sources := []config.Source{{Ref: "log.hangs", Source: hanging}, {Ref: "log.x", Source: begun}}
		e := New(guessing(t, sources...), Options{
			Ready: func() { close(ready) }, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		go func() { done <- e.Run(ctx) }()
		<-ready
		if waited := time.Since(began); waited != readyWithin {
			t.Errorf("ready after %s", waited)
		}
		if err := e.Do(ctx, func() { e.Reload(guessing(t, sources...)) }); err != nil || time.Since(began) != readyWithin {
			t.Errorf("a reload that leaves it alone waits for it: %s, %v", time.Since(began), err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if strings.Count(log.String(), "level=WARN") != 1 || !strings.Contains(log.String(), `msg="source not ready: what is written to it now may be missed" source=log.hangs waited=5s`) {
			t.Errorf("the log:\n%s", &log)
		}
	})
}

// TestOthersAreReadWhileOneHangs: an attacker on another source is banned at once.
func TestOthersAreReadWhileOneHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var banned time.Duration
		attack := &script{}
		for i := range 3 {
			attack.events = append(attack.events, event.Event{Time: began.Add(time.Duration(i) * 100 * time.Millisecond), Name: event.AuthFailure,
				Source: "log.x", IP: netip.MustParseAddr("203.0.113.7"), User: "1000"})
		}
		ready, done := make(chan struct{}), make(chan error)
		e := New(guessing(t, config.Source{Ref: "log.hangs", Source: newBeginner()}, config.Source{Ref: "log.x", Source: attack}), Options{
			OnChange: func(*ban.Change) { banned = time.Since(began) }, Ready: func() { close(ready) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- e.Run(ctx) }()
		<-ready
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if banned != 200*time.Millisecond {
			t.Errorf("banned after %s", banned)
		}
	})
}

// after waits for a signal that must come after f was called, and not before.
func after(t *testing.T, told <-chan struct{}, f func()) {
	t.Helper()
	synctest.Wait()
	select {
	case <-told:
		t.Error("told too early")
	default:
	}
	f()
	<-told
}
