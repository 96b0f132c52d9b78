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
	"sync"
	"time"

	"freeswitch-security/engine/ban"
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

// A changeLog logs changes. Of each kind it logs so many in ten seconds and counts the others: an
// attacker must not fill the disk. The API has all of them. It is safe for concurrent use.
type changeLog struct {
	log *slog.Logger // of changes
	sum *slog.Logger // of their numbers

	mu    sync.Mutex // guards kinds
	kinds map[ban.Kind]*stretch
}

// A stretch of time has one number of lines for each kind of change.
type stretch struct {
	began        time.Time
	logged, held int
}

const (
	stretchTime = 10 * time.Second
	mostLines   = 100 // of a stretch
	mostRefused = 20  // likewise, of refusals: they change nothing
)

// add logs a change, or counts it.
func (l *changeLog) add(c *ban.Change, now time.Time) {
	if c.Standing { // at debug level
		logChange(l.log, c)
		return
	}
	l.tell(now)
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.kinds[c.Kind]
	if s == nil {
		s = &stretch{began: now}
		l.kinds[c.Kind] = s
	}
	if s.logged == mostLines || c.Kind == ban.KindRefuse && s.logged == mostRefused {
		s.held++
		return
	}
	s.logged++
	logChange(l.log, c)
}

// tell ends the stretches that are over at now, and logs how many of their changes were not logged.
func (l *changeLog) tell(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for kind, s := range l.kinds {
		if now.Sub(s.began) < stretchTime {
			continue
		}
		if s.held > 0 {
			l.sum.Warn("changes not logged: too many at once", "kind", string(kind), "number", s.held, "since", s.began)
		}
		delete(l.kinds, kind)
	}
}

// logChange logs one change. Further orders against a banned target are logged at debug level:
// the kernel drops its packets already.
func logChange(log *slog.Logger, c *ban.Change) {
	level := slog.LevelInfo
	if c.Standing {
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("target", c.Target.String()), slog.String("rule", c.Rule), slog.String("source", c.Source),
		slog.Time("at", c.At), slog.String("reason", c.Text()),
	}
	if c.InForce() {
		attrs = append(attrs, slog.String("for", c.Term.String()), slog.Int("offence", c.Offence))
		if !c.Until.IsZero() {
			attrs = append(attrs, slog.Time("until", c.Until))
		}
		if c.DryRun {
			attrs = append(attrs, slog.Bool("dryRun", true))
		}
	}
	log.LogAttrs(context.Background(), level, string(c.Kind), attrs...)
}

// logStatus logs the state of the engine, its rules, sources and actions, and the problems.
func (d *Daemon) logStatus(ctx context.Context) {
	s, err := d.engine.Status(ctx)
	if err != nil {
		return // the engine is stopping
	}
	kernels, err := d.engine.Kernel(ctx)
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
