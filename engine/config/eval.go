package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// context is what expressions of a file may refer to. It differs between directories,
// because file() takes paths relative to its own file.
func (l *loader) context(filename string) *hcl.EvalContext {
	dir := filepath.Dir(filename)
	ctx := l.contexts[dir]
	if ctx == nil {
		ctx = &hcl.EvalContext{
			// No local is known before decodeLocals has found them all.
			Variables: map[string]cty.Value{"local": cty.EmptyObjectVal},
			Functions: map[string]function.Function{
				"env":        l.envFunction(),
				"file":       l.fileFunction(dir),
				"file_lines": l.linesFunction(dir),
				"concat":     stdlib.ConcatFunc,
				"format":     stdlib.FormatFunc,
				"join":       stdlib.JoinFunc,
				"lower":      stdlib.LowerFunc,
				"trimspace":  stdlib.TrimSpaceFunc,
				"upper":      stdlib.UpperFunc,
			},
		}
		l.contexts[dir] = ctx
	}
	return ctx
}

// absent is the context of a disabled block. What env() and file() do not find is unknown
// in it, which is no mistake.
func (l *loader) absent(filename string) *hcl.EvalContext {
	ctx := *l.context(filename)
	ctx.Functions = maps.Clone(ctx.Functions)
	for name, kind := range map[string]cty.Type{"env": cty.String, "file": cty.String, "file_lines": cty.List(cty.String)} {
		found := ctx.Functions[name]
		ctx.Functions[name] = function.New(&function.Spec{
			Params: found.Params(), VarParam: found.VarParam(), Type: function.StaticReturnType(kind),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				if v, err := found.Call(args); err == nil {
					return v, nil
				}
				return cty.UnknownVal(kind), nil
			},
		})
	}
	return &ctx
}

// envFunction gives env("NAME") and env("NAME", "default").
func (l *loader) envFunction() function.Function {
	return function.New(&function.Spec{
		Params:   []function.Parameter{{Name: "name", Type: cty.String}},
		VarParam: &function.Parameter{Name: "default", Type: cty.String},
		Type:     function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if len(args) > 2 {
				return cty.NilVal, errors.New("write the name of a variable and at most one default")
			}
			name := args[0].AsString()
			if value, ok := l.environ(name); ok {
				return cty.StringVal(value), nil
			}
			if len(args) == 2 {
				return args[1], nil
			}
			return cty.NilVal, fmt.Errorf("the environment variable %s is not set; set it, or give a default: env(%q, \"…\")", name, name)
		},
	})
}

// fileFunction gives file("path") for files in dir.
func (l *loader) fileFunction(dir string) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			content, err := l.included(dir, args[0].AsString())
			// Editors end a file with a line break.
			return cty.StringVal(strings.TrimSuffix(strings.TrimSuffix(content, "\n"), "\r")), err
		},
	})
}

// linesFunction gives file_lines("path"): the first word of each line, without comments.
func (l *loader) linesFunction(dir string) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.List(cty.String)),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			content, err := l.included(dir, args[0].AsString())
			words := []cty.Value{}
			for line := range strings.Lines(content) {
				line, _, _ = strings.Cut(line, "#")
				if fields := strings.Fields(line); len(fields) > 0 {
					words = append(words, cty.StringVal(fields[0]))
				}
			}
			if len(words) == 0 {
				return cty.ListValEmpty(cty.String), err
			}
			return cty.ListVal(words), err
		},
	})
}

// included reads a file that one in dir names.
func (l *loader) included(dir, name string) (string, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	content, err := read(l.fsys, name, maxIncluded)
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", name, err)
	}
	if !utf8.Valid(content) {
		return "", fmt.Errorf("%s is not a text in UTF-8", name)
	}
	return string(content), nil
}
