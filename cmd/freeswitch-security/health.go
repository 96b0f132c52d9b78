package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
)

// A health is all that the daemon says of itself.
type health struct {
	Status   client.Status   `json:"status"`
	Stats    client.Stats    `json:"stats"`
	Sources  []client.Source `json:"sources"`
	Kernel   client.Kernel   `json:"kernel"`
	LastBans []client.Ban    `json:"lastBans"` // the newest first
}

const (
	// newest is how many of the last bans are shown.
	newest = 5
	// fewBans is how many bans there may be for the last ones to be looked for:
	// the daemon gives bans by address, so that it takes all of them.
	fewBans = 1000
)

// examine asks a daemon all about its health. The entries of the kernel, which
// may be many, are left out.
func examine(ctx context.Context, c *client.Client) (h health, err error) {
	if h.Status, err = c.Status(ctx); err != nil {
		return h, err
	}
	if h.Stats, err = c.Stats(ctx); err != nil {
		return h, err
	}
	if h.Sources, err = c.Sources(ctx); err != nil {
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
	if h.Status.BlacklistCount > fewBans {
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

// kernels are the views of the kernel that there are.
func (h *health) kernels() []client.KernelView {
	if h.Kernel.Action == "" {
		return nil
	}
	return append([]client.KernelView{h.Kernel.KernelView}, h.Kernel.More...)
}

// lag is how far the source that is furthest behind is, in seconds.
func (h *health) lag() float64 {
	lag := 0.0
	for _, s := range h.Sources {
		lag = max(lag, s.LagSeconds)
	}
	return lag
}

// drifts is how often the kernel had to be mended.
func (h *health) drifts() uint64 {
	var n uint64
	for _, a := range h.Status.Actions {
		n += a.Drifts
	}
	return n
}

// A level says how bad something is; it is the exit status of a Nagios plugin.
type level int

const (
	levelOK level = iota
	levelWarning
	levelCritical
	levelUnknown
)

func (l level) String() string {
	return [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[l]
}

// A finding is something that is not as it ought to be.
type finding struct {
	level level
	what  string
}

// thresholds are how far a source may be behind.
type thresholds struct{ warning, critical time.Duration }

// findings says what is wrong, the worst first: whatever keeps attacks from being
// seen, or bans from being in force, is critical.
func (h *health) findings(t thresholds) []finding {
	f := &findingList{seen: map[string]bool{}}
	f.ofSources(h, t)
	f.ofActions(h)
	f.ofStatus(h)
	slices.SortStableFunc(f.all, func(a, b finding) int { return cmp.Compare(b.level, a.level) })
	return f.all
}

type findingList struct {
	all  []finding
	seen map[string]bool
}

// add takes a finding once: the daemon may name a problem in several places.
func (f *findingList) add(l level, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if what == "" || f.seen[what] {
		return
	}
	f.seen[what] = true
	f.all = append(f.all, finding{l, what})
}

func (f *findingList) ofSources(h *health, t thresholds) {
	for _, s := range h.Sources {
		if s.Warning != "" {
			f.add(levelWarning, "source %s: %s", s.Name, s.Warning)
		}
		lag := time.Duration(s.LagSeconds * float64(time.Second))
		switch {
		case s.Fault != "":
			f.add(levelCritical, "source %s: %s", s.Name, s.Fault)
		case !s.Running:
			f.add(levelCritical, "source %s: it is not being followed", s.Name)
		case lag >= t.critical:
			f.add(levelCritical, "source %s is %s behind", s.Name, about(lag))
		case lag >= t.warning:
			f.add(levelWarning, "source %s is %s behind", s.Name, about(lag))
		}
	}
	if len(h.Sources) == 0 {
		f.add(levelWarning, "nothing is watched: the rules name no source")
	}
}

func (f *findingList) ofActions(h *health) {
	for _, a := range h.Status.Actions {
		switch {
		case a.Error != "":
			f.add(levelCritical, "action %s: %s", a.Name, a.Error)
		case !a.Synced && !h.Status.DryRun:
			f.add(levelCritical, "action %s has not yet agreed with what should be in force", a.Name)
		}
		if d := a.Delivery; d != nil && d.Error != "" {
			f.add(levelWarning, "action %s does not reach whom it should tell: %s", a.Name, d.Error)
		}
		if d := a.Delivery; d != nil && d.Unkept != "" {
			f.add(levelWarning, "action %s would lose what it has not told yet at a restart: %s", a.Name, d.Unkept)
		}
	}
	for _, k := range h.kernels() {
		for _, text := range k.Errors {
			f.add(levelCritical, "action %s: %s", k.Action, text)
		}
		for _, text := range k.Warnings {
			f.add(levelWarning, "action %s: %s", k.Action, text)
		}
	}
	if len(h.kernels()) == 0 && !h.Status.DryRun {
		f.add(levelWarning, "nothing is blocked: no action writes to the kernel")
	}
}

func (f *findingList) ofStatus(h *health) {
	s := &h.Status
	switch {
	case s.DryRun:
		f.add(levelWarning, "nobody is blocked: it is a dry run")
	case !s.Enabled:
		f.add(levelWarning, "rules block nobody: auto_block_enabled is false")
	}
	if s.Status != "ok" && len(s.Problems) == 0 {
		f.add(levelCritical, "bans may not be in force")
	}
	// Those that are critical have been found above, in the same words.
	for _, text := range s.Problems {
		f.add(levelWarning, "%s", text)
	}
}
