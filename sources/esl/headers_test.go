package esl

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestHeadersAreRead finds in the code of this package each header that is read of a message: the
// stream decodes no other ones.
func TestHeadersAreRead(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	read, found := headersOf(map[string]bool{}), 0
	check := func(files *token.FileSet, n ast.Expr) {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return
		}
		found++
		if name, _ := strconv.Unquote(literal.Value); !slices.Contains(read, name) {
			t.Errorf("%s: the header %q is read, and is not among headersOf", files.Position(n.Pos()), name)
		}
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.IndexExpr:
				of, isName := n.X.(*ast.Ident)
				part, isPart := n.X.(*ast.SelectorExpr)
				if isName && of.Name == "h" || isPart && part.Sel.Name == "Headers" {
					check(files, n.Index)
				}
			case *ast.CallExpr:
				if of, ok := n.Fun.(*ast.Ident); ok && of.Name == "has" {
					check(files, n.Args[0])
				}
			}
			return true
		})
	}
	if found < 40 {
		t.Errorf("%d reads of headers were found", found)
	}
}
