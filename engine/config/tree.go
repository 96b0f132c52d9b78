package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxFile bounds a rule file, maxIncluded what file() and file_lines() read, both in bytes.
const (
	maxFile     = 512 << 10
	maxIncluded = 1 << 20
)

// disk is the file system of the host. It takes paths as the operator writes them, and
// as messages show them.
type disk struct{}

func (disk) Open(name string) (fs.File, error)     { return os.Open(name) }
func (disk) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// rooted is a file system that takes such paths, too. Its root is also "/".
type rooted struct{ fsys fs.FS }

func (r rooted) Open(name string) (fs.File, error) {
	name = path.Clean("/" + filepath.ToSlash(name))
	return r.fsys.Open(cmp.Or(strings.TrimPrefix(name, "/"), "."))
}

// read returns the content of a regular file of at most limit bytes. It opens no other
// file: a named pipe would block it.
func read(fsys fs.FS, name string, limit int64) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, bare(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	content := bytes.NewBuffer(make([]byte, 0, min(info.Size(), limit)+bytes.MinRead)) // one read, and one of the end
	if _, err := content.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, bare(err)
	}
	if int64(content.Len()) > limit {
		return nil, fmt.Errorf("it is larger than %d KB", limit>>10)
	}
	return bytes.TrimPrefix(content.Bytes(), byteOrderMark), nil
}

// byteOrderMark is what editors of Windows write before a text.
var byteOrderMark = []byte("\ufeff")

// bare removes the path from an error of the file system; the message names the file.
func bare(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// ruleFiles lists the paths of the rule files in dir, sorted. Hidden files are left out:
// they are drafts of editors.
func ruleFiles(fsys fs.FS, dir string) ([]string, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, bare(err)
	}
	var paths []string
	for _, entry := range entries {
		name := entry.Name()
		ext := path.Ext(name)
		if entry.IsDir() || strings.HasPrefix(name, ".") || ext != ".hcl" && ext != ".json" {
			continue
		}
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths, nil
}
