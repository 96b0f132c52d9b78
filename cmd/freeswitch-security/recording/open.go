package recording

import (
	"bufio"
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

// A Set is the inputs of one replay.
type Set struct {
	inputs  []engine.Input
	streams [][]*Stream // of each input
}

// Open turns arguments of the form [NODE=][SOURCE=]FILE into the inputs of a replay. Files without SOURCE
// belong to the source fallback; if that is empty, to the source that recognises them. "-" is stdin.
// Where two or more different names are those of no source, they are nodes of a fleet.
//
// The files of one source are one stream, in the order given, unless the source merges
// recordings itself.
func Open(ctx context.Context, cfg *config.Config, stdin io.Reader, args []string, fallback string) (*Set, error) {
	s := &Set{}
	ahead := bufio.NewReaderSize(stdin, recognised) // recognising must not consume it
	piped := false
	nodes := nodesOf(cfg, args)
	for _, arg := range args {
		node := ""
		ref, path := splitInput(arg)
		if nodes[ref] {
			node = ref
			ref, path = splitInput(path)
		}
		if ref == "" {
			ref = fallback
		}
		if path == "-" && piped {
			return nil, errors.New("standard input (-) can be read only once")
		}
		piped = piped || path == "-"
		source, err := Choose(ctx, cfg, ref, inputName(path), func() (string, error) { return head(path, ahead) })
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(s.inputs, func(in engine.Input) bool { return in.Ref == source.Ref && in.Node == node })
		if i < 0 {
			i = len(s.inputs)
			s.streams = append(s.streams, nil)
			s.inputs = append(s.inputs, engine.Input{Ref: source.Ref, Node: node, Source: source.Source})
		}
		if source.Description.Merge != nil || s.streams[i] == nil {
			s.streams[i] = append(s.streams[i], &Stream{stdin: ahead})
		}
		last := s.streams[i][len(s.streams[i])-1]
		last.paths = append(last.paths, path)
	}
	for i := range s.inputs {
		s.inputs[i].Recording = join(s.inputs[i].Source, s.streams[i])
	}
	return s, nil
}

// nodesOf returns the names of nodes in the arguments. One alone is a source that does not exist.
func nodesOf(cfg *config.Config, args []string) map[string]bool {
	nodes := map[string]bool{}
	for _, arg := range args {
		if name, _ := splitInput(arg); config.IsNode(name) && !isSource(cfg, name) {
			nodes[name] = true
		}
	}
	if len(nodes) < 2 {
		return nil
	}
	return nodes
}

func isSource(cfg *config.Config, name string) bool {
	return slices.ContainsFunc(cfg.Sources, func(s config.Source) bool { return s.Name == name }) ||
		slices.ContainsFunc(cfg.Disabled, func(ref string) bool { return strings.HasSuffix(ref, "."+name) })
}

// Nodes returns the nodes of the inputs, without "".
func (s *Set) Nodes() (names []string) {
	for _, in := range s.inputs {
		if in.Node != "" && !slices.Contains(names, in.Node) {
			names = append(names, in.Node)
		}
	}
	return names
}

// join makes one recording of the streams of a source.
func join(source plugin.Source, streams []*Stream) plugin.Recording {
	var rec plugin.Recording
	var names []string
	var readers []io.Reader
	for _, r := range streams {
		names = append(names, r.paths...)
		readers = append(readers, r)
		if _, written := r.stat(); written.After(rec.ModTime) {
			rec.ModTime = written
		}
	}
	rec.Name, rec.R = strings.Join(names, ", "), readers[0]
	if len(readers) > 1 {
		rec.R = source.Describe().Merge(readers)
	}
	return rec
}

// splitInput separates SOURCE=FILE. An argument is all path if such a file exists, or if the part
// before the "=" cannot name a source.
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

// Choose returns the source that ref names, by its reference or its name alone. If ref is empty,
// it returns the only source, or the source that recognises the text. name is for messages.
func Choose(ctx context.Context, cfg *config.Config, ref, name string, text func() (string, error)) (config.Source, error) {
	var refs []string
	var named []config.Source // whose name alone is ref
	for _, s := range cfg.Sources {
		if s.Ref == ref || "source."+s.Ref == ref {
			return s, nil
		}
		if s.Name == ref {
			named = append(named, s)
		}
		refs = append(refs, s.Ref)
	}
	switch {
	case len(named) == 1:
		return named[0], nil
	case slices.Contains(cfg.Disabled, strings.TrimPrefix(ref, "source.")):
		return config.Source{}, fmt.Errorf("the source %s is disabled: remove enabled = false from its block to read %s", ref, name)
	case len(refs) == 0:
		return config.Source{}, fmt.Errorf("the rules declare no source that can read %s", name)
	case ref != "":
		return config.Source{}, fmt.Errorf("there is no source %q in the rules; the sources are: %s", ref, strings.Join(refs, ", "))
	case len(refs) == 1:
		return cfg.Sources[0], nil
	}
	content, err := text()
	if err != nil {
		return config.Source{}, err
	}
	return recognise(ctx, cfg, content, name)
}

// Want has the sources also emit the events named, even if no rule uses them.
func (s *Set) Want(events ...string) {
	for i := range s.inputs {
		s.inputs[i].Want = events
	}
}
