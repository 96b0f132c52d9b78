package engine

import (
	"context"
	"strings"
	"time"

	"freeswitch-security/engine/admin"
	"freeswitch-security/engine/enforce"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/status"
)

// Status implements [admin.Guard].
func (g *Guard) Status(ctx context.Context) (admin.Status, error) {
	var s Status
	out := admin.Status{Started: g.Started, DryRun: g.options.DryRun}
	out.Reloaded, out.ReloadError = g.Reloaded()
	err := g.between(ctx, func() {
		s = g.Engine.Status()
		out.AutoBlock = g.cfg.Security.AutoBlock
		out.Tallies = g.tallies.all()
		for i, r := range g.cfg.Rules {
			out.Rules = append(out.Rules, ruleStatus(r, &s.Rules[i]))
		}
	})
	if err != nil {
		return out, err
	}
	out.Events, out.Waiting, out.Bans = s.Events, s.Waiting, s.Bans
	out.Trusted = len(g.ledger.Trust().All()) + len(g.ledger.Grants())
	if s.StateErr != nil {
		out.Unsaved = s.StateErr.Error()
	}
	out.Known = admin.Known{Registrations: s.Registrations, Evicted: s.Evicted, Refused: s.Refused}
	out.Corroborated = admin.Corroborated(s.Corroborated)
	for _, source := range s.Sources {
		out.Sources = append(out.Sources, sourceStatus(&source))
	}
	for _, a := range s.Actions {
		out.Actions = append(out.Actions, actionStatus(&a))
	}
	return out, nil
}

func ruleStatus(r *rule.Spec, s *rule.RuleStats) admin.RuleStatus {
	return admin.RuleStatus{
		Name: r.Name, Where: r.Where, On: r.On, Matches: s.Matches, Firings: s.Firings, Tracked: s.Tracked,
		Evicted: s.Evicted, Expired: s.Expired, Errors: s.Errors, LastError: s.LastError,
	}
}

func sourceStatus(s *SourceStatus) admin.SourceStatus {
	out := admin.SourceStatus{
		Name: s.Ref, Running: s.Running, Events: uint64(s.Progress.Events), Lost: uint64(s.Lost), Lines: uint64(s.Lines),
		Bytes: uint64(s.Bytes), Skipped: uint64(s.Skipped), Doubted: uint64(s.Doubted),
		Connects: uint64(s.Connects), Restarts: uint64(s.Restarts),
		Behind: s.Behind, LastEvent: s.LastEvent, Fault: s.Fault, Warning: s.Warning,
	}
	if s.Behind > 0 && !s.LastEvent.IsZero() {
		out.Lag = max(0, time.Since(s.LastEvent))
	}
	return out
}

func actionStatus(s *ActionStatus) admin.ActionStatus {
	out := admin.ActionStatus{
		Name: s.Name, Synced: s.Synced, Waiting: s.Waiting, Applied: s.Applied, Took: s.Took, Batch: s.Batch,
		Latency: histogram(&s.Latency), Batches: histogram(&s.Batches),
		Drifts: uint64(s.Drifts), Failures: s.Failures, Lost: uint64(s.Lost), Err: s.Err,
	}
	if m, ok := s.Action.(plugin.Messenger); ok {
		d := m.Delivery()
		out.Delivery = &admin.Delivery{
			Delivered: d.Delivered, Dropped: d.Dropped, Failed: d.Failed, Waiting: d.Waiting, Since: d.Since,
			Err: d.Error, Unkept: d.SpoolError,
		}
	}
	return out
}

func histogram(h *enforce.Histogram) admin.Histogram {
	out := admin.Histogram{Count: h.Count, Sum: h.Sum, Buckets: map[float64]uint64{}}
	for i, bound := range h.Bounds {
		out.Buckets[bound] = h.Counts[i]
	}
	return out
}

// Kernel implements [admin.Guard].
func (g *Guard) Kernel(ctx context.Context) ([]admin.KernelView, error) {
	var actions []ActionStatus
	if err := g.between(ctx, func() { actions = g.Engine.Status().Actions }); err != nil {
		return nil, err
	}
	var views []admin.KernelView
	for _, a := range actions {
		if inspector, ok := a.Action.(plugin.Inspector); ok {
			in, err := inspector.Inspect(ctx)
			views = append(views, kernelView(&a.Status, &in, err))
		}
	}
	return views, nil
}

func kernelView(s *enforce.Status, in *status.Kernel, err error) admin.KernelView {
	v := admin.KernelView{
		Action: s.Name, Chain: in.Chain, Backend: in.Backend, Versions: in.Versions, Foreign: in.Foreign,
		Drifts: uint64(s.Drifts), Missing: s.Drift.Missing, Surplus: s.Drift.Surplus, Notes: s.Drift.Notes,
		Applied: s.Applied, Took: s.Took, Batch: s.Batch, LastError: s.Err,
	}
	for _, p := range in.Problems {
		if p.Severity == status.Critical {
			v.Errors = append(v.Errors, p.Text)
		} else {
			v.Warnings = append(v.Warnings, p.Text)
		}
	}
	if err != nil {
		v.Errors = append(v.Errors, strings.Split(err.Error(), "\n")...) // one of each family
		v.Unread = true
	}
	for _, j := range in.Jumps {
		v.Jumps = append(v.Jumps, admin.Jump(j))
	}
	for _, e := range in.Entries {
		v.Entries = append(v.Entries, admin.KernelEntry{
			Target: e.Target, Packets: e.Packets, Bytes: e.Bytes, Remaining: e.Remaining.Duration(), Permanent: e.Permanent,
		})
	}
	return v
}

// Trackers implements [admin.Guard].
func (g *Guard) Trackers(ctx context.Context, top int) ([]admin.Tracker, error) {
	var closest []rule.Near
	err := g.between(ctx, func() { closest = g.rules.Closest(top, g.now) })
	var out []admin.Tracker
	for _, n := range closest {
		out = append(out, admin.Tracker{Rule: n.Rule, Source: n.Source, Key: n.Key, Count: n.Count, Limit: n.Limit, Within: n.Within, Last: n.Last})
	}
	return out, err
}

// Reload implements [admin.Guard].
func (g *Guard) Reload(ctx context.Context) ([]admin.Diagnostic, error) { return g.Reloading(ctx) }
