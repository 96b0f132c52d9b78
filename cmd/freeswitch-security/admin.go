package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"reflect"
	"sync/atomic"

	"freeswitch-security/engine"
	"freeswitch-security/engine/admin"
	"freeswitch-security/engine/config"
)

// A listening is the admin listener of the daemon, as the configuration that runs
// asks for it.
type listening struct {
	guard *engine.Guard
	log   *slog.Logger

	// watched is the server that those who watch have connected to; nil: none.
	watched atomic.Pointer[admin.Server]

	// Of the goroutine that loads rules:
	asked *config.Admin // what is to be open; nil: nothing
	whole bool          // all of that is
	end   func()        // closes it
}

func newListening(guard *engine.Guard, log *slog.Logger) *listening {
	return &listening{guard: guard, log: log, whole: true, end: func() {}}
}

// agree opens what asked says in the place of what is open. Where it cannot be
// opened, the host is guarded all the same.
func (l *listening) agree(ctx context.Context, asked *config.Admin) error {
	if l.whole && reflect.DeepEqual(asked, l.asked) {
		return nil
	}
	l.close()
	if asked == nil {
		return nil
	}
	l.asked, l.whole = asked, false // until it is, each reload tries again
	server, err := admin.New(admin.Options{
		Config: admin.Config{
			Listen: asked.Listen, Socket: asked.Socket, SocketMode: fs.FileMode(asked.Mode), Token: asked.Token, Hosts: asked.Hosts,
			TLSCert: asked.TLSCert, TLSKey: asked.TLSKey, ClientCA: asked.ClientCA,
		},
		Guard: l.guard, Log: l.log, Version: version,
	})
	if err != nil {
		return err
	}
	open, err := server.Config.Open(ctx)
	if len(open) == 0 {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(ctx, open...); err != nil && !errors.Is(err, context.Canceled) {
			l.log.Error("admin listener failed", "err", err)
		}
	}()
	l.end = func() {
		cancel()
		<-done
	}
	l.whole = err == nil
	l.watched.Store(server)
	var at []string
	tcp := false
	for _, one := range open {
		at = append(at, one.Addr().String())
		tcp = tcp || one.Addr().Network() == "tcp"
	}
	l.log.Info("admin listener open", "at", at)
	if tcp && isOpen(asked) {
		l.log.Info("admin listener needs no token: every user of this host may block and unblock", "at", asked.Listen)
	}
	return err
}

// close ends the listener, and the requests under way.
func (l *listening) close() {
	l.watched.Store(nil)
	l.end()
	l.asked, l.whole, l.end = nil, true, func() {}
}

// tell hands a verdict to those who watch.
func (l *listening) tell(v *engine.Verdict) {
	if s := l.watched.Load(); s != nil {
		s.Tell(admin.Notice{
			Time: v.Time, Kind: string(v.Kind), Target: v.Target, Rule: v.Rule, Source: v.Source, Author: v.Author,
			Offence: v.Offence, Term: v.Term, Until: v.Until, Reason: v.Reason, Evidence: v.Evidence,
			Standing: v.Standing, DryRun: v.WouldBlock,
		})
	}
}

// reloading makes a reload something that the admin listener can ask for.
func (r *running) reloading(ctx context.Context) ([]admin.Diagnostic, error) {
	type answer struct {
		diagnostics []admin.Diagnostic
		err         error
	}
	answered := make(chan answer, 1)
	select {
	case r.asked <- func(ctx context.Context) {
		diagnostics, err := r.reload(ctx)
		answered <- answer{diagnostics, err}
		r.listen(ctx) // not before: it may end the listener that asks
	}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case a := <-answered:
		return a.diagnostics, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("the reload goes on, and the log will tell its end: %w", ctx.Err())
	}
}
