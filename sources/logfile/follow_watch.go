package logfile

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// A watch hears that something happened in the directories of the log. It only
// wakes the follower, which then looks for itself: what is not heard is seen at
// the next tick, and what is heard in vain costs one look.
type watch struct {
	log    *slog.Logger
	notify *fsnotify.Watcher      // nil: the system gives none
	dirs   map[string]os.FileInfo // what is watched, and which directory that was
	failed bool                   // a directory could not be watched, which was said
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
	return &watch{log: log, notify: notify, dirs: map[string]os.FileInfo{}}
}

// aim watches the directory that the path is in, the one that a symbolic link at
// the path points into, and where there is no such directory its nearest parent.
// A directory that was replaced by another one is watched anew.
func (w *watch) aim(path string) {
	if w.notify == nil {
		return
	}
	want := map[string]os.FileInfo{}
	for _, file := range []string{path, target(path)} {
		dir, info := nearest(filepath.Dir(file))
		want[dir] = info
	}
	for dir, info := range w.dirs {
		if now, ok := want[dir]; !ok || now == nil || !os.SameFile(now, info) {
			_ = w.notify.Remove(dir) // it is gone already if the directory is
			delete(w.dirs, dir)
		}
	}
	for dir, info := range want {
		if _, ok := w.dirs[dir]; !ok && info != nil {
			w.add(dir, info)
		}
	}
}

func (w *watch) add(dir string, info os.FileInfo) {
	err := w.notify.Add(dir)
	if err == nil {
		w.dirs[dir] = info
	} else if !w.failed && !errors.Is(err, fs.ErrNotExist) {
		w.failed = true
		w.log.Warn("log is polled: its directory cannot be watched", "err", err)
	}
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

// drain drops the events that are there.
func (w *watch) drain() {
	for {
		select {
		case <-w.notify.Events:
		default:
			return
		}
	}
}

func (w *watch) close() {
	if w.notify != nil {
		w.notify.Close()
	}
}
