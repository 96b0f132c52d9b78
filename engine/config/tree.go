package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxFile bounds a rule file, maxIncluded what file() reads, both in bytes.
const (
	maxFile     = 512 << 10
	maxIncluded = 1 << 20
)

// A tree is where files are read from. It takes paths as the operator writes them, and
// as messages show them.
type tree interface {
	readDir(name string) ([]fs.DirEntry, error)
	open(name string) (fs.File, error)
	stat(name string) (fs.FileInfo, error)
}

// disk is the tree of the host.
type disk struct{}

func (disk) readDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (disk) open(name string) (fs.File, error)          { return os.Open(name) }
func (disk) stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }

// virtual is the tree of a file system; its root is also "/".
type virtual struct{ fsys fs.FS }

func (v virtual) readDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(v.fsys, rooted(name)) }
func (v virtual) open(name string) (fs.File, error)          { return v.fsys.Open(rooted(name)) }
func (v virtual) stat(name string) (fs.FileInfo, error)      { return fs.Stat(v.fsys, rooted(name)) }

func rooted(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+filepath.ToSlash(name)), "/")
	if name == "" {
		return "."
	}
	return name
}

// read returns the content of a regular file of at most limit bytes. It opens no other
// file: a named pipe would block it.
func read(t tree, name string, limit int64) ([]byte, error) {
	info, err := t.stat(name)
	if err != nil {
		return nil, bare(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := t.open(name)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, bare(err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("it is larger than %d KB", limit>>10)
	}
	return content, nil
}

// bare removes the path from an error of the file system; the message names the file.
func bare(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// ruleFiles lists the paths of the rule files in dir, sorted. Hidden files are left out:
// they are drafts of editors.
func ruleFiles(t tree, dir string) ([]string, error) {
	entries, err := t.readDir(dir)
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
