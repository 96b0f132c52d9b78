package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"freeswitch-security/engine/config"
	"freeswitch-security/engine/plugin"
)

// A beginner is a source that takes its time to find where it begins.
type beginner struct {
	*script
	begun  chan struct{}
	breaks chan error // ends Follow
}

func newBeginner() *beginner {
	return &beginner{script: &script{}, begun: make(chan struct{}), breaks: make(chan error)}
}

func (b *beginner) Same(other any) bool { return b == other }

func (b *beginner) Begun() <-chan struct{} { return b.begun }

func (b *beginner) Follow(ctx context.Context, _ []byte, _ map[string]bool, _ plugin.Sink) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-b.breaks:
		return err
	}
}

// TestReadyOnceSourcesHaveBegun: nobody is told that a source is followed, by Ready
// or by the end of a reload, while what is written to it would be history still. One
// that fails holds nobody up.
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
					Tell: func(Verdict) {}, Ready: func() { close(ready) },
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

// after waits for what is told once f was called, and must not be told before.
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
