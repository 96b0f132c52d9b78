package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"freeswitch-security/engine"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/plugin"
)

// inputs turns arguments of the form [SOURCE=]FILE into the inputs of a replay:
// the files of one source are one stream, in the order given.
func (a *app) inputs(cfg *config.Config, args []string, fallback string) ([]engine.Input, []*recording, error) {
	var inputs []engine.Input
	var recordings []*recording
	for _, arg := range args {
		ref, path := splitInput(arg)
		source, err := chooseSource(cfg, ref, fallback, path)
		if err != nil {
			return nil, nil, err
		}
		i := slices.IndexFunc(inputs, func(in engine.Input) bool { return in.Ref == source.Ref })
		if i < 0 {
			i = len(inputs)
			recordings = append(recordings, &recording{stdin: a.stdin})
			inputs = append(inputs, engine.Input{Ref: source.Ref, Source: source.Source})
		}
		recordings[i].paths = append(recordings[i].paths, path)
	}
	for i, rec := range recordings {
		inputs[i].Recording = plugin.Recording{Name: strings.Join(rec.paths, ", "), ModTime: rec.modTime(), R: rec}
	}
	return inputs, recordings, nil
}

// splitInput separates SOURCE=FILE. What stands before the first "=" is a source
// only if it could be a reference; a path such as ./a.b=c is written with its ./.
func splitInput(arg string) (ref, path string) {
	before, after, found := strings.Cut(arg, "=")
	kind, name, dotted := strings.Cut(before, ".")
	if !found || !dotted || kind == "" || name == "" || strings.ContainsAny(before, "/ ") {
		return "", arg
	}
	return before, after
}

// chooseSource finds the source whose recording path is.
func chooseSource(cfg *config.Config, ref, fallback, path string) (config.Source, error) {
	if ref == "" {
		ref = fallback
	}
	var names []string
	for _, s := range cfg.Sources {
		if s.Ref == ref || "source."+s.Ref == ref {
			return s, nil
		}
		names = append(names, s.Ref)
	}
	known := strings.Join(names, ", ")
	switch {
	case ref != "":
		return config.Source{}, fmt.Errorf("there is no source %q in the rules; there are: %s", ref, known)
	case len(cfg.Sources) == 1:
		return cfg.Sources[0], nil
	case len(cfg.Sources) == 0:
		return config.Source{}, errors.New("the rules name no source that could read a file")
	}
	return config.Source{}, fmt.Errorf("which source wrote %s? Use --source, or write SOURCE=%s; the sources are: %s", path, path, known)
}

// A recording reads files one after the other, decompressed, as one stream. A
// file that cannot be read, or not to its end, does not keep the next from being
// read: what was wrong is told by failures. It opens each file when it comes to
// it.
type recording struct {
	paths []string
	stdin io.Reader
	taken atomic.Int64 // bytes taken from the files as they are, for the progress bar

	current  io.Reader // nil: the next file is to be opened
	file     io.Closer
	last     byte // of what was read; 0 before the first
	lastPath string
	failed   []error
}

// Read reads on. It never fails: a failure ends one file, not the recording.
func (r *recording) Read(p []byte) (int, error) {
	for {
		if r.current == nil {
			if len(r.paths) == 0 {
				return 0, io.EOF
			}
			r.lastPath, r.paths = r.paths[0], r.paths[1:]
			r.open()
			continue
		}
		n, err := r.current.Read(p)
		if n > 0 {
			r.last = p[n-1]
			return n, nil
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, io.EOF) {
			r.fail(err)
		}
		r.file.Close()
		r.current = nil
		if r.last != '\n' && r.last != 0 && len(p) > 0 {
			// A line that was cut off must not run into the next file's first.
			p[0], r.last = '\n', '\n'
			return 1, nil
		}
	}
}

// open opens the file at lastPath, decompressing it if it is compressed.
func (r *recording) open() {
	var in io.Reader = r.stdin
	r.file = io.NopCloser(nil)
	if r.lastPath != "-" {
		f, err := os.Open(r.lastPath)
		if err != nil {
			r.fail(err)
			return
		}
		if info, err := f.Stat(); err == nil && info.IsDir() {
			f.Close()
			r.fail(fmt.Errorf("%s is a directory: name the log file in it", r.lastPath))
			return
		}
		in, r.file = f, f
	}
	head := bufio.NewReaderSize(&counted{in, &r.taken}, 1<<16)
	magic, err := head.Peek(2)
	switch {
	case len(magic) == 0:
		if err == nil || errors.Is(err, io.EOF) {
			err = errors.New("is empty")
		}
		r.fail(err)
		r.file.Close()
	case bytes.Equal(magic, []byte{0x1f, 0x8b}):
		unzip, err := gzip.NewReader(head)
		if err != nil {
			r.fail(err)
			r.file.Close()
			return
		}
		r.current = unzip
	default:
		r.current = head
	}
}

func (r *recording) fail(err error) {
	var path *os.PathError
	if errors.As(err, &path) {
		r.failed = append(r.failed, err) // names the file itself
		return
	}
	name := r.lastPath
	if name == "-" {
		name = "standard input"
	}
	r.failed = append(r.failed, fmt.Errorf("%s: %w", name, err))
}

// modTime is when the newest of the files was last written to.
func (r *recording) modTime() time.Time {
	var newest time.Time
	for _, path := range r.paths {
		if path == "-" {
			return time.Now()
		}
		if info, err := os.Stat(path); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest
}

// size is how many bytes the files have, as they are; 0 where that is not known.
func (r *recording) size() int64 {
	var total int64
	for _, path := range r.paths {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return 0
		}
		total += info.Size()
	}
	return total
}

// counted counts what is read through it.
type counted struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
