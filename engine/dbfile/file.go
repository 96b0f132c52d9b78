package dbfile

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// ErrDamaged says that a file exists and cannot be read. It may be moved away: only
// what it says is lost.
var ErrDamaged = errors.New("the file is damaged")

// ErrInUse says that another process has the file open.
var ErrInUse = errors.New("another freeswitch-security is using it")

// A File is a database. It belongs to one goroutine at a time.
type File struct {
	db     *bbolt.DB
	broken error // not nil: it was found damaged, and must not be touched again
}

// Open opens the file at path, and makes it if it is missing. The directory must
// exist. patience is how long another process may take to let go of the file.
func Open(path string, patience time.Duration) (f *File, err error) {
	// A file that is given up stays open and locked: it is of no use but to be
	// moved aside.
	defer guard(path)(&err)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: patience, FreelistType: bbolt.FreelistMapType})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s: %w", path, ErrInUse)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%s: %w: %v", path, ErrDamaged, err)
	case err != nil:
		return nil, err // names the path
	}
	return &File{db: db}, nil
}

// Update runs a transaction that writes. What it wrote is durable when it returns
// without an error.
func (f *File) Update(do func(*bbolt.Tx) error) error { return f.run(f.db.Update, do) }

// View runs a transaction that reads.
func (f *File) View(do func(*bbolt.Tx) error) error { return f.run(f.db.View, do) }

func (f *File) run(transaction func(func(*bbolt.Tx) error) error, do func(*bbolt.Tx) error) (err error) {
	if f.broken != nil {
		return f.broken
	}
	defer func() {
		if errors.Is(err, ErrDamaged) {
			f.broken = err
		}
	}()
	defer guard(f.db.Path())(&err)
	return transaction(do)
}

// Close lets go of the file. One that was found damaged, of which somebody has been
// told then, is only let go of when the process ends: bbolt still holds the locks that
// closing waits for.
func (f *File) Close() error {
	if f.broken != nil {
		return nil
	}
	return f.db.Close()
}

// guard makes an error of what bbolt does with a damaged file: it panics where a
// page is not what another says it is, and reads beyond the end of its mapping
// where a page's number is wrong, which without the guard ends the process.
func guard(path string) (done func(*error)) {
	before := debug.SetPanicOnFault(true)
	return func(err *error) {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			*err = fmt.Errorf("%s: %w: %v", path, ErrDamaged, p)
		}
	}
}

// MoveAside renames a damaged file, so that a new one can be made in its place
// and the old one be looked at, and returns its new name.
func MoveAside(path string, now time.Time) (string, error) {
	aside := path + ".damaged-" + now.UTC().Format("20060102T150405Z")
	return aside, os.Rename(path, aside)
}
