package geoip

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/status"
)

// maxFile bounds a file: it is in memory. The databases of countries and of networks have some 10 MB, IPinfo's with
// both 50.
const maxFile = 256 << 20

// settled is how old the last change of a file must be before it is read again: it may still be written.
const settled = 2 * time.Second

// A file is a database on the disk, and what was read of it.
type file struct {
	fsys    fs.FS
	path    string
	current atomic.Pointer[database] // nil: none could be read yet

	mu   sync.Mutex // guards what follows
	size int64      // of the file that was read last, or failed to be
	time time.Time  // likewise
	err  error      // of reading it
}

func (f *file) lookup(addr netip.Addr) (o event.Place) {
	if db := f.current.Load(); db != nil {
		o = db.lookup(addr)
	}
	return o
}

func (f *file) state() File {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := File{Database: status.Database{Path: f.path}}
	if f.err != nil {
		s.Error = f.err.Error()
	}
	if db := f.current.Load(); db != nil {
		s.Built = db.reader.Metadata.BuildTime().UTC().Format(time.DateOnly)
	}
	return s
}

// changed reports whether there is another file at the path than the one that was read, and it is not being
// written.
func (f *file) changed() bool {
	info, err := fs.Stat(f.fsys, f.path)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.size, f.time, f.err = 0, time.Time{}, bare(err)
		return false
	}
	age := time.Since(info.ModTime())
	return (info.Size() != f.size || !info.ModTime().Equal(f.time)) && (age >= settled || age < 0)
}

// read takes the file into use.
func (f *file) read() {
	content, info, err := readAll(f.fsys, f.path)
	var db *database
	if err == nil {
		db, err = newDatabase(content)
	}
	if err == nil {
		f.current.Store(db)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size, f.time, f.err = 0, time.Time{}, err
	if info != nil {
		f.size, f.time = info.Size(), info.ModTime()
	}
}

// readAll reads a regular file, unless it changes meanwhile.
func readAll(fsys fs.FS, path string) ([]byte, fs.FileInfo, error) {
	if info, err := fs.Stat(fsys, path); err != nil {
		return nil, nil, bare(err)
	} else if !info.Mode().IsRegular() {
		return nil, info, errors.New("it is not a regular file") // a pipe would block
	}
	opened, err := fsys.Open(path)
	if err != nil {
		return nil, nil, bare(err)
	}
	defer opened.Close()
	before, err := opened.Stat()
	if err != nil {
		return nil, nil, bare(err)
	}
	if before.Size() > maxFile {
		return nil, before, fmt.Errorf("it has more than %d MB: use a database of countries or networks only", maxFile>>20)
	}
	content := make([]byte, before.Size())
	if _, err := io.ReadFull(opened, content); err != nil {
		return nil, before, bare(err)
	}
	after, err := opened.Stat()
	switch {
	case err != nil:
		return nil, before, bare(err)
	case after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()):
		return nil, before, errors.New("it changed while it was read")
	}
	return content, before, nil
}

// bare removes the path from an error of the file system; messages name the file.
func bare(err error) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		return of.Err
	}
	return err
}
