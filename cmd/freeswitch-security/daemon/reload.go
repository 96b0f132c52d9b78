package daemon

import (
	"context"
	"fmt"
	"log/slog"

	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/history"
	"freeswitch-security/engine/status"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/hcl/v2"
)

// reload replaces the rules that run by those on disk. With errors in them it changes nothing.
func (d *Daemon) reload(ctx context.Context) ([]status.Diagnostic, error) {
	d.notify(daemon.SdNotifyReloading)
	defer d.notify(daemon.SdNotifyReady)
	cfg, diags := d.options.Reload()
	var found []status.Diagnostic
	for _, diag := range diags {
		level, severity := slog.LevelInfo, "notice"
		switch diag.Severity {
		case hcl.DiagError:
			level, severity = slog.LevelError, "error"
		case hcl.DiagWarning:
			level, severity = slog.LevelWarn, "warning"
		}
		d.log.Log(ctx, level, "rules", "what", diag.Summary, "detail", diag.Detail, "where", where(diag))
		found = append(found, status.Diagnostic{Severity: severity, Summary: diag.Summary, Detail: diag.Detail, Where: where(diag)})
	}
	if diags.HasErrors() {
		return found, d.refuse(ctx, fmt.Errorf("%s in %s", terminal.Count(len(diags.Errs()), "mistake"), d.options.Dir))
	}
	if !d.options.DryRun {
		if err := d.claims.take(cfg); err != nil {
			return found, d.refuse(ctx, err)
		}
	}
	if err := d.engine.Do(ctx, func() { d.engine.Reload(cfg) }); err != nil {
		d.log.Error("reload failed", "err", err)
		return found, err
	}
	d.claims.keep(cfg)
	d.admin = cfg.Admin
	d.history.Configure(history.Settings(cfg.History))
	d.history.SetPlaces(cfg.PlaceOf)
	if len(cfg.Sources) == 0 || len(cfg.Rules) == 0 {
		d.log.Warn("nothing is watched: the rule files have no enabled source or no rule", "dir", d.options.Dir)
	}
	d.log.Info("reloaded", "rules", len(cfg.Rules), "sources", len(cfg.Sources), "actions", len(cfg.Actions))
	return found, nil
}

// refuse notes and returns why the rules on disk are not used.
func (d *Daemon) refuse(ctx context.Context, err error) error {
	_ = d.engine.Do(ctx, func() { d.engine.ReloadFailed(err) }) // an error: the engine is stopping
	d.log.Error("reload refused: the old rules stay", "err", err)
	return err
}

// where is the place of a diagnostic: "rules.d/10-guessing.hcl:14:3".
func where(d *hcl.Diagnostic) string {
	if d.Subject == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column)
}

// requestReload reloads for the admin listener, from any goroutine.
func (d *Daemon) requestReload(ctx context.Context) ([]status.Diagnostic, error) {
	var found []status.Diagnostic
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
