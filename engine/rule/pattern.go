package rule

import (
	"reflect"
	"regexp"
	"strings"
	"sync"

	"github.com/expr-lang/expr/ast"
)

// A pattern is a regular expression that remembers what it was compared with. Fields such as
// user_agent have few values, and the comparison of a new one costs a microsecond and more.
type pattern struct {
	*regexp.Regexp

	mu    sync.Mutex
	known map[string]bool // bounded by maxKnown
}

// maxKnown is the number of values that a pattern remembers. With more it forgets all of them.
const maxKnown = 512

func (p *pattern) match(value string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	matched, known := p.known[value]
	if known {
		return matched
	}
	if p.known == nil {
		p.known = map[string]bool{}
	} else if len(p.known) >= maxKnown {
		clear(p.known)
	}
	matched = p.MatchString(value)
	p.known[strings.Clone(value)] = matched
	return matched
}

// matchesPattern is the function that stands for the operator "matches" in a compiled expression.
const matchesPattern = "matches_pattern"

func matchPattern(args ...any) (any, error) {
	return args[1].(*pattern).match(args[0].(string)), nil
}

// constantPatterns replaces the operator "matches". The checker has checked its pattern.
type constantPatterns struct{}

func (constantPatterns) Visit(node *ast.Node) {
	matches, ok := (*node).(*ast.BinaryNode)
	if !ok || matches.Operator != "matches" || matches.Left.Type().Kind() != reflect.String {
		return // a value of another type is refused by expr
	}
	literal, ok := matches.Right.(*ast.StringNode)
	if !ok {
		return
	}
	if compiled, err := regexp.Compile(literal.Value); err == nil {
		constant := &ast.ConstantNode{Value: &pattern{Regexp: compiled}}
		constant.SetType(reflect.TypeFor[*pattern]())
		ast.Patch(node, &ast.CallNode{Callee: &ast.IdentifierNode{Value: matchesPattern}, Arguments: []ast.Node{matches.Left, constant}})
	}
}
