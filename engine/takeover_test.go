package engine

import (
	"context"
	"net/netip"
	"testing"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/status"
)

// A lasting wall keeps its bans across runs, and lists them.
type lastingWall struct {
	wall
	entries []status.Entry
}

func (w *lastingWall) Inspect(context.Context) (status.Kernel, error) {
	return status.Kernel{Entries: w.entries}, nil
}

// TestTakeOver: without a state, the bans in force are taken over. Their reason says what
// happened to the state.
func TestTakeOver(t *testing.T) {
	target := netip.MustParsePrefix("203.0.113.7/32")
	for lost, want := range map[string]string{
		"":            "",
		"was missing": "stood when the state of the run before was missing",
	} {
		cfg := guessing(t)
		cfg.Actions = []config.Action{{Ref: "wall.x", Action: &lastingWall{entries: []status.Entry{{Target: ban.Network(target), Remaining: 3600}}}, Blocks: true}}
		e := New(cfg, Options{})
		e.TakeOver(lost)
		e.takeOver(t.Context())
		if b, _ := e.Ledger().Covering(ban.Network(target)); b.Reason != want {
			t.Errorf("%q: %q, want %q", lost, b.Reason, want)
		}
	}
}
