package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"freeswitch-security/engine/config"
)

// TestLeftovers: what an action kept goes a month after it was last written, unless
// the rule files name the action.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	for name, age := range map[string]time.Duration{"webhook.noc": 31, "webhook.gone": 31, "webhook.paused": 29, "webhook.half": 31} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "notices.db"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "webhook.half" {
			if err := os.WriteFile(filepath.Join(path, "written.db"), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, old := range []string{filepath.Join(path, "notices.db"), path} {
			if err := os.Chtimes(old, now, now.Add(-age*24*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "a file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := guessing(t)
	cfg.Actions = []config.Action{{Ref: "webhook.noc", Action: &teller{}}}
	for _, dry := range []bool{true, false} {
		New(cfg, Options{Dir: dir, DryRun: dry}).sweep(now)
		for name, stays := range map[string]bool{"webhook.noc": true, "webhook.gone": dry, "webhook.paused": true, "webhook.half": true, "a file": true} {
			if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != stays {
				t.Errorf("dry run %t: %s is there: %t", dry, name, err == nil)
			}
		}
	}
	New(cfg, Options{}).sweep(now)
	New(cfg, Options{Dir: filepath.Join(dir, "missing")}).sweep(now)
}
