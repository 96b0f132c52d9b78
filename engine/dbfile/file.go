package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// ErrDamaged says that a file exists and cannot be read. It may be moved away: only its
// contents are lost.
var ErrDamaged = errors.New("the file is damaged")

// ErrInUse says that another process has the file open.
var ErrInUse = errors.New("another freeswitch-security is using it")

const (
	// mapped is the address space of a file, in bytes, before it is larger. A larger file is mapped again each
	// time that it has doubled, for which the transaction copies all that it has read or changed.
	mapped = 64 << 20

	// A file grows by what it holds, in bytes, within these bounds.
	leastGrowth, mostGrowth = 16 << 10, 4 << 20
)

// A File is a database. One goroutine may write while others read.
type File struct {
	db     *bbolt.DB
	broken atomic.Pointer[error] // not nil: it is damaged, and must not be used again
}

// Open opens the file at path, and creates it if it is missing. The directory must exist.
// patience is the time that another process may take to release the file. All of a file that
// exists is read and verified: an empty or a short one is damaged. Meanwhile its values are passed to each,
// unless that is nil, in the order of the keys of each bucket; they are void if an error is returned.
func Open(path string, patience time.Duration, each func(bucket, key, value []byte)) (f *File, err error) {
	// A damaged file stays open and locked: it can only be moved aside.
	defer guard(path)(&err)
	if each == nil {
		each = func(_, _, _ []byte) {}
	}
	if err := examine(path, patience, each); err != nil {
		return nil, err
	}
	options := bbolt.Options{Timeout: patience, FreelistType: bbolt.FreelistMapType, InitialMmapSize: mapped}
	db, err := bbolt.Open(path, 0o600, &options)
	if errors.Is(err, unix.ENOMEM) { // the address space is scarce
		options.InitialMmapSize = 0
		db, err = bbolt.Open(path, 0o600, &options)
	}
	if err != nil {
		return nil, opening(path, err)
	}
	return &File{db: db}, nil
}

// examine verifies a file that exists, under a lock.
func examine(path string, patience time.Duration, each func(bucket, key, value []byte)) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Size() < int64(2*os.Getpagesize()):
		return fmt.Errorf("%s: %w: it has %d bytes", path, ErrDamaged, info.Size())
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: patience, ReadOnly: true})
	if err != nil {
		return opening(path, err)
	}
	defer db.Close()
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return err
	}
	if err := verify(file, db.Info().PageSize, info.Size(), each); err != nil {
		return fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	return nil
}

// opening returns the error of a bbolt that does not open.
func opening(path string, err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%s: %w", path, ErrInUse)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%s: %w: %v", path, ErrDamaged, err)
	}
	return err // names the path
}

// Update runs a transaction that writes, durable if it returns no error.
func (f *File) Update(do func(*bbolt.Tx) error) error {
	var size int64
	err := f.run(f.db.Update, func(tx *bbolt.Tx) error {
		size = tx.Size()
		f.db.AllocSize = int(min(max(size, leastGrowth), mostGrowth))
		return do(tx)
	})
	if err == nil && size > largeFile {
		err = f.View(func(tx *bbolt.Tx) error {
			f.advise(tx, unix.MADV_DONTNEED)
			return nil
		})
	}
	return err
}

// View runs a transaction that reads.
func (f *File) View(do func(*bbolt.Tx) error) error { return f.run(f.db.View, do) }

// ViewAll runs a transaction that reads nearly all. The pages of a large file are mapped at once, as a fault for
// each few of them takes longer, and returned to the kernel afterwards: they count as memory of the process. What
// is read again comes from the page cache.
func (f *File) ViewAll(do func(*bbolt.Tx) error) error {
	return f.View(func(tx *bbolt.Tx) error {
		f.advise(tx, unix.MADV_POPULATE_READ) // from Linux 5.14
		err := do(tx)
		f.advise(tx, unix.MADV_DONTNEED)
		return err
	})
}

// advise tells the kernel about all pages of a large file.
func (f *File) advise(tx *bbolt.Tx, advice uintptr) {
	if size := tx.Size(); size > largeFile { // the mapping is as long, and stays until the end
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, f.db.Info().Data, uintptr(size), advice)
	}
}

// largeFile is the size of a file whose pages are returned.
const largeFile = 4 << 20

func (f *File) run(transaction func(func(*bbolt.Tx) error) error, do func(*bbolt.Tx) error) (err error) {
	if broken := f.broken.Load(); broken != nil {
		return *broken
	}
	defer func() {
		if errors.Is(err, ErrDamaged) {
			f.broken.Store(&err)
		}
	}()
	defer guard(f.db.Path())(&err)
	return transaction(do)
}

// Close releases the file. A damaged file is released when the process ends: bbolt still
// holds the locks that closing waits for.
func (f *File) Close() error {
	if f.broken.Load() != nil {
		return nil
	}
	return f.db.Close()
}

// guard turns what bbolt does with a damaged file into an error: it panics if a page is
// of another kind than expected, and reads beyond its mapping if the number of a page is
// wrong.
func guard(path string) (done func(*error)) {
	before := debug.SetPanicOnFault(true)
	return func(err *error) {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			*err = fmt.Errorf("%s: %w: %v", path, ErrDamaged, p)
		}
	}
}

// MoveAside renames a damaged file, so that a new one can be created, and returns its new
// name.
func MoveAside(path string, now time.Time) (string, error) {
	aside := path + ".damaged-" + now.UTC().Format("20060102T150405Z")
	return aside, os.Rename(path, aside)
}
