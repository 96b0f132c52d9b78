package daemon

import (
	"errors"
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
// closeState closes the file. It calls busy if there is much to restore.
func restore(e *engine.Engine, dir string, busy func(), log *slog.Logger) (closeState func(), err error) {
	path := filepath.Join(dir, "state.db")
	if info, err := os.Stat(path); err == nil && info.Size() > largeState {
		busy()
	}
	file, damage, err := openState(path, log)
	if errors.Is(err, dbfile.ErrInUse) {
		return nil, err
	}
	if err != nil {
		log.Error("state not opened: bans are not saved", "err", err)
		e.WithoutStore(err)
		e.TakeOver(unreadable, damage)
		return func() {}, nil
	}
	isNew := file.New()
	err = e.Restore(file, time.Now())
	if err != nil {
		log.Error("part of the state not restored", "err", err)
	}
	switch damage = errors.Join(damage, err); {
	case damage != nil:
		e.TakeOver(unreadable, damage)
	case isNew:
		e.TakeOver(missing, nil)
	}
	log.Info("state restored", "path", path, "bans", e.Ledger().Size())
	return func() {
		if err := file.Close(); err != nil {
			log.Error("state not closed", "err", err)
		}
	}, nil
}

// largeState is the size of a file with thousands of bans.
const largeState = 4 << 20

// What happened to the state of the last run.
const (
	unreadable = "could not be read"
	missing    = "was missing"
)

// openState opens the state file. A damaged one is moved aside and replaced by a new one with what
// can be read of it; damage says what was wrong.
func openState(path string, log *slog.Logger) (file *ban.File, damage, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, err
	}
	file, err = ban.OpenFile(path)
	damage = err
	if err == nil {
		damage = file.Verify()
	}
	if !errors.Is(damage, dbfile.ErrDamaged) {
		return file, nil, damage
	}
	aside, moving := dbfile.MoveAside(path, time.Now())
	if moving != nil {
		return nil, damage, errors.Join(damage, moving)
	}
	log.Error("state damaged: moved aside, starting with what can be read", "err", damage, "aside", aside)
	rescued := file
	if file, err = ban.OpenFile(path); err == nil && rescued != nil {
		err = file.Rescue(rescued)
		_ = rescued.Close() // it is given up
	}
	return file, damage, err
}
