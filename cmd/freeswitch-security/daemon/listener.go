package daemon

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"

	"freeswitch-security/engine/admin"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
)

// An adminListener is the API as the rules that run configure it.
type adminListener struct {
	options admin.Options // without Config

	// watched is the server that takes verdicts for /events; nil: none.
	watched atomic.Pointer[admin.Server]

	// Of the goroutine that loads rules:
	wanted *config.Admin // nil: nothing is to be open
	whole  bool          // everything wanted is open
	end    func()        // closes it
}

func newAdminListener(o admin.Options) *adminListener {
	return &adminListener{options: o, whole: true, end: func() {}}
}

// reconcile opens what wanted says, and closes what was open before. After an error the next call
// tries again.
func (l *adminListener) reconcile(ctx context.Context, wanted *config.Admin) error {
	if l.whole && reflect.DeepEqual(wanted, l.wanted) {
		return nil
	}
	l.close()
	if wanted == nil {
		return nil
	}
	l.wanted, l.whole = wanted, false
	o := l.options
	o.Config = admin.Config(*wanted)
	server, err := admin.New(o)
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
			o.Log.Error("admin listener failed", "err", err)
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
	o.Log.Info("admin listener open", "at", at)
	if tcp && NeedsNoToken(wanted) {
		o.Log.Info("admin listener needs no token: every user of this host can ban and unban", "at", wanted.Listen)
	}
	return err
}

// NeedsNoToken reports whether every user of this host can use the API, over a loopback address.
func NeedsNoToken(a *config.Admin) bool {
	return a != nil && a.Listen != "" && a.Token == "" && a.ClientCA == ""
}

// listen opens the admin listener of the rules that run.
func (d *Daemon) listen(ctx context.Context) {
	err := d.listener.reconcile(ctx, d.admin)
	switch {
	case err == nil:
	case d.listener.watched.Load() != nil:
		d.log.Error("admin listener not open everywhere", "err", err)
	default:
		d.log.Error("admin listener not open: the API cannot be used", "err", err)
	}
}

// close closes the listener and ends its requests.
func (l *adminListener) close() {
	l.watched.Store(nil)
	l.end()
	l.wanted, l.whole, l.end = nil, true, func() {}
}

// send passes a change to the readers of /events.
func (l *adminListener) send(c *ban.Change) {
	if s := l.watched.Load(); s != nil {
		s.Send(c)
	}
}
