package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"freeswitch-security/cmd/freeswitch-security/client"
)

// TestFindings: what is wrong, and how bad it is.
func TestFindings(t *testing.T) {
	limits := thresholds{10 * time.Second, time.Minute}
	for _, c := range []struct {
		name   string
		change func(*health)
		want   level
		what   string
	}{
		{"all is well", func(*health) {}, levelOK, ""},
		{"a little behind", func(h *health) { h.Sources[0].LagSeconds = 10 }, levelWarning, "log.a is 10s behind"},
		{"far behind", func(h *health) { h.Sources[0].LagSeconds = 61 }, levelCritical, "log.a is 1m1s behind"},
		{"a source that failed", func(h *health) { h.Sources[0].Fault = "no such file" }, levelCritical, "log.a: no such file"},
		{"a source that reads and has trouble", func(h *health) { h.Sources[0].Warning = "no list" }, levelWarning, "log.a: no list"},
		{"a source that ended", func(h *health) {
			h.Sources[0].Running = false
			h.Status.Status, h.Status.Problems = "degraded", []string{"source log.a: it is not being followed"}
		}, levelCritical, "[{2 source log.a: it is not being followed}]"},
		{"no source", func(h *health) { h.Sources = nil }, levelWarning, "nothing is watched"},
		{"an action that fails", func(h *health) { h.Status.Actions[0].Error = "exit status 4" }, levelCritical, "exit status 4"},
		{"not yet in force", func(h *health) { h.Status.Actions[0].Synced = false }, levelCritical, "not yet agreed"},
		{"the kernel is broken", func(h *health) { h.Kernel.Errors = []string{"no chain"} }, levelCritical, "no chain"},
		{"the kernel is odd", func(h *health) { h.Kernel.Warnings = []string{"after an ACCEPT"} }, levelWarning, "after an ACCEPT"},
		{"no kernel", func(h *health) { h.Kernel = client.Kernel{} }, levelWarning, "no action writes to the kernel"},
		{"a dry run", func(h *health) { h.Status.DryRun, h.Status.Enabled = true, false }, levelWarning, "dry run"},
		{"rules block nobody", func(h *health) { h.Status.Enabled = false }, levelWarning, "auto_block_enabled"},
		{"degraded", func(h *health) { h.Status.Status = "degraded" }, levelCritical, "may not be in force"},
		{"degraded by something that is no danger", func(h *health) {
			h.Status.Status, h.Status.Problems = "degraded", []string{"rules not reloaded: 2 mistakes"}
		}, levelWarning, "2 mistakes"},
		{"a messenger that is not heard", func(h *health) {
			h.Status.Actions[0].Delivery = &client.Delivery{Waiting: 3, Error: "https://hooks.example.com answered 503"}
		}, levelWarning, "does not reach whom it should tell: https://hooks.example.com answered 503"},
		{"a messenger that keeps nothing", func(h *health) {
			h.Status.Actions[0].Delivery = &client.Delivery{Unkept: "no space"}
		}, levelWarning, "no space"},
	} {
		h := &health{
			Status:  client.Status{Status: "ok", Enabled: true, Actions: []client.Action{{Name: "wall.drop", Synced: true}}},
			Sources: []client.Source{{Name: "log.a", Running: true}},
			Kernel:  client.Kernel{KernelView: client.KernelView{Action: "wall.drop"}},
		}
		c.change(h)
		worst, all := levelOK, h.findings(limits)
		for _, f := range all {
			worst = max(worst, f.level)
		}
		if worst != c.want || !strings.Contains(fmt.Sprint(all), c.what) {
			t.Errorf("%s: %v, want %s %q", c.name, all, c.want, c.what)
		}
	}
}

// TestKernelUnread: what nobody could look at is not known, which is not nothing.
func TestKernelUnread(t *testing.T) {
	g := guard(t)
	g.want(0, nil, "block", "203.0.113.7")
	g.want(0, []string{"1 ban in chain WALL"}, "status")
	g.wall.hides(errors.New("list table filter: exit status 4"))
	g.settle()
	g.want(1, []string{"! action wall.drop: list table filter: exit status 4", "kernel wall.drop       not known"}, "status")
	g.want(0, []string{"not known to be in force  1        not known"}, "list", "--sort", "packets")
	g.want(0, []string{"not known: the kernel could not be read"}, "show", "203.0.113.7")
	if shown, _, _ := g.piped(g.want(0, nil, "export"), "import", "-"); !strings.Contains(shown, "1 of 1 banned") || !strings.Contains(shown, "the kernel could not be read") {
		t.Errorf("import: %s", shown)
	}
}
