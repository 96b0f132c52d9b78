package feed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// file is a list in a file of this host.
type file struct {
	*config
	seen, held fs.FileInfo // of the latest look, and of the list that was accepted
}

func (f *file) fetch(context.Context) (answer, error) {
	// Without O_NONBLOCK, opening a named pipe waits for its writer.
	opened, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return answer{}, withoutPath(err)
	}
	defer opened.Close()
	f.seen, err = opened.Stat()
	switch {
	case err != nil:
		return answer{}, withoutPath(err)
	case !f.seen.Mode().IsRegular():
		return answer{}, errors.New("not a regular file")
	case isUnchanged(f.seen, f.held):
		return answer{kind: same}, nil
	}
	body, err := readBounded(opened, f.maxBytes)
	if err != nil {
		return answer{}, withoutPath(err)
	}
	if now, err := opened.Stat(); err != nil || !isUnchanged(now, f.seen) {
		return answer{}, errors.New("it is being written to")
	}
	return f.whole(body)
}

func (f *file) accepted() { f.held = f.seen }

// isUnchanged reports whether a file is the same version as before; nil is none.
func isUnchanged(now, before fs.FileInfo) bool {
	return before != nil && os.SameFile(now, before) && now.Size() == before.Size() && now.ModTime().Equal(before.ModTime())
}

// withoutPath leaves the path out of an error that names it elsewhere.
func withoutPath(err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", at.Op, at.Err)
	}
	return err
}
