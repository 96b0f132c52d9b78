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

// patterns are those of one expression, by their texts.
type patterns map[string]*pattern

// of returns the pattern of a text; nil if that is not valid.
func (all patterns) of(text string) *pattern {
	if p := all[text]; p != nil {
		return p
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return nil
	}
	all[text] = &pattern{Regexp: compiled}
	return all[text]
}

// Visit implements [ast.Visitor]: it replaces the operator "matches". The checker has checked its pattern.
func (all patterns) Visit(node *ast.Node) {
	matches, ok := (*node).(*ast.BinaryNode)
	if !ok || matches.Operator != "matches" || matches.Left.Type().Kind() != reflect.String {
		return // a value of another type is refused by expr
	}
	literal, ok := matches.Right.(*ast.StringNode)
	if !ok {
		return
	}
	if p := all.of(literal.Value); p != nil {
		constant := &ast.ConstantNode{Value: p}
		constant.SetType(reflect.TypeFor[*pattern]())
		ast.Patch(node, &ast.CallNode{Callee: &ast.IdentifierNode{Value: matchesPattern}, Arguments: []ast.Node{matches.Left, constant}})
	}
}
