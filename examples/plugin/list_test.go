package plugin

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings/settingstest"

	"github.com/hashicorp/hcl/v2"
)

// decoded is the action of a block with this body.
func decoded(t *testing.T, body string) (plugin.Action, hcl.Diagnostics) {
	t.Helper()
	b := settingstest.Block(t, "a.hcl", body, nil)
	l := Kind.New(b, plugin.ActionEnv{Name: "list.mine"})
	if b.Done(); b.Failed() {
		return nil, b.Diagnostics()
	}
	return l, b.Diagnostics()
}

func TestTheFileHoldsWhoIsBanned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "banned.txt")
	action, diags := decoded(t, `path = "`+path+`"`)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	l := action.(plugin.Level)
	holds := func(want string) {
		t.Helper()
		got, err := os.ReadFile(path)
		if err != nil || strings.Join(strings.Fields(string(got)), " ") != want {
			t.Errorf("the file holds %q, want %q; %v", got, want, err)
		}
	}
	if _, err := l.Resync(t.Context(), slices.Values([]ban.Ban(nil))); err != nil {
		t.Fatal(err)
	}
	holds("")
	now := time.Now()
	change := func(kind ban.Kind, target string, until time.Time) ban.Change {
		return ban.Change{Kind: kind, Ban: ban.Ban{Target: ban.Network(netip.MustParsePrefix(target)), Until: until}}
	}
	for range 2 { // a batch may come twice
		err := l.Apply(t.Context(), ban.Batch{Now: now, Changes: []ban.Change{
			change(ban.Banned, "203.0.113.7/32", now.Add(time.Hour)),
			change(ban.Banned, "198.51.100.0/24", time.Time{}),
			change(ban.Banned, "192.0.2.1/32", now.Add(-time.Second)),
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	holds("198.51.100.0/24 203.0.113.7")

	if err := os.WriteFile(path, []byte("192.0.2.9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	drift, err := l.Resync(t.Context(), slices.Values([]ban.Ban{{Target: ban.Network(netip.MustParsePrefix("203.0.113.7/32"))}}))
	if err != nil || !drift.Any() {
		t.Errorf("after somebody has changed the file: %+v, %v", drift, err)
	}
	holds("203.0.113.7")
}

func TestAPathIsWhole(t *testing.T) {
	if _, diags := decoded(t, `path = "banned.txt"`); !diags.HasErrors() || !strings.Contains(diags[0].Detail, "whole path") {
		t.Errorf("a relative path: %v", diags)
	}
}
