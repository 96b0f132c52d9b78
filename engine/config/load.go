package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"freeswitch-security/engine/config/wording"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/rule"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
)

// Load reads dir/*.hcl, dir/*.json and the config.json beside dir as one
// configuration. environ looks up an environment variable, as os.LookupEnv does;
// nil stands for an empty environment.
//
// The configuration is nil if there is an error among the diagnostics. Without
// one, they are warnings. Every diagnostic has a position; where it concerns no
// file that could be read, its Filename names in words what it concerns. The
// files are what [Print] needs, whether loading succeeded or not.
func Load(dir string, kinds Kinds, environ func(string) (string, bool)) (*Config, hcl.Diagnostics, Files) {
	return whole(load(disk{}, dir, kinds, environ, true))
}

// LoadRules is [Load] without the tests, which are not read: a mistake in one has no diagnostic.
func LoadRules(dir string, kinds Kinds, environ func(string) (string, bool)) (*Config, hcl.Diagnostics, Files) {
	return whole(load(disk{}, dir, kinds, environ, false))
}

// LoadPart is [LoadRules], but the configuration is not nil if there are errors: it has what could be read.
func LoadPart(dir string, kinds Kinds, environ func(string) (string, bool)) (*Config, hcl.Diagnostics, Files) {
	return load(disk{}, dir, kinds, environ, false)
}

// LoadFS is [Load] from fsys instead of the machine's disk. Paths, absolute ones
// too, begin at its root.
func LoadFS(fsys fs.FS, dir string, kinds Kinds, environ func(string) (string, bool)) (*Config, hcl.Diagnostics, Files) {
	return whole(load(rooted{fsys}, dir, kinds, environ, true))
}

// whole returns no configuration if there is an error among the diagnostics.
func whole(cfg *Config, diags hcl.Diagnostics, files Files) (*Config, hcl.Diagnostics, Files) {
	if diags.HasErrors() {
		return nil, diags, files
	}
	return cfg, diags, files
}

// A loader builds one configuration and gathers its mistakes.
type loader struct {
	fsys    fs.FS
	kinds   Kinds
	environ func(string) (string, bool)
	tests   bool // they are read

	files  Files
	bodies []hcl.Body // of the files that could be parsed, in their order
	// partial is set where a file could not be parsed. It may define what the others
	// refer to, so unknown names are not reported then.
	partial    bool
	contexts   map[string]*hcl.EvalContext // by directory
	localNames []string                    // sorted
	texts      rule.Locals                 // locals that expressions may use; nil: not known
	root       *settings.Block             // mistakes outside of other blocks
	blocks     []*settings.Block           // all that were read

	// sources and actions say where each is declared, by reference: "log.freeswitch".
	sources, actions map[string]hcl.Range
	descriptions     map[string]*plugin.Description // of the sources without mistakes
	heard            heard
	cfg              *Config
}

func load(fsys fs.FS, dir string, kinds Kinds, environ func(string) (string, bool), tests bool) (*Config, hcl.Diagnostics, Files) {
	if environ == nil {
		environ = func(string) (string, bool) { return "", false }
	}
	l := &loader{
		fsys: fsys, kinds: kinds, environ: environ, tests: tests,
		files: Files{}, contexts: map[string]*hcl.EvalContext{},
		sources: map[string]hcl.Range{}, actions: map[string]hcl.Range{}, descriptions: map[string]*plugin.Description{},
		cfg: &Config{dir: startOf(dir), protectRanges: map[string]hcl.Range{}, ruleRanges: map[string]hcl.Range{}},
	}
	l.root = l.track(settings.New(hcl.EmptyBody(), startOf(dir), nil))
	l.readAll(dir)
	l.decode()
	sideBySide(len(l.blocks), func(i int) { l.blocks[i].Done() })
	var diags hcl.Diagnostics
	for _, b := range l.blocks {
		diags = append(diags, b.Diagnostics()...)
	}
	for _, diag := range diags {
		l.nameLocal(diag)
		if diag.Subject != nil {
			wording.Block(diag, l.files[diag.Subject.Filename])
		}
	}
	diags = tidy(diags, l.files, startOf(dir))
	if !diags.HasErrors() {
		l.cfg.used = usedBy(l.cfg.Rules)
	}
	return l.cfg, diags, l.files
}

// readAll parses every file that belongs to the configuration.
func (l *loader) readAll(dir string) {
	dir = filepath.Clean(dir)
	paths, err := ruleFiles(l.fsys, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.root.ErrorAt(startOf(dir), "No such directory",
			"The rules are read from this directory. Create it with rule files, or name another one.")
	case err != nil:
		l.root.ErrorAt(startOf(dir), "Unreadable directory", fmt.Sprintf("The rules in it cannot be listed: %s.", err))
	case len(paths) == 0:
		l.root.ErrorAt(startOf(dir), "No rule files",
			"There is no file in this directory whose name ends in .hcl or .json. Put rule files into it, or name another directory.")
	}
	beside := filepath.Join(dir, "..", "config.json")
	if _, err := fs.Stat(l.fsys, beside); !errors.Is(err, fs.ErrNotExist) && !slices.Contains(paths, beside) {
		paths = append(paths, beside)
	}
	read := make([]parsing, len(paths))
	sideBySide(len(paths), func(i int) { read[i] = parseFile(l.fsys, paths[i], l.tests) })
	for i, name := range paths {
		l.tests = l.tests || read[i].hides
		l.addFile(name, read[i])
	}
}

// sideBySide calls do with each number below n, on all cores. It has one goroutine for each, whose stack grows once.
func sideBySide(n int, do func(int)) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	all.Wait()
}

// A parsing is what became of one file.
type parsing struct {
	file  *hcl.File
	diags hcl.Diagnostics
	hides bool  // a rule, in a test: the tests are read, so that the mistake is found
	err   error // it could not be read
}

func parseFile(fsys fs.FS, name string, tests bool) (p parsing) {
	src, err := read(fsys, name, maxFile)
	if err != nil {
		return parsing{err: err}
	}
	parse := hclsyntax.ParseConfig
	if strings.HasSuffix(name, ".json") {
		parse = json.ParseWithStartPos
	} else if !tests {
		var rules []byte
		rules, p.hides = withoutTests(src)
		if p.file, p.diags = parsed(parse, rules, name); !p.diags.HasErrors() {
			return p
		}
	}
	p.file, p.diags = parsed(parse, src, name)
	return p
}

// addFile takes a parsed file.
func (l *loader) addFile(name string, p parsing) {
	if p.err != nil {
		l.root.ErrorAt(startOf(name), "Unreadable file", fmt.Sprintf("The file cannot be read: %s.", p.err))
		l.partial = true
		return
	}
	file, diags := p.file, p.diags
	l.files[name] = file
	if diags.HasErrors() {
		l.partial = true
		if !onlyRedefined(diags) {
			file.Body = nil
			l.root.Add(inWords(file, name, diags))
			return
		}
	}
	l.root.Add(diags)
	l.bodies = append(l.bodies, file.Body)
}

// inWords rewords the mistakes in the syntax of a file.
func inWords(file *hcl.File, name string, diags hcl.Diagnostics) hcl.Diagnostics {
	if strings.HasSuffix(name, ".json") {
		return diags
	}
	return wording.Syntax(file.Bytes, diags)
}

// onlyRedefined reports whether the only mistakes in the syntax of a file are arguments
// that are given twice, so that the rest of it can be used.
func onlyRedefined(diags hcl.Diagnostics) bool {
	return !slices.ContainsFunc(diags, func(d *hcl.Diagnostic) bool {
		return d.Severity == hcl.DiagError && d.Summary != "Attribute redefined"
	})
}

// rootSchema names every block that a file may hold.
var rootSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "security"},
	{Type: "admin"},
	{Type: "fleet"},
	{Type: "numbering"},
	{Type: "history"},
	{Type: "geoip"},
	{Type: "source", LabelNames: []string{"kind", "name"}},
	{Type: "action", LabelNames: []string{"kind", "name"}},
	{Type: "trusted", LabelNames: []string{"name"}},
	{Type: "locals"},
	{Type: "rule", LabelNames: []string{"name"}},
}}

// decode reads the blocks of all files in the order of their dependencies: rules refer
// to sources and actions, actions get the trusted networks, all may refer to locals, and
// locals to sources.
func (l *loader) decode() {
	blocks := map[string][]*settings.Block{}
	var locals hcl.Blocks
	for _, body := range l.bodies {
		content, diags := body.Content(rootSchema)
		l.root.Add(diags)
		for _, block := range content.Blocks {
			if block.Type == "locals" {
				locals = append(locals, block)
				continue
			}
			blocks[block.Type] = append(blocks[block.Type], l.track(settings.Of(block, l.context(block.TypeRange.Filename))))
		}
	}
	for _, b := range blocks["source"] { // locals may hold sources
		if ref := b.Labels[0] + "." + b.Labels[1]; l.sources[ref] == (hcl.Range{}) {
			l.sources[ref] = b.Range
		}
	}
	l.decodeLocals(locals)
	l.decodeSecurity(blocks["security"])
	l.decodeTrusted(blocks["trusted"])
	l.decodeAdmin(blocks["admin"])
	l.decodeFleet(blocks["fleet"])
	l.decodeNumbering(blocks["numbering"])
	l.decodeHistory(blocks["history"])
	l.decodeGeoIP(blocks["geoip"])
	l.decodeSources(blocks["source"])
	l.checkWitnesses()
	l.decodeActions(blocks["action"])
	l.decodeRules(blocks["rule"])
}

// track has the mistakes in a block reported.
func (l *loader) track(b *settings.Block) *settings.Block {
	l.blocks = append(l.blocks, b)
	return b
}
