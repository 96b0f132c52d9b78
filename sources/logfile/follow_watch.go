package logfile

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// A watch hears that something happened to the log. While the log stands at its
// path, the watch is on the file alone: in its directory others may be written to
// thousands of times a second. While there is none, it is on the directories in
// which one can appear. It only wakes the follower, which then looks for itself:
// what is not heard, such as a symbolic link that moves, is seen at the next tick,
// and what is heard in vain costs one look.
type watch struct {
	log     *slog.Logger
	notify  *fsnotify.Watcher      // nil: the system gives none
	watched map[string]os.FileInfo // by path, which file or directory that was
	failed  bool                   // something could not be watched, which was said
}

// eventBuffer is how many events are dropped in one go, after a time in which
// nobody listened.
const eventBuffer = 64

func newWatch(log *slog.Logger) *watch {
	notify, err := fsnotify.NewBufferedWatcher(eventBuffer)
	if err != nil {
		log.Warn("log is polled: the system does not tell of changes", "err", err)
		return &watch{}
	}
	return &watch{log: log, notify: notify}
}

// aim watches the log if it still stands at the path; nil: it does not. Otherwise,
// or if it cannot be watched, it watches the directory that the path is in, the one
// that a symbolic link at the path points into, and where there is no such
// directory its nearest parent.
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
		if dir, info := nearest(filepath.Dir(file)); info != nil {
			dirs[dir] = info
		}
	}
	w.only(dirs)
}

// only watches what is wanted and nothing else, and reports whether it could. The
// system watches a file, not a path: one that was replaced is watched anew. The
// list is asked because one that is renamed or deleted drops out of it by itself,
// and may be back at its path by now.
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
		w.log.Warn("log is polled: it cannot be watched", "err", err)
	}
	return err == nil
}

// target is what a symbolic link at the path points to, also if that is missing.
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

// nearest is the directory or, if it does not exist, the nearest one above it.
func nearest(dir string) (string, os.FileInfo) {
	for {
		info, err := os.Stat(dir)
		if err == nil {
			return dir, info
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || parent == dir {
			return dir, nil
		}
		dir = parent
	}
}

func (w *watch) events() <-chan fsnotify.Event {
	if w.notify == nil {
		return nil
	}
	return w.notify.Events
}

func (w *watch) errors() <-chan error {
	if w.notify == nil {
		return nil
	}
	return w.notify.Errors
}

// drain drops the events that are there, after the one that was received, and
// reports whether anything was moved or deleted, which ends its watch.
func (w *watch) drain(e fsnotify.Event) (gone bool) {
	for {
		gone = gone || e.Has(fsnotify.Rename) || e.Has(fsnotify.Remove)
		select {
		case e = <-w.notify.Events:
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
