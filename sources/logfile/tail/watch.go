package tail

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// A watch hears that something happened to the log. While the log is at its path,
// the watch is on the file alone: other files in its directory may be written to
// thousands of times a second. Otherwise it is on the directories in which the log
// can appear. It only wakes the follower, which then looks for itself. What is not
// heard, such as a symbolic link that moves, is seen at the next tick.
type watch struct {
	log     *slog.Logger
	notify  *fsnotify.Watcher // nil: the system has none
	events  <-chan fsnotify.Event
	errors  <-chan error
	watched map[string]os.FileInfo // by path, which file or directory that was
	failed  bool                   // something could not be watched, which was logged
}

// eventBuffer is how many events are dropped in one go, after a time in which the
// follower did not listen.
const eventBuffer = 64

func newWatch(log *slog.Logger) *watch {
	notify, err := fsnotify.NewBufferedWatcher(eventBuffer)
	if err != nil {
		log.Warn("log polled: the system reports no changes", "err", err)
		return &watch{}
	}
	return &watch{log: log, notify: notify, events: notify.Events, errors: notify.Errors}
}

// aim watches the log if it is still at the path; nil: it is not. Otherwise, or if the
// log cannot be watched, it watches the directory of the path and that of the target
// of a symbolic link at the path.
func (w *watch) aim(path string, log os.FileInfo) {
	if w.notify == nil {
		return
	}
	path = filepath.Clean(path) // as it is listed
	if now, err := os.Stat(path); err == nil && os.SameFile(now, log) {
		if w.only(map[string]os.FileInfo{path: log}) {
			return
		}
	}
	dirs := map[string]os.FileInfo{}
	for _, file := range []string{path, target(path)} {
		if info, err := os.Stat(filepath.Dir(file)); err == nil {
			dirs[filepath.Dir(file)] = info
		}
	}
	w.only(dirs)
}

// only watches what is wanted and nothing else, and reports whether it could. The
// system watches a file, not a path, so a file that was replaced is watched again.
// Files that are renamed or deleted leave the list of the system by themselves, and
// may be back at their path by now.
func (w *watch) only(want map[string]os.FileInfo) (all bool) {
	kept := map[string]os.FileInfo{}
	for _, path := range w.notify.WatchList() {
		if os.SameFile(want[path], w.watched[path]) {
			kept[path] = want[path]
			continue
		}
		_ = w.notify.Remove(path) // it is gone already if the file is
	}
	w.watched = kept
	all = true
	for path, info := range want {
		if _, ok := kept[path]; !ok && !w.add(path, info) {
			all = false
		}
	}
	return all
}

func (w *watch) add(path string, info os.FileInfo) bool {
	err := w.notify.Add(path)
	if err == nil {
		w.watched[path] = info
	} else if !w.failed && !errors.Is(err, fs.ErrNotExist) {
		w.failed = true
		w.log.Warn("log polled: it cannot be watched", "err", err)
	}
	return err == nil
}

// target returns what a symbolic link at the path points to, also if that is missing.
func target(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	link, err := os.Readlink(path)
	if err != nil {
		return path
	}
	if !filepath.IsAbs(link) {
		link = filepath.Join(filepath.Dir(path), link)
	}
	return link
}

// drain drops the events that are there, after the one that was received, and reports
// whether a file was moved or deleted, which ends its watch.
func (w *watch) drain(e fsnotify.Event) (gone bool) {
	for {
		gone = gone || e.Has(fsnotify.Rename) || e.Has(fsnotify.Remove)
		select {
		case e = <-w.events:
		default:
			return gone
		}
	}
}

func (w *watch) close() {
	if w.notify != nil {
		w.notify.Close()
	}
}
