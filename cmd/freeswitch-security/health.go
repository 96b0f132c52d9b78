package main

import (
	"cmp"
	"context"
	"slices"

	"freeswitch-security/cmd/freeswitch-security/client"
	"freeswitch-security/cmd/freeswitch-security/terminal"
	"freeswitch-security/engine/status"
)

// A health is all that the daemon says of itself.
type health struct {
	status.Status
	Kernel   client.Kernel `json:"kernel"`   // without its entries, which may be many
	LastBans []client.Ban  `json:"lastBans"` // newest first
}

const (
	// newest is how many of the last bans are shown.
	newest = 5
	// fewBans is the number of bans above which the last ones are not looked for: the
	// daemon lists bans by address, so that it takes all of them.
	fewBans = 1000
)

// examine asks a daemon about its health.
func examine(ctx context.Context, c *client.Client) (h health, err error) {
	if h.Status, err = c.Status(ctx); err != nil {
		return h, err
	}
	if h.Kernel, err = c.Kernel(ctx); err != nil {
		return h, err
	}
	h.Kernel.Entries = nil
	for i := range h.Kernel.More {
		h.Kernel.More[i].Entries = nil
	}
	h.LastBans = []client.Ban{}
	if h.Stats.ActiveBans > fewBans {
		return h, nil
	}
	bans, err := collect(first(c.Bans(ctx, fewBans), fewBans), true)
	if err != nil {
		return h, err
	}
	slices.SortFunc(bans, orders["added"])
	h.LastBans = append(h.LastBans, bans[:min(len(bans), newest)]...)
	return h, nil
}

// kernels lists what the kernel enforces for each action.
func (h *health) kernels() []status.Kernel {
	if h.Kernel.Action == "" {
		return nil
	}
	return append([]status.Kernel{h.Kernel.Kernel}, h.Kernel.More...)
}

// lag is that of the source that is furthest behind.
func (h *health) lag() (lag status.Seconds) {
	for _, s := range h.Sources {
		lag = max(lag, s.Lag)
	}
	return lag
}

// drifts counts the repairs in the kernel.
func (h *health) drifts() (n uint64) {
	for _, a := range h.Actions {
		n += a.Drift.Count
	}
	return n
}

// thresholds are how far a source may be behind.
type thresholds struct{ warning, critical lengthFlag }

// problems lists the problems that the daemon reports and the sources that are too
// far behind, critical ones first.
func (h *health) problems(t thresholds) []status.Problem {
	all := slices.Clone(h.Problems)
	for _, s := range h.Sources {
		severity := status.Warning
		switch lag := lengthFlag(s.Lag.Duration()); {
		case s.Fault != "" || lag < t.warning:
			continue
		case lag >= t.critical:
			severity = status.Critical
		}
		all = append(all, status.Problem{Severity: severity, Subject: "source " + s.Name, Text: terminal.About(s.Lag.Duration()) + " behind"})
	}
	slices.SortStableFunc(all, func(a, b status.Problem) int { return cmp.Compare(a.Severity, b.Severity) }) // "critical" < "warning"
	return all
}
