package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"freeswitch-security/engine"
	"freeswitch-security/engine/config"
	"freeswitch-security/engine/plugin"
)

// inputs turns arguments of the form [SOURCE=]FILE into the inputs of a replay, and
// the recordings that each of them reads: the files of one source are one, read one
// after the other in the order given, unless the source can tell the order itself.
func (a *app) inputs(ctx context.Context, cfg *config.Config, args []string, fallback string) ([]engine.Input, [][]*recording, error) {
	var inputs []engine.Input
	var recordings [][]*recording
	piped := false
	for _, arg := range args {
		ref, path := splitInput(arg)
		if ref == "" {
			ref = fallback
		}
		source, chosen, err := chooseSource(cfg, ref, path)
		if err == nil && !chosen {
			source, err = a.sniff(ctx, cfg, path)
		}
		if err != nil {
			return nil, nil, err
		}
		if path == "-" && piped {
			return nil, nil, errors.New("standard input (-) can be read only once")
		}
		piped = piped || path == "-"
		i := slices.IndexFunc(inputs, func(in engine.Input) bool { return in.Ref == source.Ref })
		if i < 0 {
			i = len(inputs)
			recordings = append(recordings, nil)
			inputs = append(inputs, engine.Input{Ref: source.Ref, Source: source.Source})
		}
		if _, merges := source.Source.(plugin.Merger); merges || recordings[i] == nil {
			recordings[i] = append(recordings[i], &recording{})
		}
		last := recordings[i][len(recordings[i])-1]
		last.paths = append(last.paths, path)
	}
	for i := range inputs {
		inputs[i].Recording = a.recorded(inputs[i].Source, recordings[i])
	}
	return inputs, recordings, nil
}

// recorded is what a source is to read.
func (a *app) recorded(source plugin.Source, recordings []*recording) plugin.Recording {
	var rec plugin.Recording
	var names []string
	var readers []io.Reader
	for _, r := range recordings {
		r.stdin = a.stdin // only now: what was sniffed at begins anew
		names = append(names, r.paths...)
		readers = append(readers, r)
		if written := r.modTime(); written.After(rec.ModTime) {
			rec.ModTime = written
		}
	}
	rec.Name, rec.R = strings.Join(names, ", "), readers[0]
	if len(readers) > 1 {
		rec.R = source.(plugin.Merger).Merge(readers)
	}
	return rec
}

// splitInput separates SOURCE=FILE. A path that holds a "=" itself is taken whole
// if there is such a file, or if no source could be called what stands before it.
func splitInput(arg string) (ref, path string) {
	before, after, found := strings.Cut(arg, "=")
	if !found || before == "" || strings.ContainsAny(before, "/ ") {
		return "", arg
	}
	if _, err := os.Lstat(arg); !errors.Is(err, fs.ErrNotExist) {
		return "", arg
	}
	return before, after
}

// chooseSource finds the source whose recording path is by its name, or because
// there is no other; else it has to be found out.
func chooseSource(cfg *config.Config, ref, path string) (source config.Source, chosen bool, err error) {
	var names []string
	var named []config.Source // whose name alone is ref
	for _, s := range cfg.Sources {
		if s.Ref == ref || "source."+s.Ref == ref {
			return s, true, nil
		}
		if s.Name == ref {
			named = append(named, s)
		}
		names = append(names, s.Ref)
	}
	switch {
	case len(named) == 1:
		return named[0], true, nil
	case len(names) == 0:
		return config.Source{}, false, errors.New("the rules declare no source, so that nothing can read " + path)
	case ref != "":
		return config.Source{}, false, fmt.Errorf("there is no source %q in the rules; the sources are: %s", ref, strings.Join(names, ", "))
	case len(names) == 1:
		return cfg.Sources[0], true, nil
	}
	return config.Source{}, false, nil
}
