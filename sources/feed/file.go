package feed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// file is a list in a file of this host, perhaps brought there by other means.
type file struct {
	*settings
	seen, held stamp // of the last look, and of the list that was taken
}

// A stamp tells one version of a file from another.
type stamp struct {
	size  int64
	mtime time.Time
	inode uint64
}

func (f *file) fetch(context.Context) (answer, error) {
	// Without O_NONBLOCK, a named pipe without a writer would never open.
	opened, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return answer{}, withoutPath(err)
	}
	defer opened.Close()
	info, err := opened.Stat()
	switch {
	case err != nil:
		return answer{}, withoutPath(err)
	case !info.Mode().IsRegular():
		return answer{}, errors.New("not a regular file")
	}
	if f.seen = stampOf(info); f.seen == f.held {
		return answer{kind: same}, nil
	}
	body, err := readBounded(opened, f.maxBytes)
	if err != nil {
		return answer{}, withoutPath(err)
	}
	if now, err := opened.Stat(); err != nil || stampOf(now) != f.seen {
		return answer{}, errors.New("it is being written to")
	}
	l, err := read(body, f.format, f.bounds)
	if err != nil {
		return answer{}, err
	}
	return answer{kind: whole, list: l, size: int64(len(body))}, nil
}

func (f *file) taken() { f.held = f.seen }

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size(), mtime: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
}

// withoutPath is the reason of an error, whose place is named by whoever reports it.
func withoutPath(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return fmt.Errorf("%s: %w", at.Op, at.Err)
	}
	return err
}
