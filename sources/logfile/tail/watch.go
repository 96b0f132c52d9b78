package tail

import (
	"log/slog"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// A watch hears that something happened to the file at the path. It only wakes the
// follower, which then looks for itself. It is on that file alone: other files in its
// directory may be written to thousands of times a second. What it does not hear, such as
// a symbolic link that moves, is seen at the next tick.
type watch struct {
	log    *slog.Logger
	notify *fsnotify.Watcher // nil: the system has none
	events <-chan fsnotify.Event
	errors <-chan struct{}
	failed bool // the file could not be watched, which was logged

	// complete tells that all that happens to the file is heard: its path has no symbolic link, and
	// its file system no other machine or layer that writes.
	complete bool
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
	return &watch{log: log, notify: notify, events: notify.Events, errors: drainErrors(notify.Errors)}
}

// drainErrors takes all errors of a watcher, and tells that there were some. The watcher holds
// its lock while an error waits, so that one that is not taken blocks aim and close.
func drainErrors(errors <-chan error) <-chan struct{} {
	some := make(chan struct{}, 1)
	go func() {
		for range errors {
			select {
			case some <- struct{}{}:
			default:
			}
		}
	}()
	return some
}

// aim watches the file at the path and nothing else, and reports whether it could. The
// system watches a file, not a path, so a file that was replaced is watched again.
func (w *watch) aim(path string) bool {
	if w.notify == nil {
		return false
	}
	for _, old := range w.notify.WatchList() {
		_ = w.notify.Remove(old) // it is gone already if the file is
	}
	err := w.notify.Add(path)
	if err != nil && !w.failed {
		w.failed = true
		w.log.Warn("log polled: it cannot be watched", "err", err)
	}
	w.complete = err == nil && isDirect(path) && isLocal(path)
	return err == nil
}

// isDirect reports whether a path has no symbolic link.
func isDirect(path string) bool {
	path, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	target, err := filepath.EvalSymlinks(path)
	return err == nil && target == path
}

// isLocal reports whether a file system is one of those on which the kernel hears all writes.
func isLocal(path string) bool {
	var fs unix.Statfs_t
	if unix.Statfs(path, &fs) != nil {
		return false
	}
	switch uint32(fs.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC:
		return true
	}
	return false
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
