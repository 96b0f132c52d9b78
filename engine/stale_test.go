package engine

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"freeswitch-security/engine/config"

	"github.com/google/go-cmp/cmp"
)

// TestRemoveStaleDirs: the directory of an action is removed a month after the last
// write to it, unless the rule files name the action. Other directories stay.
func TestRemoveStaleDirs(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"webhook.noc", "webhook.gone", "webhook.paused", "webhook.half", "webhook.deep", "webhook.linked", "webhook.readable", "iptables", "a.b.c"} {
		must(os.Mkdir(filepath.Join(dir, name), 0o700))
		must(os.WriteFile(filepath.Join(dir, name, "notices.db"), []byte("x"), 0o600))
	}
	must(os.Mkdir(filepath.Join(dir, "webhook.deep", "below"), 0o700))
	must(os.Symlink("notices.db", filepath.Join(dir, "webhook.linked", "link")))
	must(os.Symlink(elsewhere, filepath.Join(dir, "webhook.link")))
	must(os.WriteFile(filepath.Join(dir, "webhook.file"), nil, 0o700))
	must(os.Chmod(filepath.Join(dir, "webhook.readable"), 0o755))
	now := time.Now().Add(31 * 24 * time.Hour)
	lately := now.Add(-29 * 24 * time.Hour)
	must(os.Chtimes(filepath.Join(dir, "webhook.paused"), lately, lately))
	must(os.Chtimes(filepath.Join(dir, "webhook.half", "notices.db"), lately, lately))

	cfg := guessing(t)
	cfg.Actions = []config.Action{{Ref: "webhook.noc", Action: &teller{}}}
	before := within(t, dir)
	sweep := func(o Options) {
		e := New(cfg, o)
		removeStaleDirs(e.options.Dir, cfg.Actions, e.options.Log, now)
	}
	sweep(Options{Dir: dir, DryRun: true})
	if diff := cmp.Diff(before, within(t, dir)); diff != "" {
		t.Errorf("a dry run, - before, + after:\n%s", diff)
	}
	sweep(Options{Dir: dir})
	want := slices.DeleteFunc(before, func(path string) bool { return strings.HasPrefix(path, "webhook.gone") })
	if diff := cmp.Diff(want, within(t, dir)); diff != "" {
		t.Errorf("- what should be left, + what is:\n%s", diff)
	}
	sweep(Options{})
	sweep(Options{Dir: filepath.Join(dir, "missing")})
}

// within returns the paths of all entries of a directory.
func within(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
