package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/dbfile"
)

// stateDir is where state is kept when no directory is named.
func (a *app) stateDir(dir string) string {
	if dir != "" {
		return dir
	}
	// systemd separates several directories by colons.
	if dirs, _ := a.environ("STATE_DIRECTORY"); dirs != "" {
		first, _, _ := strings.Cut(dirs, ":")
		return first
	}
	if os.Geteuid() == 0 {
		return "/var/lib/freeswitch-security"
	}
	home, _ := a.environ("XDG_STATE_HOME")
	if home == "" {
		user, _ := a.environ("HOME")
		home = filepath.Join(user, ".local", "state")
	}
	return filepath.Join(home, "freeswitch-security")
}

// actionsDir is where actions keep what is their own: nowhere in a dry run, which
// leaves no trace.
func (a *app) actionsDir(flags runFlags) string {
	if flags.dryRun {
		return ""
	}
	return filepath.Join(a.stateDir(flags.state), "actions")
}

// restore fills the ledger from the state of the last run and keeps it there. A
// host whose state cannot be kept is protected all the same, with what stands,
// and the log says what is wrong; but two must not guard one host, since each
// would lift what the other one banned. The returned function closes the state.
func (a *app) restore(e *engine.Engine, dir string, log *slog.Logger) (closeState func(), err error) {
	path := filepath.Join(a.stateDir(dir), "state.db")
	file, lost, err := openState(path, log)
	if errors.Is(err, dbfile.ErrInUse) {
		return nil, err
	}
	if err != nil {
		log.Error("state not opened: bans are not kept across restarts", "err", err)
		e.Forgetful(err)
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

// What may have become of the state of the run before.
const (
	unreadable = "could not be read"
	missing    = "was missing"
)

// openState opens the state file. A damaged one is moved aside, and a new one
// takes its place; lost says so, and also that there was none: somebody may have
// deleted it.
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
	log.Error("state damaged: moved aside, starting anew", "err", err, "aside", aside)
	file, err = ban.OpenFile(path)
	return file, unreadable, err
}
