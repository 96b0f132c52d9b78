package daemon

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/status"
)

func newLogger(w io.Writer, o Options) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.LogLevel)); err != nil {
		return nil, fmt.Errorf("--log-level is debug, info, warn or error, not %q", o.LogLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch o.LogFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("--log-format is text or json, not %q", o.LogFormat)
}

// logVerdict logs one verdict. Further orders against a banned target are logged at debug level:
// the kernel drops its packets already.
func logVerdict(log *slog.Logger, v *engine.Verdict) {
	level := slog.LevelInfo
	if v.Standing {
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("ip", v.Target.String()), slog.String("rule", v.Rule), slog.String("source", v.Source),
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

// logStatus logs the state of the engine, its rules, sources and actions, and the problems.
func (d *Daemon) logStatus(ctx context.Context) {
	guard := engine.Guard{Engine: d.engine, Reloaded: d.lastReload}
	s, err := guard.Status(ctx)
	if err != nil {
		return // the engine is stopping
	}
	kernels, err := guard.Kernel(ctx)
	if err != nil {
		return
	}
	d.log.Info("status", "bans", s.Stats.ActiveBans, "events", s.Stats.Events, "waiting", s.QueueDepth,
		"state", cmp.Or(s.State.Error, "ok"), "loaded", s.Reload.At, "reload", cmp.Or(s.Reload.Error, "ok"))
	for _, rule := range s.Rules {
		d.log.Info("status of rule", "rule", rule.Name, "matches", rule.Matches, "firings", rule.Firings,
			"tracked", rule.Tracked, "evicted", rule.Evicted, "errors", rule.Errors)
	}
	for _, source := range s.Sources {
		d.log.Info("status of source", "source", source.Name, "running", source.Running, "lines", source.Lines,
			"events", source.Events, "last", orNever(source.LastEvent), "behind", source.Behind, "lost", source.Lost,
			"connects", source.Connects, "restarts", source.Restarts, "fault", source.Fault, "warning", source.Warning)
	}
	for _, action := range s.Actions {
		d.log.Info("status of action", "action", action.Name, "synced", action.Synced, "waiting", action.Waiting,
			"drifts", action.Drift.Count, "notes", strings.Join(action.Drift.Notes, "; "), "failures", action.Failures, "err", action.Error)
	}
	for _, p := range status.Problems(&s, kernels) {
		level := slog.LevelWarn
		if p.Severity == status.Critical {
			level = slog.LevelError
		}
		d.log.Log(ctx, level, "problem", "subject", p.Subject, "what", p.Text)
	}
}

func orNever(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.Format(time.RFC3339Nano)
}
