package engine

import (
	"context"
	"errors"
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
		e.TakeOver(lost, nil)
		e.takeOver(t.Context())
		if b, _ := e.Ledger().Covering(ban.Network(target)); b.Reason != want {
			t.Errorf("%q: %q, want %q", lost, b.Reason, want)
		}
	}
}

// TestTakeOverKeepsWhatWasRestored: of a state that was restored in part, the kernel's bans
// add what is missing.
func TestTakeOverKeepsWhatWasRestored(t *testing.T) {
	restored, lost := ban.Address(netip.MustParseAddr("203.0.113.7")), ban.Address(netip.MustParseAddr("203.0.113.8"))
	cfg := guessing(t)
	cfg.Actions = []config.Action{{Ref: "wall.x", Action: &lastingWall{entries: []status.Entry{{Target: restored, Remaining: 9}, {Target: lost, Remaining: 9}}}, Blocks: true}}
	e := New(cfg, Options{})
	e.ledger.Enter(ban.Order{Target: restored, Rule: "guessing", Author: ban.ByRule, At: e.tick(), Terms: []ban.Term{ban.Permanent}}, e.tick())
	e.TakeOver("could not be read", errors.New("wrong checksum"))
	e.takeOver(t.Context())
	for target, want := range map[ban.Target]string{restored: ban.ByRule, lost: "takeover"} {
		if b, _ := e.Ledger().Covering(target); b.Author != want {
			t.Errorf("%s: by %q, want %q", target, b.Author, want)
		}
	}
	if s := e.status(); s.State.Damage != "wrong checksum" {
		t.Errorf("damage %q", s.State.Damage)
	}
}
