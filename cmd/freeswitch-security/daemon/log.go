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

// A changeLog logs changes. Of each group it logs so many in a stretch of time and counts the others: an
// attacker must not fill the disk. The API has all of them. It is safe for concurrent use.
type changeLog struct {
	log *slog.Logger // of changes
	sum *slog.Logger // of their numbers

	mu     sync.Mutex // guards what follows
	groups map[group]*stretch
	told   time.Time // when the ends of stretches were last looked for
}

// A group is all changes of a kind, or the refusals of one rule and target after the first that was
// logged. The stretches of the latter double while there are some: a trusted host may be refused every
// few seconds without an end.
type group struct {
	kind   ban.Kind
	rule   string
	target ban.Target
}

// A stretch of time has one number of lines for each group.
type stretch struct {
	began        time.Time
	lasts        time.Duration
	logged, held int
}

const (
	stretchTime = 10 * time.Second
	mostLines   = 100 // of a stretch
	mostRefused = 20  // likewise, of refusals: they change nothing

	repeatTime = 10 * time.Minute // the first stretch of repeated refusals
	longest    = 24 * time.Hour   // the longest
	maxGroups  = 1000             // beyond them, refusals are counted by their kind alone
)

// add logs a change, or counts it.
func (l *changeLog) add(c *ban.Change, now time.Time) {
	if c.Standing { // at debug level
		logChange(l.log, c)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.told) >= time.Second {
		l.endStretches(now)
	}
	one, refused := group{c.Kind, c.Rule, c.Target}, c.Kind == ban.KindRefuse
	all := l.groups[group{kind: c.Kind}]
	if all == nil {
		all = &stretch{began: now, lasts: stretchTime}
		l.groups[group{kind: c.Kind}] = all
	}
	switch repeats := l.groups[one]; {
	case refused && repeats != nil:
		repeats.held++
	case all.logged == mostLines || refused && all.logged == mostRefused:
		all.held++
	default:
		if refused && len(l.groups) < maxGroups {
			l.groups[one] = &stretch{began: now, lasts: repeatTime}
		}
		all.logged++
		logChange(l.log, c)
	}
}

// tell ends the stretches that are over at now, and logs how many of their changes were not logged.
func (l *changeLog) tell(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endStretches(now)
}

// endStretches is tell; the mutex is held.
func (l *changeLog) endStretches(now time.Time) {
	l.told = now
	for g, s := range l.groups {
		switch {
		case now.Sub(s.began) < s.lasts:
			continue
		case s.held == 0:
			delete(l.groups, g)
		case g == group{kind: g.kind}:
			l.sum.Warn("changes not logged: too many at once", "kind", string(g.kind), "number", s.held, "since", s.began)
			delete(l.groups, g)
		default:
			l.sum.Info("refusals not logged: they repeat", "target", g.target.String(), "rule", g.rule, "number", s.held, "since", s.began)
			s.began, s.lasts, s.held = now, min(2*s.lasts, longest), 0
		}
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
	if c.Author != "" && c.Author != ban.ByRule {
		attrs = append(attrs, slog.String("author", c.Author))
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
