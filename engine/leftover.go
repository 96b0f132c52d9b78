package engine

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"freeswitch-security/engine/config"
)

// keptFor is how long what an action keeps outlasts its block in the rule files:
// somebody may have commented that out for a while, and no notice of the webhook is
// worth telling after that time.
const keptFor = 30 * 24 * time.Hour

// sweep removes what actions have kept that no rule file names any more, and that
// nobody has written to for so long.
func (e *Engine) sweep(now time.Time) {
	if e.Dir == "" || e.DryRun {
		return
	}
	kept, err := os.ReadDir(e.Dir)
	if err != nil {
		return // there is nothing yet, or keep will tell
	}
	for _, dir := range kept {
		path := filepath.Join(e.Dir, dir.Name())
		named := slices.ContainsFunc(e.cfg.Actions, func(a config.Action) bool { return a.Ref == dir.Name() })
		if named || !dir.IsDir() || !allBefore(path, now.Add(-keptFor)) {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			e.Log.Error("leftover of an action not removed", "action", dir.Name(), "err", err)
			continue
		}
		e.Log.Info("leftover of an action removed: no rule file names it", "action", dir.Name())
	}
}

// allBefore tells whether everything in a directory was last written before then.
func allBefore(dir string, then time.Time) bool {
	err := filepath.WalkDir(dir, func(_ string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && !info.ModTime().Before(then) {
			err = errors.New("it is in use")
		}
		return err
	})
	return err == nil
}
