package daemon

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/admin"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/clock"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/history"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/hcl/v2"
)

// Options are what a reload does not change.
type Options struct {
	Dir    string                                   // directory of the rules, for the log
	Start  func() (*config.Config, error)           // loads the rules the first time
	Reload func() (*config.Config, hcl.Diagnostics) // loads them again

	State   string // directory of the state
	DryRun  bool   // no action runs, nothing is saved
	Version string

	Stderr              io.Writer // takes the log
	LogFormat, LogLevel string    // text or json; debug, info, warn or error
}

// A Daemon is the running process.
type Daemon struct {
	options  Options
	engine   *engine.Engine
	listener *adminListener
	log      *slog.Logger
	changes  changeLog
	tasks    chan func(context.Context) // of the admin listener, for [Daemon.serve]
	admin    *config.Admin              // of the rules that run
	claims   claims
	heap     heapRoom
	history  *history.History
}

// Run guards until ctx ends. SIGHUP reloads the rules, SIGUSR1 logs the status.
func Run(ctx context.Context, o Options) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1) // first: unhandled, they end the process
	defer signal.Stop(signals)
	log, err := newLogger(o.Stderr, o)
	if err != nil {
		return err
	}
	slog.SetDefault(log)
	room := reserve()
	cfg, err := o.Start()
	if err != nil {
		return err
	}
	prepareProcess(log)

	d, err := newDaemon(cfg, o, log)
	if err != nil {
		return err
	}
	d.heap.huge, d.heap.most = room, garbageIn(cfg.Fleet != nil)
	if !o.DryRun {
		if err := d.claims.take(cfg); err != nil {
			return err
		}
		closeState, err := restore(d.engine, o.State, d.heap.busy, log)
		if err != nil {
			return err
		}
		defer closeState()
	}
	defer d.keepHistory(ctx)()
	d.listen(ctx)
	serving, stop := context.WithCancel(ctx)
	served := make(chan struct{})
	go func() {
		defer close(served)
		d.serve(serving, signals)
	}()

	err = d.engine.Run(ctx)
	stop()
	<-served
	d.listener.close()
	d.notify(daemon.SdNotifyStopping)
	log.Info("stopped", "bans", d.engine.Ledger().Size())
	return err
}

func newDaemon(cfg *config.Config, o Options, log *slog.Logger) (*Daemon, error) {
	// The changes of one commit are written at once: a write for each costs more than the
	// decision.
	buffer := bufio.NewWriterSize(o.Stderr, 1<<16)
	changes, err := newLogger(buffer, o)
	if err != nil {
		return nil, err
	}
	d := &Daemon{options: o, log: log, tasks: make(chan func(context.Context)), admin: cfg.Admin, claims: claims{log: log, held: map[string]net.Listener{}}}
	d.history = history.New(history.Settings(cfg.History))
	d.history.SetPlaces(cfg.PlaceOf)
	d.changes = changeLog{log: changes, sum: log, groups: map[group]*stretch{}}
	started := time.Now()
	actions := filepath.Join(o.State, "actions")
	if o.DryRun {
		actions = ""
	}
	d.engine = engine.New(cfg, engine.Options{
		Clock: clock.SinceBoot(),
		OnChange: func(c *ban.Change) {
			d.changes.add(c, time.Now())
			d.history.Decide(c)
			d.listener.send(c)
		},
		OnCommit: func() { _ = buffer.Flush() }, // slog drops such errors, too
		Busy:     d.heap.busy,
		Observed: d.history.Observe,
		Resolver: net.DefaultResolver.LookupNetIP,
		Hosts:    trustHost, Version: o.Version, Log: log, DryRun: o.DryRun, Dir: actions,
		Ready: func() {
			log.Info("ready", "dir", o.Dir, "dry_run", o.DryRun, "rules", len(cfg.Rules), "sources", len(cfg.Sources), "actions", len(cfg.Actions), "took", time.Since(started))
			d.notify(daemon.SdNotifyReady)
			releaseStartPages()
		},
	})
	d.listener = newAdminListener(admin.Options{Engine: d.engine, History: d.history, Reload: d.requestReload, Log: log, Version: o.Version})
	return d, nil
}

// serve handles signals, and the tasks of the admin listener, until ctx ends.
func (d *Daemon) serve(ctx context.Context, signals <-chan os.Signal) {
	trim, adapt := time.NewTicker(trimEvery), time.NewTicker(adaptEvery)
	defer trim.Stop()
	defer adapt.Stop()
	var memory trimmer
	d.heap.adapt(0) // what the start has allocated does not count
	for {
		select {
		case <-trim.C:
			if !d.heap.raised.Load() { // a flood would need the memory again
				memory.trim()
			}
			d.changes.tell(time.Now())
		case <-adapt.C:
			d.heap.adapt(adaptEvery)
		case <-ctx.Done():
			return
		case s := <-signals:
			switch s {
			case syscall.SIGHUP:
				_, _ = d.reload(ctx) // it logs the error
				d.listen(ctx)
			case syscall.SIGUSR1:
				d.logStatus(ctx)
			}
		case do := <-d.tasks:
			do(ctx)
		}
	}
}

// notify sends a state to systemd, if it runs the daemon.
func (d *Daemon) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		d.log.Warn("systemd not notified", "err", err)
	}
}
