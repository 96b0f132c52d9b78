package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/admin"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/plugin"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"
)

// A runFlags is what cannot be reloaded.
type runFlags struct {
	rules, state, logFormat, logLevel string
	dryRun                            bool
}

func (a *app) runVerb() *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Watch the sources, decide, and block; the same as no verb",
		Long: `Watch the sources, decide by the rules, and have the actions carry it out. Bans
stand when the program ends, and it takes them over when it starts again.

SIGHUP reloads the rules (broken ones are refused, and the old ones go on),
SIGUSR1 writes the status to the log, SIGTERM and SIGINT end the program.
State is kept in --state, else $STATE_DIRECTORY, else
/var/lib/freeswitch-security, or for a user other than root in
$XDG_STATE_HOME/freeswitch-security.

Exit status: 0 it was told to end; 1 the rules have mistakes; 2 it could not
run.`,
		Example: "  freeswitch-security run --rules /etc/freeswitch-security/rules.d\n  freeswitch-security run --dry-run",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.run(cmd.Context(), flags)
		},
	}
	cmd.Flags().StringVar(&flags.rules, "rules", "", "directory of the rules")
	cmd.Flags().StringVar(&flags.state, "state", "", "directory of the state")
	cmd.Flags().StringVar(&flags.logFormat, "log-format", "text", "text or json")
	cmd.Flags().StringVar(&flags.logLevel, "log-level", "info", "debug, info, warn or error")
	cmd.Flags().BoolVar(&flags.dryRun, "dry-run", false, "decide and report, run no action")
	return cmd
}

// run is the daemon from its start to its end.
func (a *app) run(ctx context.Context, flags runFlags) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1) // from the start: they end a process that does not listen
	defer signal.Stop(signals)
	log, err := logger(a.stderr, flags)
	if err != nil {
		return err
	}
	slog.SetDefault(log)
	dir, err := rulesDir(flags.rules)
	if err != nil {
		return err
	}
	cfg, err := a.load(dir)
	if err != nil {
		return err
	}
	prepareProcess(log)

	d, err := a.newRunning(cfg, dir, log, flags)
	if err != nil {
		return err
	}
	if !flags.dryRun { // what is only tried leaves no trace
		closeState, err := a.restore(d.engine, flags.state, log)
		if err != nil {
			return err
		}
		defer closeState()
	}
	d.listen(ctx)
	obeying, stop := context.WithCancel(ctx)
	obeyed := make(chan struct{})
	go func() {
		defer close(obeyed)
		d.obey(obeying, signals)
	}()

	err = d.engine.Run(ctx)
	stop()
	<-obeyed
	d.admin.close()
	a.notify(log, daemon.SdNotifyStopping)
	log.Info("stopped", "bans", d.engine.Ledger().Size())
	return err
}

// newRunning puts together what runs: the engine, and the admin listener that asks
// it and hears of its verdicts.
func (a *app) newRunning(cfg *config.Config, dir string, log *slog.Logger, flags runFlags) (*running, error) {
	// The verdicts of a flood go to the log together: a write for each of them
	// costs more than to come to it.
	together := bufio.NewWriterSize(a.stderr, 1<<16)
	verdicts, err := logger(together, flags)
	if err != nil {
		return nil, err
	}
	write := tell(verdicts)
	d := &running{app: a, dir: dir, log: log, loaded: time.Now(), asked: make(chan func(context.Context)), wanted: cfg.Admin}
	started := d.loaded
	d.engine = engine.New(cfg, engine.Options{
		Tell: func(v engine.Verdict) {
			write(v)
			d.admin.tell(&v)
		},
		Told:  func() { _ = together.Flush() }, // as slog ignores it
		Hosts: hostAddresses, Log: log, DryRun: flags.dryRun, Dir: a.actionsDir(flags),
		Ready: func() {
			log.Info("ready", "dir", dir, "dry_run", flags.dryRun, "rules", len(cfg.Rules), "sources", len(cfg.Sources), "actions", len(cfg.Actions), "took", time.Since(started))
			a.notify(log, daemon.SdNotifyReady)
			giveBack()
		},
	})
	d.admin = newListening(&engine.Guard{Engine: d.engine, Reloading: d.reloading, Reloaded: d.reloaded, Started: started}, log)
	return d, nil
}

// prepareProcess makes this process one that guards: it comes first, takes little,
// and its children may touch the firewall.
func prepareProcess(log *slog.Logger) {
	comeFirst()
	// A guard lives beside a switch that needs the memory: rather collect garbage
	// twice as often than keep as much of it as there is in use.
	debug.SetGCPercent(50)
	// A source that follows a file sleeps in the kernel and keeps one of Go's
	// processors meanwhile; the others must not wait for it.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	if err := keepRights(); err != nil {
		log.Warn("capabilities not passed on to iptables", "err", err)
	}
}

// logger makes a log that writes to w.
func logger(w io.Writer, flags runFlags) (*slog.Logger, error) {
	var threshold slog.Level
	if err := threshold.UnmarshalText([]byte(flags.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level is debug, info, warn or error, not %q", flags.logLevel)
	}
	options := &slog.HandlerOptions{Level: threshold}
	switch flags.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("--log-format is text or json, not %q", flags.logFormat)
}

// notify tells systemd, where there is one, how the daemon is doing.
func (a *app) notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd not notified", "err", err)
	}
}

// tell returns what writes each verdict to the log. That a banned address is
// still at it is not worth a line: the kernel drops it.
func tell(log *slog.Logger) func(engine.Verdict) {
	return func(v engine.Verdict) {
		level := slog.LevelInfo
		if v.Standing {
			level = slog.LevelDebug
		}
		attrs := []slog.Attr{
			slog.String("ip", ban.FormatTarget(v.Target)), slog.String("rule", v.Rule), slog.String("source", v.Source),
			slog.Time("at", v.Time), slog.String("reason", v.Reason),
		}
		if v.Kind == engine.Ban {
			attrs = append(attrs, slog.String("for", v.Term.String()), slog.Int("offence", v.Offence))
			if !v.Until.IsZero() {
				attrs = append(attrs, slog.Time("until", v.Until))
			}
			if v.WouldBlock {
				attrs = append(attrs, slog.Bool("wouldBlock", true))
			}
		}
		log.LogAttrs(context.Background(), level, string(v.Kind), attrs...)
	}
}

// hostAddresses lists this host's own addresses, which are never banned.
func hostAddresses() []ban.Trusted {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		slog.Error("own addresses unknown: they are not protected", "err", err)
		return nil
	}
	var own []ban.Trusted
	for _, a := range addrs {
		network, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		if ip, ok := netip.AddrFromSlice(network.IP); ok {
			ip = ip.Unmap()
			own = append(own, ban.Trusted{Network: netip.PrefixFrom(ip, ip.BitLen()), Name: "this host"})
		}
	}
	return own
}

// A running is the daemon as signals reach it.
type running struct {
	app    *app
	engine *engine.Engine
	admin  *listening
	wanted *config.Admin // what the rules that run say of it
	dir    string
	log    *slog.Logger
	asked  chan func(context.Context) // by the admin listener

	mu     sync.Mutex // guards what follows
	loaded time.Time  // when the rules that run were loaded
	failed error      // of the last reload; nil: it succeeded
}

// reloaded says when the rules that run were loaded, and what the last reload
// failed for.
func (r *running) reloaded() (at time.Time, failure string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		failure = r.failed.Error()
	}
	return r.loaded, failure
}

// note remembers the end of a reload.
func (r *running) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed = err; err == nil {
		r.loaded = time.Now()
	}
}

// obey does what signals and the admin listener ask for, until ctx ends.
func (r *running) obey(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			switch s {
			case syscall.SIGHUP:
				_, _ = r.reload(ctx) // the log tells
				r.listen(ctx)
			case syscall.SIGUSR1:
				r.status(ctx)
			}
		case do := <-r.asked:
			do(ctx)
		}
	}
}

// reload puts the rules as they are on the disk now in the place of those that
// run, if nothing is wrong with them.
func (r *running) reload(ctx context.Context) ([]admin.Diagnostic, error) {
	r.app.notify(r.log, daemon.SdNotifyReloading)
	defer r.app.notify(r.log, daemon.SdNotifyReady)
	cfg, diags, _ := config.Load(r.dir, kinds, r.app.environ)
	var told []admin.Diagnostic
	for _, d := range diags {
		r.log.Log(ctx, severity(d), "rules", "what", d.Summary, "detail", d.Detail, "where", where(d))
		told = append(told, admin.Diagnostic{Error: d.Severity == hcl.DiagError, Summary: d.Summary, Detail: d.Detail, Where: where(d)})
	}
	if diags.HasErrors() {
		err := fmt.Errorf("%s in %s", count(len(diags.Errs()), "mistake"), r.dir)
		r.note(err)
		r.log.Error("reload refused: the old rules go on", "err", err)
		return told, err
	}
	if err := r.engine.Do(ctx, func() { r.engine.Reload(cfg) }); err != nil {
		r.log.Error("reload failed", "err", err)
		return told, err
	}
	r.wanted = cfg.Admin
	if len(cfg.Sources) == 0 || len(cfg.Rules) == 0 {
		r.log.Warn("nothing is watched: the rules name no source, or there are no rules", "dir", r.dir)
	}
	r.note(nil)
	r.log.Info("reloaded", "rules", len(cfg.Rules), "sources", len(cfg.Sources), "actions", len(cfg.Actions))
	return told, nil
}

// listen opens the admin listener that is wanted. Where it cannot be opened the
// host is guarded all the same.
func (r *running) listen(ctx context.Context) {
	err := r.admin.agree(ctx, r.wanted)
	switch {
	case err == nil:
	case r.admin.watched.Load() != nil:
		r.log.Error("admin listener not open everywhere", "err", err)
	default:
		r.log.Error("admin listener not open: nobody can ask or order", "err", err)
	}
}

func severity(d *hcl.Diagnostic) slog.Level {
	if d.Severity == hcl.DiagWarning {
		return slog.LevelWarn
	}
	return slog.LevelError
}

// where is the place of a diagnostic: "rules.d/10-guessing.hcl:14,3".
func where(d *hcl.Diagnostic) string {
	if d.Subject == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d,%d", d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column)
}

// status writes to the log how everything is doing.
func (r *running) status(ctx context.Context) {
	var s engine.Status
	if err := r.engine.Do(ctx, func() { s = r.engine.Status() }); err != nil {
		return // it is stopping
	}
	loaded, reload := r.reloaded()
	if reload == "" {
		reload = "ok"
	}
	r.log.Info("status", "bans", s.Bans, "events", s.Events, "waiting", s.Waiting, "state", orOK(s.StateErr),
		"loaded", loaded, "reload", reload)
	for _, rule := range s.Rules {
		r.log.Info("status of rule", "rule", rule.Rule, "matches", rule.Matches, "firings", rule.Firings,
			"tracked", rule.Tracked, "evicted", rule.Evicted, "errors", rule.Errors)
	}
	for _, source := range s.Sources {
		r.log.Info("status of source", "source", source.Ref, "running", source.Running, "lines", source.Lines,
			"events", source.Events, "last", orNever(source.LastEvent), "behind", source.Behind, "lost", source.Lost,
			"connects", source.Connects, "restarts", source.Restarts, "fault", source.Fault, "warning", source.Warning)
	}
	for _, action := range s.Actions {
		r.log.Info("status of action", "action", action.Name, "synced", action.Synced, "waiting", action.Waiting,
			"drifts", action.Drifts, "notes", strings.Join(action.Drift.Notes, "; "), "failures", action.Failures, "err", action.Err)
		reporter, ok := action.Action.(plugin.Reporter)
		if !ok {
			continue
		}
		found := reporter.Report(ctx)
		for _, text := range found.Critical {
			r.log.Error("action not in force", "action", action.Name, "what", text)
		}
		for _, text := range found.Warnings {
			r.log.Warn("action not as it ought to be", "action", action.Name, "what", text)
		}
	}
}

// orNever writes a time, or that there was none.
func orNever(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.Format(time.RFC3339Nano)
}

// orOK writes an error, or that there is none.
func orOK(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}
