package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/hcl/v2"
)

// lastReload returns when the rules that run were loaded, and the error of the last reload; "" if
// it succeeded.
func (d *Daemon) lastReload() (at time.Time, failure string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed != nil {
		failure = d.failed.Error()
	}
	return d.loaded, failure
}

func (d *Daemon) reloaded(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed = err; err == nil {
		d.loaded = time.Now()
	}
}

// reload replaces the rules that run by those on disk. With errors in them it changes nothing.
func (d *Daemon) reload(ctx context.Context) ([]engine.Diagnostic, error) {
	d.notify(daemon.SdNotifyReloading)
	defer d.notify(daemon.SdNotifyReady)
	cfg, diags := d.options.Reload()
	var found []engine.Diagnostic
	for _, diag := range diags {
		level, severity := slog.LevelError, "error"
		if diag.Severity == hcl.DiagWarning {
			level, severity = slog.LevelWarn, "warning"
		}
		d.log.Log(ctx, level, "rules", "what", diag.Summary, "detail", diag.Detail, "where", where(diag))
		found = append(found, engine.Diagnostic{Severity: severity, Summary: diag.Summary, Detail: diag.Detail, Where: where(diag)})
	}
	if diags.HasErrors() {
		err := fmt.Errorf("%s in %s", terminal.Count(len(diags.Errs()), "mistake"), d.options.Dir)
		d.reloaded(err)
		d.log.Error("reload refused: the old rules stay", "err", err)
		return found, err
	}
	if err := d.engine.Do(ctx, func() { d.engine.Reload(cfg) }); err != nil {
		d.log.Error("reload failed", "err", err)
		return found, err
	}
	d.admin = cfg.Admin
	if len(cfg.Sources) == 0 || len(cfg.Rules) == 0 {
		d.log.Warn("nothing is watched: the rule files declare no source or no rule", "dir", d.options.Dir)
	}
	d.reloaded(nil)
	d.log.Info("reloaded", "rules", len(cfg.Rules), "sources", len(cfg.Sources), "actions", len(cfg.Actions))
	return found, nil
}

// where is the place of a diagnostic: "rules.d/10-guessing.hcl:14,3".
func where(d *hcl.Diagnostic) string {
	if d.Subject == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d,%d", d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column)
}

// requestReload reloads for the admin listener, from any goroutine.
func (d *Daemon) requestReload(ctx context.Context) ([]engine.Diagnostic, error) {
	var found []engine.Diagnostic
	done := make(chan error, 1)
	select {
	case d.tasks <- func(ctx context.Context) {
		var err error
		found, err = d.reload(ctx)
		done <- err
		d.listen(ctx) // last: it may close the listener that asks
	}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case err := <-done:
		return found, err
	case <-ctx.Done():
		return nil, fmt.Errorf("the reload continues, and the log will show its result: %w", ctx.Err())
	}
}
