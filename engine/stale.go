package engine

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"freeswitch-security/engine/config"
)

// keptFor is the time that the directory of an action is kept without its block in the
// rule files: the block may be commented out for a while. No notification of a webhook
// is delivered after that time.
const keptFor = 30 * 24 * time.Hour

// removeStaleDirs removes the directories in dir of actions that no rule file names, and
// that were not written to for keptFor.
func removeStaleDirs(dir string, actions []config.Action, log *slog.Logger, now time.Time) {
	kept, err := os.ReadDir(dir)
	if err != nil {
		return // there is nothing yet, or the actions will report it
	}
	for _, entry := range kept {
		if slices.ContainsFunc(actions, func(a config.Action) bool { return a.Ref == entry.Name() }) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		files, ours := staleFiles(path, entry, now.Add(-keptFor))
		if !ours {
			continue
		}
		if err := remove(append(files, path)); err != nil {
			log.Error("stale directory of an action not removed", "action", entry.Name(), "err", err)
			continue
		}
		log.Info("stale directory of an action removed: no rule file names it", "action", entry.Name())
	}
}

// actionRef is the reference of an action: webhook.noc.
var actionRef = regexp.MustCompile(`^[a-z0-9]+\.[\pL\pN_-]+$`)

// staleFiles returns the files in a directory if open can have made it for an action and
// it was last written to before then. The operator chooses the directory above, which
// may hold other things.
func staleFiles(path string, dir os.DirEntry, then time.Time) (files []string, ours bool) {
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

// remove removes files and empty directories. A directory with new files stays.
func remove(paths []string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
