package engine

import (
	"os"
	"path/filepath"
	"regexp"
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
	if e.options.Dir == "" || e.options.DryRun {
		return
	}
	kept, err := os.ReadDir(e.options.Dir)
	if err != nil {
		return // there is nothing yet, or keep will tell
	}
	for _, dir := range kept {
		if slices.ContainsFunc(e.cfg.Actions, func(a config.Action) bool { return a.Ref == dir.Name() }) {
			continue
		}
		path := filepath.Join(e.options.Dir, dir.Name())
		files, ours := leftover(path, dir, now.Add(-keptFor))
		if !ours {
			continue
		}
		if err := remove(append(files, path)); err != nil {
			e.options.Log.Error("leftover of an action not removed", "action", dir.Name(), "err", err)
			continue
		}
		e.options.Log.Info("leftover of an action removed: no rule file names it", "action", dir.Name())
	}
}

// actionRef is the reference of an action: webhook.noc.
var actionRef = regexp.MustCompile(`^[a-z0-9]+\.[\pL\pN_-]+$`)

// leftover are the files in a directory that keep can have made for an action and
// that was last written to before then. The operator chooses the directory above, and
// there may be other things in it.
func leftover(path string, dir os.DirEntry, then time.Time) (files []string, ours bool) {
	info, err := dir.Info()
	if err != nil || info.Mode()&^os.ModeSetgid != os.ModeDir|keptMode || !actionRef.MatchString(dir.Name()) || !info.ModTime().Before(then) {
		return nil, false
	}
	entries, err := os.ReadDir(path)
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || !info.ModTime().Before(then) {
			return nil, false
		}
		files = append(files, filepath.Join(path, entry.Name()))
	}
	return files, err == nil
}

// remove removes files and empty directories, and nothing that came into one since.
func remove(paths []string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
