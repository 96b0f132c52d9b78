package engine

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

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

// TestTakeOverOfNothing: the first run marks its state, unless there are bans to be saved in it. So a ban
// that the kernel has and the state has not, because of a kill, is not taken over by the second.
func TestTakeOverOfNothing(t *testing.T) {
	for _, entries := range [][]status.Entry{nil, {{Target: ban.Address(netip.MustParseAddr("203.0.113.7"))}}} {
		file, err := ban.OpenFile(filepath.Join(t.TempDir(), "state.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		cfg := guessing(t)
		cfg.Actions = []config.Action{{Ref: "wall.x", Action: &lastingWall{entries: entries}, Blocks: true}}
		e := New(cfg, Options{})
		if err := e.Restore(file, time.Now()); err != nil {
			t.Fatal(err)
		}
		e.TakeOver("was missing", nil)
		e.takeOver(t.Context())
		if got, want := file.New(), len(entries) > 0; got != want {
			t.Errorf("%d entries: new: %t", len(entries), got)
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
