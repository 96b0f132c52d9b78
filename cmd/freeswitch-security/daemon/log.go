package daemon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"

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
	d.log.Info("status", append(fields(s.Stats), "waiting", s.QueueDepth, "state", cmp.Or(s.State.Error, "ok"),
		"loaded", s.Reload.At, "reload", cmp.Or(s.Reload.Error, "ok"))...)
	for _, rule := range s.Rules {
		d.log.Info("status of rule", fields(rule)...)
	}
	for _, source := range s.Sources {
		d.log.Info("status of source", fields(source)...)
	}
	for _, action := range s.Actions {
		d.log.Info("status of action", fields(action)...)
	}
	for _, p := range status.Problems(&s, kernels) {
		level := slog.LevelWarn
		if p.Severity == status.Critical {
			level = slog.LevelError
		}
		d.log.Log(ctx, level, "problem", "subject", p.Subject, "what", p.Text)
	}
}

// fields returns the JSON fields of a status as the attributes of a log line.
func fields(status any) []any {
	text, err := json.Marshal(status)
	if err != nil {
		return []any{"err", err}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var all map[string]any
	_ = d.Decode(&all) // it is an object
	var attrs []any
	for _, name := range slices.Sorted(maps.Keys(all)) {
		attrs = append(attrs, name, all[name])
	}
	return attrs
}
