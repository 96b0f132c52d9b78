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
		if !stale(path, entry, now.Add(-keptFor)) {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			log.Error("stale directory of an action not removed", "action", entry.Name(), "err", err)
			continue
		}
		log.Info("stale directory of an action removed: no rule file names it", "action", entry.Name())
	}
}

// actionRef is the reference of an action: webhook.noc.
var actionRef = regexp.MustCompile(`^[a-z0-9]+\.[\pL\pN_-]+$`)

// stale reports whether open can have made a directory for an action, and it was last
// written to before then. The operator chooses the directory above, which may hold other
// things.
func stale(path string, dir os.DirEntry, then time.Time) bool {
	info, err := dir.Info()
	if err != nil || info.Mode()&^os.ModeSetgid != os.ModeDir|keptMode || !actionRef.MatchString(dir.Name()) || !info.ModTime().Before(then) {
		return false
	}
	entries, err := os.ReadDir(path)
	return err == nil && !slices.ContainsFunc(entries, func(entry os.DirEntry) bool {
		info, err := entry.Info()
		return err != nil || !info.Mode().IsRegular() || !info.ModTime().Before(then)
	})
}
