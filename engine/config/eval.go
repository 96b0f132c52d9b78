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
				"env":       l.envFunction(),
				"file":      l.fileFunction(dir),
				"concat":    stdlib.ConcatFunc,
				"format":    stdlib.FormatFunc,
				"join":      stdlib.JoinFunc,
				"lower":     stdlib.LowerFunc,
				"trimspace": stdlib.TrimSpaceFunc,
				"upper":     stdlib.UpperFunc,
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
	for _, name := range []string{"env", "file"} {
		found := ctx.Functions[name]
		ctx.Functions[name] = function.New(&function.Spec{
			Params: found.Params(), VarParam: found.VarParam(), Type: function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				if v, err := found.Call(args); err == nil {
					return v, nil
				}
				return cty.UnknownVal(cty.String), nil
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
			name := args[0].AsString()
			if !filepath.IsAbs(name) {
				name = filepath.Join(dir, name)
			}
			content, err := read(l.fsys, name, maxIncluded)
			if err != nil {
				return cty.NilVal, fmt.Errorf("%s cannot be read: %w", name, err)
			}
			if !utf8.Valid(content) {
				return cty.NilVal, fmt.Errorf("%s is not a text in UTF-8", name)
			}
			// Editors end a file with a line break.
			text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
			return cty.StringVal(text), nil
		},
	})
}
