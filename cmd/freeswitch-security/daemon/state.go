package daemon

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/dbfile"
)

// restore fills the engine from the state file, and saves its state there. It fails only if
// another process uses the file; after other errors the daemon runs without saving its state.
// closeState closes the file.
func restore(e *engine.Engine, dir string, log *slog.Logger) (closeState func(), err error) {
	path := filepath.Join(dir, "state.db")
	file, lost, err := openState(path, log)
	if errors.Is(err, dbfile.ErrInUse) {
		return nil, err
	}
	if err != nil {
		log.Error("state not opened: bans are not saved", "err", err)
		e.WithoutStore(err)
		e.TakeOver(unreadable)
		return func() {}, nil
	}
	if err := e.Restore(file, time.Now()); err != nil {
		log.Error("part of the state not restored", "err", err)
		lost = unreadable
	}
	if lost != "" {
		e.TakeOver(lost)
	}
	log.Info("state restored", "path", path, "bans", e.Ledger().Size())
	return func() {
		if err := file.Close(); err != nil {
			log.Error("state not closed", "err", err)
		}
	}, nil
}

// What happened to the state of the last run.
const (
	unreadable = "could not be read"
	missing    = "was missing"
)

// openState opens the state file. A damaged one is moved aside and replaced by a new one. lost
// says what happened to the last run's state; "" if it is there. A missing file is reported
// because it may have been deleted.
func openState(path string, log *slog.Logger) (file *ban.File, lost string, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, "", err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		lost = missing
	}
	file, err = ban.OpenFile(path)
	if !errors.Is(err, dbfile.ErrDamaged) {
		return file, lost, err
	}
	aside, moving := dbfile.MoveAside(path, time.Now())
	if moving != nil {
		return nil, "", errors.Join(err, moving)
	}
	log.Error("state damaged: moved aside, starting with an empty one", "err", err, "aside", aside)
	file, err = ban.OpenFile(path)
	return file, unreadable, err
}
